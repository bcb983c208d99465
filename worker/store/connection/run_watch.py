"""Detects a new run of Redis without its run id: by connections that break.

A Redis that restarts, or is replaced by its replica, breaks every connection. A connection that was in use a moment ago
is evidence of that. An idle one may have been closed because it was idle, so it is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from secrets import token_hex
from typing import Any
from weakref import WeakSet

WATCHED_PREFIX = "watched-"
"""Beginning of the id of such a run. Every process has its own id for it."""
IN_USE_S = 10.0
"""Seconds since its last answer within which a connection was in use. A worker asks Redis several times a second."""


class RedisRunWatch:
    """The runs of Redis that this process has seen.

    Args:
        clock: Returns monotonic seconds; None for the clock of the running event loop.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._since: float | None = None
        self._run = token_hex(8)
        self._known: WeakSet[Any] = WeakSet()

    @property
    def run(self) -> str:
        """Id of the current run; another one in every process."""
        return f"{WATCHED_PREFIX}{self._run}"

    def age_s(self) -> float:
        """Returns the seconds since the first call, or since the last interruption."""
        if self._since is None:
            self._since = self._clock()
        return self._clock() - self._since

    def start_new_run(self) -> None:
        """Begins a new run, because an interruption was noticed."""
        self._since = self._clock()
        self._run = token_hex(8)

    async def on_connect(self, connection: Any) -> None:
        """Prepares a connection; redis-py calls it whenever a connection is made or made again."""
        last_answer_at = connection.next_health_check - connection.health_check_interval
        if connection in self._known and self._clock() - last_answer_at < IN_USE_S:
            self.start_new_run()
        self._known.add(connection)
        await connection.on_connect()
