"""Slots that were reserved in Redis, in terms of our own clock.

Redis says when a slot is by its own clock, and its answer takes a while. Of all answers the quickest says best how the
two clocks relate, so a slot comes neither too early nor later than that answer was slow, whatever delayed the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

LATE_S = 0.01
"""A slot that is reached later than this is void: its request would meet the slots of others in one window."""


class RedisClock:
    """How Redis' clock relates to ours; both may drift and Redis' may jump. Times of ours are in seconds."""

    def __init__(self) -> None:
        self._ahead_s: float | None = None

    def lag_s(self, asked_at: float, answered_at: float, redis_s: float, *, anew: bool = False) -> float:
        """How long before `answered_at` it was `redis_s` by Redis' clock, which it said in that answer; never too much.

        anew: forget what earlier answers said.
        """
        at_least = redis_s - answered_at
        known = self._ahead_s
        if anew or known is None or not at_least <= known <= redis_s - asked_at:
            # The quickest answer so far, or the clocks have moved against each other since then.
            self._ahead_s = at_least
            return 0.0
        return known - at_least


@dataclass
class Slots:
    """Reserved slots, the i-th (from 0) at `first` + i `gap_s`. next: the first not given out; used: how many were."""

    first: float
    gap_s: float
    size: int
    next: int = 0
    used: int = 0

    @classmethod
    def none(cls) -> Slots:
        """No slots at all."""
        return cls(-math.inf, 0.0, 0)

    @property
    def end(self) -> float:
        """When the slot after the last one would be."""
        return self.first + self.size * self.gap_s

    def take(self, now: float) -> float | None:
        """The next slot that is not void; None if there is none left."""
        if self.next >= self.size:
            return None
        if self.gap_s:
            self.next = max(self.next, math.ceil((now - LATE_S - self.first) / self.gap_s))
        at = self.first + self.next * self.gap_s
        if self.next >= self.size or now - at > LATE_S:
            return None
        self.next += 1
        self.used += 1
        return at


@dataclass
class HeldSlots:
    """The batch of slots in use, and the one that was reserved ahead to follow it."""

    current: Slots = field(default_factory=Slots.none)
    ahead: Slots = field(default_factory=Slots.none)

    @property
    def end(self) -> float:
        """When the slot after the last one would be."""
        return max(self.current.end, self.ahead.end)

    def add(self, slots: Slots) -> None:
        """Holds slots that follow all those of before; what is left of the batch in use is used first."""
        if self.current.next < self.current.size:
            self.ahead = slots
        else:
            self.current, self.ahead = slots, Slots.none()

    def take(self, now: float) -> float | None:
        """The next slot that is not void; None if there is none left."""
        at = self.current.take(now)
        if at is None and self.ahead.size:
            self.current, self.ahead = self.ahead, Slots.none()
            at = self.current.take(now)
        return at
