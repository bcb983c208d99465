"""Limits the wrong bearer tokens that an address may send.

The limit is for programs with an outdated token and for guesses that come fast. It does not decide who may use the API:
a right token is served whatever its address has sent before, because behind a proxy all clients have one address.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from itertools import islice

WINDOW_S = 60.0
MAX_ADDRESSES = 10_000
_IPV6_NETWORK_BITS = 64


class WrongTokens:
    """Counts wrong tokens by address (GCRA: so many at once, then one every `WINDOW_S / limit` seconds).

    Args:
        limit: Wrong tokens a minute from one address.
        clock: Seconds of a monotonic clock.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._gap_s = WINDOW_S / limit
        self._clock = clock
        self._free_at: dict[str, float] = {}

    def __len__(self) -> int:
        """Returns the number of addresses that are kept: those of the last minute, at most `MAX_ADDRESSES`."""
        return len(self._free_at)

    def count(self, address: str) -> float:
        """Counts a wrong token, unless its address has sent too many.

        Args:
            address: The IP address of the client. IPv6 addresses of one /64 network count as one.

        Returns:
            Seconds until the address may send the next one, if this one is too many; else 0.
        """
        now, network = self._clock(), _network_of(address)
        free_at = max(now, self._free_at.get(network, now)) + self._gap_s
        if free_at - now > WINDOW_S + 1e-6:
            return free_at - now - WINDOW_S
        self._free_at.pop(network, None)
        self._make_room(now)
        self._free_at[network] = free_at
        return 0.0

    def _make_room(self, now: float) -> None:
        """Forgets the addresses that may send `limit` again; if there are too many, the one that was quiet longest."""
        for network in list(islice(self._free_at, 2)):  # those that were quiet longest come first
            if self._free_at[network] <= now or len(self._free_at) >= MAX_ADDRESSES:
                del self._free_at[network]


def _network_of(address: str) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(int(found) >> (128 - _IPV6_NETWORK_BITS))
