"""For how long this process itself has watched a claim, or a run of Redis, by its own monotonic clock.

The clock of Redis' host may step by hours, and a claim that looks old may have been taken a moment ago. So absence is
believed only after a process has seen the same claim for the settle time.
"""

from __future__ import annotations

from collections.abc import Callable

_MOST = 10_000


class SettleWatch:
    """What one process has seen since when. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._claims: dict[str, float] = {}
        self._run = ""
        self._run_since = 0.0
        self._began_before = True

    def claim_s(self, by: str) -> float:
        """Seconds since this process first saw the claim of the attempt `by`; 0 at the first look."""
        if by not in self._claims and len(self._claims) >= _MOST:
            self._claims.pop(next(iter(self._claims)))
        return self._clock() - self._claims.setdefault(by, self._clock())

    def steady_s(self, run: str, reported_s: float) -> float:
        """Seconds for which Redis has surely lost nothing.

        Redis' own account counts only for a run that was there before this process. Its host's clock may have been set
        back since Redis started; then what this process has watched is longer.

        Args:
            run: Of Redis, now.
            reported_s: How old it is by the clock of Redis' host.
        """
        now = self._clock()
        if run != self._run:
            self._began_before = not self._run
            self._run, self._run_since = run, now
        watched_s = now - self._run_since
        return max(watched_s, reported_s) if self._began_before else watched_s
