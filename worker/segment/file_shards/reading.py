"""The parameters of reading shards: rules, limits of DuckDB, interruption. Loads neither DuckDB nor sqlglot."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.clusters import Rules

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class EngineLimits:
    """The resources of DuckDB in one worker.

    Attributes:
        memory_mb: Memory in MiB; what does not fit is written to the directory for temporary files.
        threads: Number of threads.
    """

    memory_mb: int
    threads: int


@dataclass(frozen=True)
class Reading:
    """The parameters of reading shards.

    Attributes:
        rules: Of the sync.
        as_of: When the sync began, Unix seconds.
        sample: Share of the profiles that is read; None: all.
        expected: Trait keys that must have a column, because they have one in the first shard.
    """

    rules: Rules
    as_of: float
    sample: float | None = None
    expected: tuple[str, ...] = ()


class Interruptor:
    """Interrupts the statements of a thread from another one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: list[duckdb.DuckDBPyConnection] = []
        self._stopped = False

    def stop(self) -> None:
        """Interrupts the running statements, and every later one."""
        with self._lock:
            self._stopped = True
            for connection in self._connections:
                connection.interrupt()

    def check(self) -> None:
        """Raises Interrupted after `stop`."""
        if self._stopped:
            raise Interrupted

    @contextlib.contextmanager
    def watching(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Interrupts statements of this connection while the block runs."""
        with self._lock:
            self._connections.append(connection)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._connections.remove(connection)


class Interrupted(Exception):
    """The statement was interrupted, because its job ends."""
