"""The watcher's pass and the frame of a job, when what stands in Redis is broken."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from tests.support.fake_time import FakeTime, context_for
from worker.http.client import new_session
from worker.jobs.fetch.fetch_job import walk
from worker.jobs.job_payloads import sync_payload
from worker.jobs.services import WorkerContext
from worker.jobs.watchdog import check_due
from worker.models.sync import SyncRequest
from worker.store import StorePool, keys


@pytest.fixture
async def context(fake_pool: StorePool) -> AsyncIterator[WorkerContext]:
    async with new_session() as session:
        yield context_for(fake_pool, session, FakeTime(fake_pool), "http://127.0.0.1:1")


async def create(context: WorkerContext, sync_id: str) -> None:
    """A sync whose job is lost."""
    await context.syncs.create(sync_id, SyncRequest(space_id=sync_id), sync_payload(sync_id, "walk", 1))
    await context.pool.delete(context.queue.name)


async def silence(context: WorkerContext, *sync_ids: str) -> None:
    await context.pool.zadd(keys.DUE, {sync_id: number for number, sync_id in enumerate(sync_ids, start=1)})


async def test_one_broken_sync_does_not_keep_the_others_from_being_revived(
    context: WorkerContext, caplog: pytest.LogCaptureFixture
) -> None:
    for sync_id in ("broken", "fine"):
        await create(context, sync_id)
    await context.pool.hdel(keys.sync("broken"), "revivals")
    await silence(context, "broken", "fine")
    with caplog.at_level(logging.WARNING):
        await check_due(context)
    assert [record.message.partition(":")[0] for record in caplog.records] == ["broken", "fine"]
    revived = await context.syncs.get("fine")
    assert revived
    assert revived.epoch == 2
    assert await context.syncs.due() == []  # the broken one has its next look later
    assert await context.pool.zscore(keys.DUE, "broken") is not None


async def test_a_job_of_a_broken_sync_ends_with_one_line(
    context: WorkerContext, caplog: pytest.LogCaptureFixture
) -> None:
    await create(context, "broken")
    await context.pool.hdel(keys.sync("broken"), "request")
    with caplog.at_level(logging.WARNING):
        await walk({"worker": context}, "broken", 1)
    (record,) = caplog.records
    assert record.message.startswith("broken: walk of epoch 1 cannot begin: ")
    assert record.exc_info is None
