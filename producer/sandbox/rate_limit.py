"""A sliding-window limit, as the APIs count: at most `limit` requests in any window, wherever it begins."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil
from time import time


@dataclass(frozen=True, slots=True)
class RateLimitDecision:
    """The decision on one request.

    Attributes:
        allowed: Whether the request is answered.
        limit: Requests that are allowed in a window.
        remaining: Requests that are still allowed in this window.
        retry_in_s: Seconds until one more request is allowed.
    """

    allowed: bool
    limit: int
    remaining: int
    retry_in_s: float

    def headers(self) -> dict[str, str]:
        """`X-RateLimit-*`; the reset is a Unix time."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(ceil(time() + self.retry_in_s)),
        }


class SlidingWindow:
    """Counts the requests of one scope. Refused requests are not counted, so a client that waits for as long as
    the answer says gets through."""

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit = limit
        self.window_s = window_s
        self._times: deque[float] = deque()

    def hit(self, now: float) -> RateLimitDecision:
        """Counts a request at `now` (monotonic seconds) unless it is refused."""
        times = self._times
        while times and times[0] <= now - self.window_s:
            times.popleft()
        allowed = len(times) < self.limit
        if allowed:
            times.append(now)
        retry_in = times[0] + self.window_s - now if times else self.window_s
        return RateLimitDecision(allowed, self.limit, self.limit - len(times), retry_in)
