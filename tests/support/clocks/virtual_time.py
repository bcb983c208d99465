"""Virtual time: an event loop whose clock moves only while every task sleeps.

`time.time` returns the same clock, which the in-memory Redis uses. So a wait of any length takes no real time, and the
result does not depend on the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from unittest.mock import patch


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only when everyone sleeps, to when the first one wakes."""

    def __init__(self) -> None:
        self._now = 1_000_000.0
        super().__init__()

    def time(self) -> float:
        return self._now

    def pass_time(self, seconds: float) -> None:
        """Time passes and nothing runs, as in a process that is busy or stopped."""
        self._now += seconds

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self._now = max(self._now, self._scheduled[0]._when)
        super()._run_once()


def now() -> float:
    """Seconds by the clock of the running loop."""
    return asyncio.get_running_loop().time()


def run_in_virtual_time(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a coroutine function to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, patch("time.time", runner.get_loop().time):
        runner.run(body())
