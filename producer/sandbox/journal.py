"""The log of requests to the sandbox: counts by route and status, times, and a way to wait for a request.

A test that waits for the n-th request needs no sleep. Times are `time.monotonic()`, which processes on one
machine share.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from time import monotonic
from typing import NamedTuple

NO_ANSWER = 499
"""The status noted for a request whose connection was cut before an answer."""

_KEPT = 200_000


class Entry(NamedTuple):
    """One answered request: arrival (monotonic seconds), route (`segment.page`), scope (space, key),
    status."""

    at: float
    route: str
    scope: str
    status: int


class Journal:
    """The log of one sandbox. Counters are complete; `entries` keeps the newest 200,000.

    Attributes:
        arrived: requests by route, counted when they come in.
        answered: requests by (route, status), counted when they are answered; `NO_ANSWER` for a cut
            connection.
        entries: the answered requests in the order of their answers.
        elsewhere: (path, whether it carried credentials) of each request that followed a redirect to another
            host.
    """

    def __init__(self) -> None:
        self.arrived: Counter[str] = Counter()
        self.answered: Counter[tuple[str, int]] = Counter()
        self.entries: deque[Entry] = deque(maxlen=_KEPT)
        self.elsewhere: deque[tuple[str, bool]] = deque(maxlen=1000)
        self._changed: asyncio.Event | None = None

    def arrive(self, route: str) -> float:
        """Counts an arrival; returns its time."""
        self.arrived[route] += 1
        self._wake()
        return monotonic()

    def answer(self, at: float, route: str, scope: str, status: int) -> None:
        """Counts an answer."""
        self.answered[route, status] += 1
        self.entries.append(Entry(at, route, scope, status))
        self._wake()

    def count(self, route: str | None = None, status: int | None = None) -> int:
        """Returns the number of answered requests of a route (`segment`: of a whole API), with a status if given."""
        return sum(
            number
            for (name, code), number in self.answered.items()
            if _covers(route, name) and (status is None or status == code)
        )

    def times(self, route: str | None = None, scope: str | None = None) -> list[float]:
        """Returns the arrivals (monotonic seconds, ascending) of a route and scope."""
        return sorted(
            entry.at
            for entry in self.entries
            if _covers(route, entry.route) and (scope is None or scope == entry.scope)
        )

    async def wait_arrived(self, route: str, count: int = 1) -> None:
        """Returns once `count` requests of a route have come in, however long it takes."""
        while self.arrived[route] < count:
            await self._wait_for_change()

    async def wait_answered(self, route: str, count: int = 1, status: int | None = None) -> None:
        """Returns once `count` requests of a route have been answered, however long it takes."""
        while self.count(route, status) < count:
            await self._wait_for_change()

    async def _wait_for_change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.Event()
        await self._changed.wait()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None


def _covers(wanted: str | None, route: str) -> bool:
    return wanted is None or route == wanted or route.startswith(wanted + ".")
