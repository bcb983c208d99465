"""How a worker takes its share of the queue."""

from __future__ import annotations

import asyncio

import aiohttp
from arq.worker import func

from tests.support.fake_time import FakeTime, context_for
from tests.support.syncs import REQUEST, Syncs
from worker.jobs.runner import SyncWorker
from worker.jobs.tickets import ticket
from worker.store import StorePool

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


def _worker(pool: StorePool, session: aiohttp.ClientSession) -> SyncWorker:
    return SyncWorker(context_for(pool, session, FakeTime(pool), "http://127.0.0.1:1"))
