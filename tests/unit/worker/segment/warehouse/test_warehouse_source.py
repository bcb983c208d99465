"""One statement for a sync, whatever happens to its jobs: at an engine whose statements outlive their process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

from worker.clusters import Aggregate
from worker.errors import LeaseLost
from worker.models.request import SyncRequest
from worker.models.warehouse import WarehouseRead
from worker.segment.warehouse import FoundTable, Row, TableName, WarehouseAccess, WarehouseSource, WarehouseUrl
from worker.segment.warehouse.engine import Estimate

T = TypeVar("T")
REQUEST = SyncRequest(space_id="spa_1", warehouse="segment.user_traits")
COLUMNS = dict.fromkeys(("canonical_segment_id", "name", "value"), "text")


class Service:
    """A warehouse that keeps statements. Each runs until `finish` is set, and its result is empty."""

    def __init__(self) -> None:
        self.submitted: list[str] = []
        self.cancelled: list[str] = []
        self.ended: list[str] = []
        self.finish = asyncio.Event()


class Engine:
    """A connection to `Service`."""

    dialect, title, keeps_results = "snowflake", "Snowflake", True

    def __init__(self, service: Service) -> None:
        self._service = service

    async def find_table(self, name: TableName) -> FoundTable | None:
        return FoundTable(name, COLUMNS)

    async def refuse_writer(self, table: FoundTable) -> None: ...

    async def query(self, sql: str) -> list[Row]:
        raise NotImplementedError

    async def end_earlier(self, label: str) -> None:
        self._service.ended.append(label)

    async def submit(self, sql: str, label: str) -> str:
        assert sql.startswith(f"/* {label} */")
        self._service.submitted.append(sql)
        return f"q{len(self._service.submitted)}"

    async def attach(self, query_id: str) -> bool:
        return query_id not in self._service.cancelled

    async def result(self, query_id: str, read: Callable[[Iterable[Row]], T]) -> T:
        await self._service.finish.wait()
        return read(())

    async def scanned_bytes(self, query_id: str) -> int | None:
        return 4096

    async def cancel(self, query_id: str) -> None:
        self._service.cancelled.append(query_id)

    async def estimate(self, sql: str) -> Estimate:
        return Estimate()

    async def close(self) -> None: ...


class Job:
    """A job of a sync, and what it keeps with the sync."""

    def __init__(self, service: Service, earlier: WarehouseRead | None = None, *, as_of: float = 1e9) -> None:
        self.kept: list[WarehouseRead] = []
        self.is_lost, self.is_cancelled = False, False
        access = WarehouseAccess(WarehouseUrl.parse("snowflake://a@b/c"), None, lambda: Engine(service))
        self._source = WarehouseSource(
            access, REQUEST, "syn_1", as_of=as_of, earlier=earlier, store=self._store, is_cancelled=self._ask
        )

    async def _store(self, read: WarehouseRead) -> None:
        if self.is_lost:
            raise LeaseLost
        self.kept.append(read)

    async def _ask(self) -> bool:
        return self.is_cancelled

    def start(self) -> asyncio.Task[object]:
        return asyncio.create_task(self._source.fetch_page("", 1))  # type: ignore[arg-type]

    async def submitted(self) -> WarehouseRead:
        while not self.kept or not self.kept[-1].query_id:  # noqa: ASYNC110 - a thread compiles the statement
            await asyncio.sleep(0.01)
        return self.kept[-1]


async def cancel(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    one = Aggregate(profiles=1)
    monkeypatch.setattr("worker.clusters.sql.CompiledStatement.aggregate", lambda *_: one)
    return Service()


async def test_a_successor_attaches_to_the_statement_and_pays_for_none(service: Service) -> None:
    first = Job(service)
    task = first.start()
    read = await first.submitted()
    assert [one.query_id for one in first.kept] == ["", "q1"]
    assert service.ended == ["segment-personas syn_1"]
    await cancel(task)
    assert service.cancelled == []  # the worker stops, and the statement runs on
    service.finish.set()
    successor = Job(service, read)
    await successor.start()
    assert (len(service.submitted), service.cancelled) == (1, [])
    assert (successor.kept[-1].query_id, successor.kept[-1].bytes) == ("q1", 4096)


async def test_a_cancelled_sync_ends_its_statement(service: Service) -> None:
    job = Job(service)
    task = job.start()
    await job.submitted()
    job.is_cancelled = True
    await cancel(task)
    assert service.cancelled == ["q1"]


async def test_a_statement_of_other_rules_or_another_time_is_replaced(service: Service) -> None:
    first = Job(service)
    task = first.start()
    read = await first.submitted()
    await cancel(task)
    service.finish.set()
    restarted = Job(service, read, as_of=2e9)
    await restarted.start()
    assert (len(service.submitted), service.cancelled) == (2, ["q1"])


async def test_a_job_that_was_replaced_ends_no_statement_but_its_own(service: Service) -> None:
    late = Job(service)
    late.is_lost = True
    with pytest.raises(LeaseLost):
        await late.start()
    assert (service.submitted, service.ended) == ([], [])
