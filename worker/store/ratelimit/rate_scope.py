"""What shares one rate limit, and how much of that limit is used.

A server that counts a sliding window sees a request when it arrives, not when it was sent. Of two requests that are one
window apart the first may be the one that was delayed: `margin` has to cover that, or the window holds one too many. In
a paced window of one second a margin of 4 % leaves 1 / 0.96 - 1 = 41.7 ms: 30 ms of jitter on the way, and the 10 ms by
which a request may miss its slot here (`slots.LATE_S`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RateScope:
    """What shares one limit: a Segment space, or a Mavera account.

    gap_s: least seconds between two requests. most: requests that the API allows in any window of `window_s` seconds;
    0: the gap says it all. paced: they are spread evenly over the window; else they may come at once but for the gap.
    margin: share of the limit that is left unused; after a 429 it is wider for a while.
    """

    name: str
    gap_s: float = 0.0
    most: float = 0.0
    window_s: float = 0.0
    paced: bool = False
    margin: float = 0.0

    @classmethod
    def per_second(cls, name: str, rate: float) -> RateScope:
        """An evenly paced limit of `rate` requests a second."""
        return cls(name, most=rate, window_s=1.0, paced=True, margin=0.04)

    @classmethod
    def per_minute(cls, name: str, rate: int, gap_s: float) -> RateScope:
        """A limit of `rate` requests in any 60 seconds, which may come at once but for `gap_s`.

        A margin of 2 % is more than a second of that window: jitter is nothing beside it.
        """
        return cls(name, gap_s=gap_s, most=rate, window_s=60.0, margin=0.02)

    @property
    def pace_s(self) -> float:
        """Seconds from one request to the next as long as nobody complains."""
        if not self.paced:
            return self.gap_s
        return max(self.gap_s, self.window_s / (self.most * (1 - self.margin)))
