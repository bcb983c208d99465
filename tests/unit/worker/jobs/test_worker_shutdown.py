"""A worker that is asked to stop just as a job makes a move: on its way there the command is lost, or on its way back
the answer. Either way the sync, and a batch of it, has its next job or its end, without the watchdog.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from tests.support.clocks.fake_time import FakeTime, client_of, services_for
from tests.support.clocks.virtual_time import now, run_in_virtual_time
from worker.http.client import new_session
from worker.jobs.arq_worker import SyncWorker
from worker.jobs.composition.tasks import batch, finalize, walk
from worker.jobs.fetch.fetch_job import FetchJob
from worker.jobs.fetch.fetch_strategy import HandOver
from worker.jobs.job_payloads import batch_payload, sync_payload
from worker.jobs.lease import Lease
from worker.jobs.services import WorkerServices
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState, job_kind
from worker.store import StorePool, embedded_pool
from worker.store.connection.pool import closing

Job = Callable[..., Awaitable[None]]
REFUSED = Fault("segment", "status", page=1, status=401)
LATER = Fault("segment", "status", page=1, status=429, retry_after="60")
MAVERA_LATER = Fault("mavera", "status", route="create", status=429, retry_after="60")
CUTS = pytest.mark.parametrize("arrives", [False, True], ids=["never sent", "answer lost"])


class ShutdownScenario:
    """The sync s1 of a small space, and a worker's services."""

    def __init__(self, sandbox: Sandbox, services: WorkerServices) -> None:
        self.sandbox = sandbox
        self.services = services

    async def create(self, strategy: str = "chain") -> None:
        request = SyncRequest.model_validate({"space_id": "s", "strategy": strategy})
        await client_of(self.services).create("s1", request, sync_payload("s1", "walk", 1))

    async def sync(self) -> Sync:
        sync = await self.services.syncs.get("s1")
        assert sync
        return sync

    async def run(self, job: Job, *args: int) -> None:
        await job({"worker": self.services}, "s1", *args)

    async def run_cut_off(self, job: Job, *args: int, store: object, move: str, arrives: bool) -> None:
        """Runs a job that is cancelled while it makes its first move of that name."""
        original = getattr(store, move)
        cut = False

        async def cut_off(*given: Any, **options: Any) -> Any:
            nonlocal cut
            cut = True
            setattr(store, move, original)
            answer = await original(*given, **options) if arrives else None
            running.cancel()
            await asyncio.sleep(0.01)  # raises the cancellation, unless this was spared it
            return answer if arrives else await original(*given, **options)

        setattr(store, move, cut_off)
        running = asyncio.ensure_future(self.run(job, *args))
        await asyncio.wait({running})
        assert cut
        assert running.cancelled()

    async def assert_goes_on(self, epoch: int) -> None:
        """The sync is in this epoch, whose job waits; in fan-out it may be its batches that continue it."""
        sync = await self.sync()
        assert (sync.state.is_final, sync.epoch) == (False, epoch)
        waiting = {raw.decode() for raw in await self.services.pool.zrange(self.services.queue.name, 0, -1)}
        batches = {batch_payload(key).job_id for key in sync.outstanding}
        assert batches <= waiting
        assert batches or f"s1:{job_kind(sync.state)}:{epoch}" in waiting


@pytest.fixture
async def scenario(fake_pool: StorePool) -> AsyncIterator[ShutdownScenario]:
    async with Sandbox(SandboxOptions(spaces={"s": SpaceSpec(500, "wide")})) as sandbox, new_session() as session:
        yield ShutdownScenario(sandbox, services_for(fake_pool, session, FakeTime(fake_pool), sandbox.url))


@CUTS
@pytest.mark.parametrize("fault", [None, REFUSED, LATER])
@pytest.mark.parametrize(("strategy", "move"), [("chain", "commit"), ("fan-out", "commit_listing")])
async def test_a_fetch_job_whose_last_commit_is_cut_off_has_a_next_one(
    scenario: ShutdownScenario, strategy: str, move: str, fault: Fault | None, arrives: bool
) -> None:
    if fault:
        scenario.sandbox.add_fault(fault)
    await scenario.create(strategy)
    store = scenario.services.syncs
    await scenario.run_cut_off(walk, 1, store=store, move=move, arrives=arrives)
    await scenario.assert_goes_on(2)


async def test_a_fetch_job_stopped_behind_its_own_commit_has_a_next_one(
    scenario: ShutdownScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages are read while the first commit is still under way, and the last one waits for that."""
    scenario.services.settings = scenario.services.settings.model_copy(update={"commit_interval_s": 0.0})
    commit, go_on, last_page_read = scenario.services.syncs.commit, asyncio.Event(), asyncio.Event()
    calls = 0

    async def slow_at_first(*given: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            await go_on.wait()
        return await commit(*given, **options)

    async def leaves(self: FetchJob, hand_over: HandOver) -> None:
        last_page_read.set()
        await leave(self, hand_over)

    leave = FetchJob._hand_over
    monkeypatch.setattr(scenario.services.syncs, "commit", slow_at_first)
    monkeypatch.setattr(FetchJob, "_hand_over", leaves)
    await scenario.create()
    running = asyncio.create_task(scenario.run(walk, 1))
    await last_page_read.wait()
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.wait({running})
    assert running.cancelled()
    await scenario.assert_goes_on(2)
    assert (await scenario.sync()).pages == 3


@CUTS
async def test_a_failure_is_reported_though_the_worker_stops(scenario: ShutdownScenario, arrives: bool) -> None:
    scenario.sandbox.add_fault(REFUSED)
    await scenario.create()
    await scenario.run_cut_off(walk, 1, store=scenario.services.syncs, move="fail", arrives=arrives)
    sync = await scenario.sync()
    assert sync.error
    assert (sync.state, sync.error.resumable) == (SyncState.FAILED, True)


async def test_a_failure_is_reported_though_the_worker_stops_before_the_job(scenario: ShutdownScenario) -> None:
    """The job's signs of life end first, which takes a moment."""
    lease_stop, stopped = Lease.stop, False

    async def stop(self: Lease[Any]) -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            running.cancel()
        await lease_stop(self)

    scenario.sandbox.add_fault(REFUSED)
    await scenario.create()
    running = asyncio.create_task(scenario.run(walk, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lease, "stop", stop)
        await asyncio.wait({running})
    assert running.cancelled()
    assert (await scenario.sync()).state is SyncState.FAILED


@CUTS
async def test_a_batch_that_must_wait_and_is_cut_off_has_its_next_try(
    scenario: ShutdownScenario, arrives: bool
) -> None:
    await scenario.create("fan-out")
    await scenario.run(walk, 1)
    [key] = (await scenario.sync()).outstanding
    scenario.sandbox.add_fault(LATER)
    args = (key.slot, key.number, key.attempt)
    await scenario.run_cut_off(batch, *args, store=scenario.services.batches, move="retry", arrives=arrives)
    assert (await scenario.sync()).outstanding == (key.next_attempt(),)
    await scenario.assert_goes_on(2)


@CUTS
async def test_a_batch_whose_count_is_cut_off_is_counted_or_has_its_next_try(
    scenario: ShutdownScenario, arrives: bool
) -> None:
    await scenario.create("fan-out")
    await scenario.run(walk, 1)
    [key] = (await scenario.sync()).outstanding
    args = (key.slot, key.number, key.attempt)
    await scenario.run_cut_off(batch, *args, store=scenario.services.batches, move="count", arrives=arrives)
    assert (await scenario.sync()).outstanding == (() if arrives else (key.next_attempt(),))
    await scenario.assert_goes_on(3 if arrives else 2)


@CUTS
@pytest.mark.parametrize(("fault", "move"), [(None, "complete"), (MAVERA_LATER, "hand_over")])
async def test_a_finalizer_whose_last_move_is_cut_off_is_through_or_has_a_next_one(
    scenario: ShutdownScenario, fault: Fault | None, move: str, arrives: bool
) -> None:
    if fault:
        scenario.sandbox.add_fault(fault)
    await scenario.create()
    await scenario.run(walk, 1)
    await scenario.run_cut_off(finalize, 2, store=scenario.services.syncs, move=move, arrives=arrives)
    if move == "complete" and arrives:
        assert (await scenario.sync()).state is SyncState.COMPLETED
    else:
        await scenario.assert_goes_on(3)


def test_a_stuck_job_delays_the_end_of_a_worker_by_less_than_9_s() -> None:
    async def stuck(released: asyncio.Event) -> None:
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    async def stop_beside_it() -> None:
        released = asyncio.Event()
        async with closing(embedded_pool()) as pool, new_session() as session:
            worker = SyncWorker(services_for(pool, session, FakeTime(pool), "http://127.0.0.1:1"))
            job = worker.tasks["job"] = asyncio.create_task(stuck(released))
            await asyncio.sleep(0)
            began_at = now()
            await worker.stop()
            assert now() - began_at < 9
            assert not job.done()
            released.set()
            await job

    run_in_virtual_time(stop_beside_it)
