"""What an API's answers say about its limit, and which of that everyone has yet to be told.

An answer that says nothing new costs nothing. A lower limit than the one in force is news; so is the one in force once
it has been for a while, for what is learned is forgotten after `LEARNED_S`. A higher one is not: it takes effect when
the lower is forgotten. That nothing remains is news if the reset is further away than rounding and our own pace
explain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from worker.http.body import read_allowance

LEARNED_S = 60.0
"""How long a limit that an API named is believed, in seconds; it is told again after half of that."""
NEAR_RESET_S = 2.0
"""A reset in no more seconds is no news: it comes as a whole second, and the pace sees to it."""


class LimitNews:
    """One limit of `most` requests in its window. in_force: the lower one that the API named; infinity if none is.

    longest_pause_s: how much of a wait is believed. Times are seconds of one monotonic clock.
    """

    def __init__(self, most: float, longest_pause_s: float) -> None:
        self.in_force = math.inf
        self._most = most
        self._longest_pause_s = longest_pause_s
        self._told_at = -math.inf
        self._limit: int | None = None
        self._pause_until = -math.inf

    def hear(self, headers: Mapping[str, str], now: float, unix_now: float) -> float | None:
        """Takes note of an answer. Returns when to send again, at another pace; None if all stays as it is."""
        if "X-RateLimit-Limit" not in headers and "X-RateLimit-Remaining" not in headers:
            return None
        allowance = read_allowance(headers, unix_now)
        limit = math.inf if allowance.limit is None else allowance.limit
        lower = limit < min(self._most, self.in_force)
        if lower or (limit == self.in_force < math.inf and now - self._told_at > LEARNED_S / 2):
            self.in_force, self._limit, self._told_at = limit, allowance.limit, now
        pause_s = min(allowance.pause_s, self._longest_pause_s)
        if pause_s <= NEAR_RESET_S:
            return now if lower else None
        self._pause_until = max(self._pause_until, now + pause_s)
        return self._pause_until

    def raise_limit(self, most: float) -> None:
        """The API allows `most` requests in the window: only a lower limit is news from now on."""
        self._most = most

    def take(self, now: float) -> tuple[int | None, float]:
        """The limit and the pause in seconds that everyone is to be told of, once; None and 0: there is no news."""
        news = self._limit, max(0.0, self._pause_until - now)
        self._limit, self._pause_until = None, -math.inf
        return news

    def give_back(self, limit: int | None, pause_until: float) -> None:
        """Takes back what could not be passed on, unless there is newer news of the limit."""
        self._limit = limit if self._limit is None else self._limit
        self._pause_until = max(self._pause_until, pause_until)
