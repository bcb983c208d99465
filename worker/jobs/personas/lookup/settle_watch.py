"""Measures how long this process has seen a claim, or a run of Redis, by its own monotonic clock.

The clock of Redis' host may step by hours, so a claim that looks old may be new. A persona is therefore believed absent
only after one process has seen the same claim for the settle time.
"""

from __future__ import annotations

from collections.abc import Callable

_MOST = 10_000


class SettleWatch:
    """Remembers when this process first saw each claim and the current run of Redis.

    Args:
        clock: Returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._claims: dict[str, float] = {}
        self._run = ""
        self._run_since = 0.0
        self._began_before = True

    def claim_s(self, by: str) -> float:
        """Returns the seconds since this process first saw the claim of the attempt `by`; 0 at the first call."""
        if by not in self._claims and len(self._claims) >= _MOST:
            self._claims.pop(next(iter(self._claims)))
        return self._clock() - self._claims.setdefault(by, self._clock())

    def steady_s(self, run: str, reported_s: float) -> float:
        """Returns the seconds for which Redis has certainly lost no data.

        The age that Redis reports is used only for a run that began before this process. If the clock of its host was
        set back since Redis started, the time that this process has watched is longer.

        Args:
            run: Identifies the current run of Redis.
            reported_s: Age of the run in seconds, by the clock of Redis' host.
        """
        now = self._clock()
        if run != self._run:
            self._began_before = not self._run
            self._run, self._run_since = run, now
        watched_s = now - self._run_since
        return max(watched_s, reported_s) if self._began_before else watched_s
