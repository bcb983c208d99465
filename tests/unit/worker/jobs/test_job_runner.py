"""A worker that stops keeps nothing of what it took from the queue."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp
from arq.worker import func

from tests.support.clocks.fake_time import FakeTime, services_for
from tests.support.syncs.syncs import Syncs
from worker.jobs.arq_worker import SyncWorker
from worker.jobs.job_payloads import sync_payload
from worker.jobs.job_runner import SyncJob, run_job
from worker.jobs.lease import Lease
from worker.jobs.services import WorkerServices
from worker.jobs.store_factories import mavera_account
from worker.metrics.worker_metrics import WorkerMetrics
from worker.store import JobSyncStore, LeaseGrant, StorePool, embedded_pool
from worker.store.connection.outage import Outage
from worker.store.connection.pool import closing
from worker.store.progress.sync_progress import StartedJob, new_token


class _Far(Outage):
    """Redis is some steps of the event loop away: a command can be on its way there, or its answer on its way back."""

    async def wait_out(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        await self._travel()
        answer = await super().wait_out(attempt)
        await self._travel()
        return answer

    async def _travel(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)


class _Walk:
    """A walk that waits until it is asked to stop, and then hands over. begun: how many have got so far as to wait."""

    def __init__(self) -> None:
        self.begun = 0

    async def job(self, ctx: dict[str, WorkerServices], sync_id: str, epoch: int) -> None:
        syncs = ctx["worker"].syncs
        build = partial(_Waiting, self, syncs)
        await run_job(SyncJob(syncs, sync_id, epoch, "walk", heartbeat_s=60, build=build), WorkerMetrics())


class _Waiting:
    """The work of a `_Walk`."""

    def __init__(self, walk: _Walk, syncs: JobSyncStore, started: StartedJob, lease: Lease[LeaseGrant]) -> None:
        self._walk = walk
        self._syncs = syncs
        self._grant = started.lease
        self._lease = lease

    async def run(self) -> None:
        try:
            self._walk.begun += 1
            await asyncio.Event().wait()
        finally:
            await self._lease.stop()
            following = sync_payload(self._grant.sync_id, "walk", self._grant.epoch + 1)
            await self._syncs.hand_over(self._grant, following, new_token())


async def test_a_worker_stopped_at_any_step_hands_its_sync_over_at_once() -> None:
    """Taken and not begun is where a job could be lost: until the watchdog misses it, no other worker may take it."""
    walk, steps = _Walk(), 0
    async with aiohttp.ClientSession() as session:
        while not walk.begun:
            async with closing(embedded_pool()) as pool:
                pool.outage = _Far(math.inf)
                worker = _worker(pool, session)
                syncs = Syncs(pool, account=account_of(worker))
                await syncs.create()
                worker.functions["walk"] = func(walk.job, name="walk")
                main = asyncio.create_task(worker.main())
                for _ in range(steps):
                    await asyncio.sleep(0)
                main.cancel()
                await asyncio.wait({main})
                await worker.stop()
                now = await syncs.get()
                following = await syncs.queue.take_jobs(5, 60)
                assert [taken.job_id.decode() for taken in following.jobs] == [f"s1:walk:{now.epoch}"], steps
                await syncs.begin()  # it is good for that, too
            steps += 1
    assert steps > 20  # of the event loop: taking, arq's start, and the beginning


def _worker(pool: StorePool, session: aiohttp.ClientSession) -> SyncWorker:
    return SyncWorker(services_for(pool, session, FakeTime(pool), "http://127.0.0.1:1"))


def account_of(worker: SyncWorker) -> str:
    return mavera_account(worker.ctx["worker"].settings)


async def test_a_worker_that_runs_out_of_memory_says_so_and_the_sync_can_be_resumed() -> None:
    async with closing(embedded_pool()) as pool, aiohttp.ClientSession() as session:
        worker = _worker(pool, session)
        syncs = Syncs(pool, account=account_of(worker))
        await syncs.create()

        class Hungry:
            async def run(self) -> None:
                raise MemoryError

        store = worker.ctx["worker"].syncs
        await run_job(SyncJob(store, "s1", 1, "walk", heartbeat_s=60, build=lambda *_: Hungry()), WorkerMetrics())
        error = (await syncs.get()).error
        assert error is not None
        assert (error.code, error.resumable) == ("out_of_memory", True)
        assert "WORKER_SLOTS" in error.hint
        assert "WORKER_SLOTS" not in error.message
