"""Interrupts statements of DuckDB from another thread. Loads no DuckDB."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


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
