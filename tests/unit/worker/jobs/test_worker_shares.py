"""How a worker takes its share of the queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection

import aiohttp
import pytest
from arq.worker import func

from tests.support.clocks.fake_time import FakeTime, services_for
from tests.support.syncs.syncs import REQUEST, Syncs
from worker.concurrency import cancel_and_wait
from worker.http.client import new_session
from worker.jobs import arq_worker
from worker.jobs.arq_worker import SyncWorker
from worker.jobs.job_payloads import sync_payload
from worker.store import StorePool
from worker.store.queue import TakenJobs

SYNCS = 16
NEVER_S = 3600.0


async def test_workers_that_ask_together_share_what_is_there(fake_pool: StorePool) -> None:
    for number in range(SYNCS):
        await _enqueue(fake_pool, f"s{number}")
    async with (
        new_session() as session,
        _taking(_worker(fake_pool, session), _worker(fake_pool, session)) as started,
    ):
        shares = Counter([await started.get() for _ in range(SYNCS)])
    assert min(shares.values()) >= SYNCS // 2 - 1  # a greedy one would have filled its ten slots


async def test_a_worker_that_lists_for_all_leaves_the_next_jobs_to_the_others(
    fake_pool: StorePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arq_worker, "LISTING_POLL_S", NEVER_S)
    async with new_session() as session:
        lists, other = _worker(fake_pool, session, poll_s=NEVER_S), _worker(fake_pool, session)
        lists._listings.count = 1
        async with _taking(lists, other) as started:
            for number in range(3):
                await _enqueue(fake_pool, f"s{number}")
                assert await started.get() is other


async def test_a_worker_that_lists_takes_only_what_the_others_leave(fake_pool: StorePool) -> None:
    async with new_session() as session:
        lists = _worker(fake_pool, session, poll_s=NEVER_S)
        lists._listings.count = 1
        async with _taking(lists) as started:
            for number in range(3):
                await _enqueue(fake_pool, f"s{number}")
                assert await started.get() is lists


@contextlib.asynccontextmanager
async def _taking(*workers: SyncWorker) -> AsyncIterator[asyncio.Queue[SyncWorker]]:
    """Workers that take jobs, which then continue until the end; yields who has started one."""
    started: asyncio.Queue[SyncWorker] = asyncio.Queue()

    def walk_of(worker: SyncWorker) -> Callable[..., Awaitable[None]]:
        async def walk(ctx: dict[str, object], sync_id: str, epoch: int) -> None:
            started.put_nowait(worker)
            await asyncio.Event().wait()

        return walk

    for worker in workers:
        worker.functions["walk"] = func(walk_of(worker), name="walk")
    looked = [_first_look(worker) for worker in workers]
    taking = [asyncio.create_task(worker.main()) for worker in workers]
    try:
        for look in looked:
            await look.wait()
        yield started
    finally:
        await cancel_and_wait(taking)
        for worker in workers:
            await worker.stop()


def _first_look(worker: SyncWorker) -> asyncio.Event:
    """Is set once the worker has looked at the queue."""
    looked, take = asyncio.Event(), worker._queue.take_jobs

    async def look(most: int, in_progress_s: float, *, running: Collection[str] = ()) -> TakenJobs:
        try:
            return await take(most, in_progress_s, running=running)
        finally:
            looked.set()

    worker._queue.take_jobs = look  # type: ignore[method-assign]
    return looked


async def _enqueue(pool: StorePool, sync_id: str) -> None:
    request = REQUEST.model_copy(update={"space_id": sync_id})
    await Syncs(pool).client.create(sync_id, request, sync_payload(sync_id, "walk", 1))


def _worker(pool: StorePool, session: aiohttp.ClientSession, **settings: object) -> SyncWorker:
    return SyncWorker(services_for(pool, session, FakeTime(pool), "http://127.0.0.1:1", **settings))
