"""For how long this process itself has watched a claim, or a run of Redis, by its own monotonic clock.

The clock of Redis' host may step by hours, and a claim that looks old may have been taken a moment ago. So absence is
believed only after a process has seen the same claim for the settle time.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_MOST = 10_000


class SettleWatch:
    """What one process has seen since when. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._claims: dict[str, float] = {}
        self._run = ""
        self._run_since = -math.inf

    def claim_s(self, by: str) -> float:
        """Seconds since this process first saw the claim of the attempt `by`; 0 at the first look."""
        if by not in self._claims and len(self._claims) >= _MOST:
            self._claims.pop(next(iter(self._claims)))
        return self._clock() - self._claims.setdefault(by, self._clock())

    def run_s(self, run: str) -> float:
        """Seconds since this process saw that Redis' run became this one; infinite if it has seen no other."""
        if run != self._run:
            self._run_since = self._clock() if self._run else -math.inf
            self._run = run
        return self._clock() - self._run_since
