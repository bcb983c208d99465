"""The scope of a rate limit: what shares it, and how much of it is used.

A server that counts a sliding window sees a request when it arrives, not when it was sent. Of two requests that are one
window apart the first may be delayed on its way and the second not: `margin` has to cover that, or the window holds one
too many. With a window of one second a margin of 4 % leaves 1 / 0.96 - 1 = 41.7 ms: 30 ms of jitter on the way, and the
10 ms by which a request may miss its slot here (`limiter.LATE_S`).
"""

from __future__ import annotations

from dataclasses import dataclass

BURST_S = 0.1
"""How much of its pace a paced scope may make up for at once, in seconds.

A container with a CPU limit gets the processor once in 100 ms, and then sends what it could not send before."""


@dataclass(frozen=True)
class RateScope:
    """The scope of one limit: a Segment space, or a Mavera account.

    Args:
        name: Name of the limit in Redis.
        gap_s: Least seconds between two requests.
        most: Requests that the API allows in any window of `window_s` seconds; 0: the gap alone is the limit.
        window_s: Seconds of the window.
        paced: Requests are spread over the window, but for bursts of `BURST_S`; otherwise only `gap_s` separates them.
        margin: Share of the limit that is left unused; it is wider for a while after a 429.
    """

    name: str
    gap_s: float = 0.0
    most: float = 0.0
    window_s: float = 0.0
    paced: bool = False
    margin: float = 0.0

    @classmethod
    def per_second(cls, name: str, rate: float) -> RateScope:
        """Returns a paced limit of `rate` requests a second."""
        return cls(name, most=rate, window_s=1.0, paced=True, margin=0.04)

    @classmethod
    def per_minute(cls, name: str, rate: int, gap_s: float) -> RateScope:
        """Returns a limit of `rate` requests in any 60 seconds, which only `gap_s` separates.

        A margin of 2 % is more than a second of that window; jitter is small beside it.
        """
        return cls(name, gap_s=gap_s, most=rate, window_s=60.0, margin=0.02)
