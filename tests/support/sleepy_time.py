"""Time that passes only in sleep: an event loop of its own, and whatever asks for the time of day has its clock.

The in-memory Redis does. So whatever waits in it, for however long, takes no time and comes out the same on any
machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from unittest.mock import patch


class SleepyLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only when everyone sleeps, to when the first one wakes."""

    def __init__(self) -> None:
        self._now = 1_000_000.0
        super().__init__()

    def time(self) -> float:
        return self._now

    def stand_still(self, seconds: float) -> None:
        """Time passes and nothing runs, as in a process that is busy or stopped."""
        self._now += seconds

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self._now = max(self._now, self._scheduled[0]._when)
        super()._run_once()


def now() -> float:
    """Seconds by the clock of the running loop."""
    return asyncio.get_running_loop().time()


def play(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a story in sleepy time."""
    with asyncio.Runner(loop_factory=SleepyLoop) as runner, patch("time.time", runner.get_loop().time):
        runner.run(story())
