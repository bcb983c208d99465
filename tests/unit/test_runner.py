"""How a worker takes its share of the queue, and that it keeps nothing of it when it stops."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from arq.worker import func

from tests.support.fake_time import FakeTime, context_for
from tests.support.syncs import REQUEST, Syncs
from worker.jobs import job
from worker.jobs.context import WorkerContext
from worker.jobs.lease import Lease
from worker.jobs.runner import SyncWorker
from worker.jobs.tickets import ticket
from worker.store import LeaseGrant, StorePool, embedded_pool
from worker.store.outage import Outage
from worker.store.pool import closing
from worker.store.syncs import Begun, new_token

SYNCS = 16


async def test_workers_that_ask_together_share_what_is_there(fake_pool: StorePool) -> None:
    syncs = Syncs(fake_pool)
    for number in range(SYNCS):
        request = REQUEST.model_copy(update={"space_id": f"s{number}"})
        await syncs.store.create(f"s{number}", request, ticket(f"s{number}", "walk", 1))
    started, all_started = 0, asyncio.Event()

    async def walk(ctx: dict[str, object], sync_id: str, epoch: int) -> None:
        nonlocal started
        started += 1
        if started == SYNCS:
            all_started.set()
        await asyncio.Event().wait()

    async with aiohttp.ClientSession() as session:
        workers = [_worker(fake_pool, session), _worker(fake_pool, session)]
        for worker in workers:
            worker.functions["walk"] = func(walk, name="walk")
        taking = [asyncio.create_task(worker.main()) for worker in workers]
        await all_started.wait()
        shares = [len(worker.tasks) for worker in workers]
        for task in taking:
            task.cancel()
        await asyncio.wait(taking)
        for worker in workers:
            await worker.stop()
    assert sum(shares) == SYNCS
    assert min(shares) >= SYNCS // 2 - 1  # a greedy one would have filled its ten slots


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
    """A walk that waits until it is told to stop, and then hands over. begun: how many have got so far as to wait."""

    def __init__(self) -> None:
        self.begun = 0

    async def job(self, ctx: dict[str, WorkerContext], sync_id: str, epoch: int) -> None:
        await job.run_epoch(ctx["worker"], sync_id, epoch, "walk", self._work)

    async def _work(self, context: WorkerContext, begun: Begun, lease: Lease[LeaseGrant]) -> None:
        try:
            self.begun += 1
            await asyncio.Event().wait()
        finally:
            await lease.stop()
            grant = begun.lease
            await context.syncs.hand_over(grant, ticket(grant.sync_id, "walk", grant.epoch + 1), new_token())


async def test_a_worker_that_is_told_to_stop_at_any_step_leaves_its_sync_to_the_next_at_once() -> None:
    """Taken and not begun is where a job could be lost: until the watcher misses it, nobody else may have it."""
    walk, steps = _Walk(), 0
    async with aiohttp.ClientSession() as session:
        while not walk.begun:
            async with closing(embedded_pool()) as pool:
                pool.outage = _Far(math.inf)
                syncs = Syncs(pool)
                await syncs.create()
                worker = _worker(pool, session)
                worker.functions["walk"] = func(walk.job, name="walk")
                main = asyncio.create_task(worker.main())
                for _ in range(steps):
                    await asyncio.sleep(0)
                main.cancel()
                await asyncio.wait({main})
                await worker.stop()
                now = await syncs.get()
                following = await syncs.queue.take(5, 60)
                assert [taken.job_id.decode() for taken in following.jobs] == [f"s1:walk:{now.epoch}"], steps
                await syncs.begin()  # it is good for that, too
            steps += 1
    assert steps > 20  # of the event loop: taking, arq's start, and the beginning


def _worker(pool: StorePool, session: aiohttp.ClientSession) -> SyncWorker:
    return SyncWorker(context_for(pool, session, FakeTime(pool), "http://127.0.0.1:1"))
