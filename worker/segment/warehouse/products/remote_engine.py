"""The base of engines with an HTTP API, whose statements outlive the process that submitted them.

Their drivers block, so every call runs in a thread. A statement is waited for by asking for its state.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from worker.concurrency import run_to_completion
from worker.errors import ApiError, ResumableStop
from worker.segment.warehouse import errors
from worker.segment.warehouse.engine import EngineOptions, Estimate, FoundTable, Row, TableName
from worker.warehouse_url import WarehouseUrl

T = TypeVar("T")

FIRST_LOOK_S, MAX_LOOK_S, SLOWER = 0.2, 5.0, 1.5
"""Seconds between two questions for the state of a statement: the first, the most, and the factor between them."""

UNKNOWN_LOOKS = 24
"""How often in a row an engine may not know a statement that it has accepted."""

CANCEL_WITHIN_S = 60.0


@dataclass(frozen=True)
class StatementState:
    """The state of a statement, as the engine reports it.

    Attributes:
        kind: `unknown` if the engine does not have it, or not yet, or no longer.
        error: Of a failed statement: the error to raise.
        bytes: Bytes that it read; None if the engine does not tell.
    """

    kind: Literal["running", "succeeded", "failed", "unknown"]
    error: ApiError | None = None
    bytes: int | None = None


class RemoteEngine(ABC):
    """See `WarehouseEngine`. A subclass does the blocking calls, each of which raises errors of `worker.errors`.

    Args:
        url: Names the warehouse and holds its secrets.
        options: Time that statements may take.
    """

    dialect: ClassVar[str]
    title: ClassVar[str]
    keeps_results = True

    def __init__(self, url: WarehouseUrl, options: EngineOptions) -> None:
        self._url = url
        self._options = options

    @abstractmethod
    async def find_table(self, name: TableName) -> FoundTable | None:
        """Finds a table or view; see `WarehouseEngine`."""

    @abstractmethod
    async def write_privileges(self, table: FoundTable) -> list[str]:
        """Returns the privileges of this connection that let it change a table."""

    @abstractmethod
    async def running(self, label: str) -> list[str]:
        """Returns the ids of running statements with this label."""

    @abstractmethod
    def _start(self, sql: str, label: str) -> str: ...

    @abstractmethod
    def _state(self, query_id: str) -> StatementState: ...

    @abstractmethod
    def _rows(self, query_id: str) -> Iterable[Row]: ...

    @abstractmethod
    def _stop(self, query_id: str) -> None: ...

    async def refuse_writer(self, table: FoundTable) -> None:
        """Raises ResumableStop `warehouse_can_write`; see `WarehouseEngine`."""
        found: list[str] = []
        with _optional_answer():
            found = await self.write_privileges(table)
        if found:
            what = f"this user may change the table {table.name} ({', '.join(sorted(found))}), and a sync only reads"
            hint = f"Use a user that may only read it; docs/warehouses.md has the grants of {self.title}."
            raise errors.can_write(self._url, what, hint)

    async def query(self, sql: str) -> list[Row]:
        """Runs a short statement; see `WarehouseEngine`."""
        return await self.result(await self.submit(sql, ""), list)

    async def end_earlier(self, label: str) -> None:
        """Ends statements that were submitted with this label; see `WarehouseEngine`."""
        found: list[str] = []
        with _optional_answer():
            found = await self.running(label)
        for query_id in found:
            await self.cancel(query_id)

    async def submit(self, sql: str, label: str) -> str:
        """Starts a statement; a cancellation does not keep its id from the caller. See `WarehouseEngine`."""
        return await run_to_completion(asyncio.to_thread(self._start, sql, label))

    async def attach(self, query_id: str) -> bool:
        """Returns whether a statement runs or has succeeded; see `WarehouseEngine`."""
        return (await asyncio.to_thread(self._state, query_id)).kind in ("running", "succeeded")

    async def result(self, query_id: str, read: Callable[[Iterable[Row]], T]) -> T:
        """Waits for a statement and reads its result in a thread; see `WarehouseEngine`."""
        try:
            async with asyncio.timeout(self._options.timeout_s):
                await self._wait(query_id)
        except TimeoutError:
            await self.cancel(query_id)
            raise errors.timed_out(self._url, self._options.timeout_s) from None
        return await asyncio.to_thread(lambda: read(self._rows(query_id)))

    async def _wait(self, query_id: str) -> None:
        """Returns when a statement has succeeded; raises its error if it failed."""
        pause, unknown = FIRST_LOOK_S, 0
        while True:
            state = await asyncio.to_thread(self._state, query_id)
            unknown = unknown + 1 if state.kind == "unknown" else 0
            if state.kind == "succeeded":
                return
            if state.kind == "failed" or unknown > UNKNOWN_LOOKS:
                raise state.error or errors.connection_lost(self._url)
            await asyncio.sleep(pause)
            pause = min(pause * SLOWER, MAX_LOOK_S)

    async def scanned_bytes(self, query_id: str) -> int | None:
        """Returns how many bytes a finished statement read; see `WarehouseEngine`."""
        with _optional_answer():
            return await self.read_bytes(query_id)
        return None

    async def read_bytes(self, query_id: str) -> int | None:
        """Returns how many bytes a finished statement read; None if the engine does not tell."""
        return (await asyncio.to_thread(self._state, query_id)).bytes

    async def cancel(self, query_id: str) -> None:
        """Ends a statement, and returns when it has ended or after `CANCEL_WITHIN_S`."""
        with contextlib.suppress(ApiError, TimeoutError):
            async with asyncio.timeout(CANCEL_WITHIN_S):
                await asyncio.to_thread(self._stop, query_id)
                await self._wait(query_id)

    async def estimate(self, sql: str) -> Estimate:
        """Returns an empty estimate; see `WarehouseEngine`."""
        return Estimate()

    async def close(self) -> None:  # noqa: B027 - not every driver has connections
        """Closes the connections; statements run on."""


@contextlib.contextmanager
def _optional_answer() -> Iterator[None]:
    """Discards the refusal of a question that a sync does not depend on."""
    try:
        yield
    except ResumableStop as error:
        if error.code not in ("warehouse_forbidden", "warehouse_error"):
            raise


def silence(logger: str) -> None:
    """Lets a driver log errors only: its lines may name the login, and every failure is raised anyway."""
    logging.getLogger(logger).setLevel(logging.ERROR)


def whole_seconds(seconds: float) -> int:
    """Returns seconds for an engine that takes whole ones, at least 1."""
    return max(1, math.ceil(seconds))
