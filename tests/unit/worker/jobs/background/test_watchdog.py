"""The watchdog and a job, when the data of a sync in Redis is broken."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from tests.support.clocks.fake_time import FakeTime, client_of, services_for
from tests.support.syncs.schedules import Schedules
from worker.http.client import new_session
from worker.jobs.composition.background import build_watchdog
from worker.jobs.composition.tasks import walk
from worker.jobs.job_payloads import sync_payload
from worker.jobs.services import WorkerServices
from worker.models.request import SyncRequest
from worker.store import StorePool, keys


@pytest.fixture
async def services(fake_pool: StorePool) -> AsyncIterator[WorkerServices]:
    async with new_session() as session:
        yield services_for(fake_pool, session, FakeTime(fake_pool), "http://127.0.0.1:1")


async def create(services: WorkerServices, sync_id: str) -> None:
    """A sync whose job is lost."""
    await client_of(services).create(sync_id, SyncRequest(space_id=sync_id), sync_payload(sync_id, "walk", 1))
    await services.pool.delete(services.queue.name)


async def silence(services: WorkerServices, *sync_ids: str) -> None:
    await services.pool.zadd(keys.DUE, {sync_id: number for number, sync_id in enumerate(sync_ids, start=1)})


async def test_one_broken_sync_does_not_keep_the_others_from_being_revived(
    services: WorkerServices, caplog: pytest.LogCaptureFixture
) -> None:
    for sync_id in ("broken", "fine"):
        await create(services, sync_id)
    await services.pool.hdel(keys.sync("broken"), "revivals")
    await silence(services, "broken", "fine")
    with caplog.at_level(logging.WARNING):
        await build_watchdog(services).check_due()
    assert [record.message.partition(":")[0] for record in caplog.records] == ["broken", "fine"]
    revived = await services.syncs.get("fine")
    assert revived
    assert revived.epoch == 2
    assert await services.watchdog.due() == []  # the broken one has its next look later
    assert await services.pool.zscore(keys.DUE, "broken") is not None


@pytest.mark.parametrize(("looks_before", "frozen_s", "epoch"), [(True, 0, 1), (False, 0, 2), (True, 90, 2)])
async def test_what_fell_silent_in_an_outage_is_spared_by_a_worker_that_watched(
    services: WorkerServices, *, looks_before: bool, frozen_s: float, epoch: int
) -> None:
    await create(services, "s1")
    watchdog = build_watchdog(services)
    if looks_before:
        await watchdog.check_once()
    await services.sleep(frozen_s)
    seconds, _ = await services.pool.time()
    await services.pool.hset(keys.CLOCK, keys.DUE, f"{(int(seconds) - 60) * 1000}")  # type: ignore[misc]
    await services.pool.zadd(keys.DUE, {"s1": (int(seconds) - 1) * 1000})
    await services.pool.delete(keys.WATCH)
    await watchdog.check_once()
    found = await services.syncs.get("s1")
    assert found
    assert found.epoch == epoch


async def test_a_worker_of_one_command_starts_no_tick(services: WorkerServices, fake_pool: StorePool) -> None:
    schedules = Schedules(fake_pool)
    await schedules.come_due()
    for own_syncs, ticks in ((set(), 0), (None, 1)):
        services.own_syncs = own_syncs
        await fake_pool.delete(keys.WATCH)
        await build_watchdog(services).check_once()
        assert await fake_pool.zcard(keys.SYNCS) == ticks


async def test_a_job_of_a_broken_sync_ends_with_one_line(
    services: WorkerServices, caplog: pytest.LogCaptureFixture
) -> None:
    await create(services, "broken")
    await services.pool.hdel(keys.sync("broken"), "request")
    with caplog.at_level(logging.WARNING):
        await walk({"worker": services}, "broken", 1)
    (record,) = caplog.records
    assert record.message.startswith("broken: fetch job of epoch 1 cannot start: ")
    assert record.exc_info is None
