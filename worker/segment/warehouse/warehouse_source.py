"""A table of a warehouse as a source: one page, whose one entry is the aggregate that a statement returns.

The statement is submitted once. Its id is kept before anyone waits for it, so that the next job of the sync attaches to
it where the engine keeps results, and otherwise ends it before it submits its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass, replace

from worker.errors import ResumableStop
from worker.models.request import SyncRequest
from worker.models.warehouse import WarehouseRead
from worker.segment.page import Page
from worker.segment.source import Call, FetchedProfiles
from worker.segment.warehouse.engine import WarehouseEngine
from worker.warehouse_url import WarehouseUrl

log = logging.getLogger("segment_personas.jobs")


@dataclass(frozen=True)
class WarehouseAccess:
    """The access of a worker to a warehouse.

    Attributes:
        url: Of the warehouse.
        where: `WAREHOUSE_WHERE`; None: all rows.
        open: Makes an engine for it. Raises ResumableStop `driver_missing`.
    """

    url: WarehouseUrl
    where: str | None
    open: Callable[[], WarehouseEngine]


@dataclass
class WarehouseSource:
    """Reads a table; see `Source`.

    Attributes:
        access: How the warehouse is read.
        request: Of the sync.
        sync_id: Of the sync; it names the statement at the warehouse.
        as_of: When the sync began, Unix seconds.
        earlier: The statement of an earlier job of the sync, if there was one.
        store: Keeps the statement with the sync. Raises LeaseLost if the job is no longer the sync's.
        is_cancelled: Returns whether the sync was cancelled, when the job is.
    """

    concurrent_pages = 1

    access: WarehouseAccess
    request: SyncRequest
    sync_id: str
    _: KW_ONLY
    as_of: float
    earlier: WarehouseRead | None
    store: Callable[[WarehouseRead], Awaitable[None]]
    is_cancelled: Callable[[], Awaitable[bool]]

    def __post_init__(self) -> None:
        self._label = f"segment-personas {self.sync_id}"
        self._read = self.earlier

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        """Runs the statement, or attaches to it, and returns its aggregate as the entry of the only page.

        code                        when
        driver_missing              the driver is not installed
        warehouse_unauthorized      the login is refused
        warehouse_unreachable       the warehouse cannot be reached
        warehouse_can_write         the user may change data
        warehouse_forbidden         the user may not read the table
        table_missing               no such table
        table_shape                 its columns hold no traits of the rules
        table_empty                 it has no profile
        column_missing              a column is gone since the table was looked at
        read_timeout                the statement takes longer than it may
        """
        await asyncio.to_thread(_load_sql)
        engine = await asyncio.to_thread(self.access.open)
        try:
            return Page([await self._aggregate(engine)], None)
        finally:
            await engine.close()

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        """Returns the entries of the page: the aggregate has the traits."""
        return FetchedProfiles(page.profiles)

    async def _aggregate(self, engine: WarehouseEngine) -> object:
        from worker.segment.warehouse.table import compile_for, find_table

        access = self.access
        table = await find_table(engine, access.url, self.request)
        await engine.refuse_writer(table.found)
        statement = await asyncio.to_thread(
            compile_for, engine, table, self.request, as_of=self.as_of, where=access.where, comment=self._label
        )
        # A sync that reads its source again from the start has another time, and must not find the earlier result.
        digest = hashlib.blake2b(f"{self.as_of}\n{statement.sql}".encode(), digest_size=8).hexdigest()
        read = WarehouseRead(engine.title, str(table.found.name), digest)
        if (running := await self._running(engine, digest)) is None:
            running = await self._submit(engine, read, statement.sql)
        try:
            found = await engine.result(running.query_id, statement.aggregate)
        except asyncio.CancelledError:
            if not engine.keeps_results or await self.is_cancelled():
                await engine.cancel(running.query_id)
            raise
        await self._keep(replace(running, bytes=await engine.scanned_bytes(running.query_id)))
        if not (found.entries or found.left_out or found.merged):
            await self._keep(read)  # so that `resume` asks again
            raise ResumableStop(
                "table_empty",
                f"{access.url.place}: the table {running.table} has no profile"
                + ("" if access.where is None else " for which WAREHOUSE_WHERE is true"),
                hint="Check that Profiles Sync fills the table, then resume.",
            )
        return found

    async def _running(self, engine: WarehouseEngine, digest: str) -> WarehouseRead | None:
        """Returns the statement of an earlier attempt, if its result can be had; otherwise it is ended."""
        read = self._read
        if read is None or not read.query_id:
            return None
        if read.digest == digest and await engine.attach(read.query_id):
            return read
        await engine.cancel(read.query_id)
        return None

    async def _submit(self, engine: WarehouseEngine, read: WarehouseRead, sql: str) -> WarehouseRead:
        await self._keep(read)  # raises LeaseLost, so that a job that was replaced ends no statement of its successor
        await engine.end_earlier(self._label)
        submitted_at = time.time()
        query_id = await engine.submit(sql, self._label)
        submitted = replace(read, submitted_at=submitted_at, query_id=query_id)
        log.info("%s: statement %s reads %s of %s", self.sync_id, query_id, read.table, self.access.url.place)
        try:
            await self._keep(submitted)
        except BaseException:
            await engine.cancel(query_id)
            raise
        return submitted

    async def _keep(self, read: WarehouseRead) -> None:
        await self.store(read)
        self._read = read


def _load_sql() -> None:
    """Loads sqlglot, which takes a while, in a thread."""
    import worker.segment.warehouse.table  # noqa: F401
