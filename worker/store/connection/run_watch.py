"""For how long this process has seen one Redis without an interruption, where Redis itself does not say.

A Redis that restarts, or is replaced by its replica, breaks every connection; one that was in use a moment ago cannot
miss it. A connection that was idle may have been closed for that, and says nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from secrets import token_hex
from typing import Any
from weakref import WeakSet

WATCHED_PREFIX = "watched-"
"""The id of such a run begins with this; other processes have other ids for it."""
IN_USE_S = 10.0
"""A connection that has answered within this time was in use. A worker asks Redis several times a second."""


class RedisRunWatch:
    """The runs of Redis that this process has seen. clock: monotonic seconds; None: that of the running event loop."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._since: float | None = None
        self._run = token_hex(8)
        self._known: WeakSet[Any] = WeakSet()

    @property
    def run(self) -> str:
        """A name for the present run; another one in every process."""
        return f"{WATCHED_PREFIX}{self._run}"

    def age_s(self) -> float:
        """Seconds since this process first asked, or since the last interruption."""
        if self._since is None:
            self._since = self._clock()
        return self._clock() - self._since

    def start_new_run(self) -> None:
        """From now on it is another run, which has just begun."""
        self._since = self._clock()
        self._run = token_hex(8)

    async def on_connect(self, connection: Any) -> None:
        """Called by redis-py for each connection that is made, and each that is made again."""
        last_answer_at = connection.next_health_check - connection.health_check_interval
        if connection in self._known and self._clock() - last_answer_at < IN_USE_S:
            self.start_new_run()
        self._known.add(connection)
        await connection.on_connect()
