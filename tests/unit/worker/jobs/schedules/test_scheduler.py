"""The scheduler: ticks that were missed, and schedules that cannot be handled."""

from __future__ import annotations

import logging

import pytest

from tests.support.syncs.schedules import NIGHTLY, REQUEST, Schedules
from worker.jobs.schedules.scheduler import Scheduler
from worker.models.schedule import Schedule
from worker.store import StorePool, keys


@pytest.fixture
def schedules(fake_pool: StorePool) -> Schedules:
    return Schedules(fake_pool)


async def look(schedules: Schedules) -> None:
    await Scheduler(schedules.ticks).check_due()


async def test_ticks_that_no_worker_saw_are_made_up_by_one_sync(schedules: Schedules) -> None:
    await schedules.come_due()  # decades ago
    await look(schedules)
    await look(schedules)
    (sync_id,) = await schedules.pool.zrange(keys.SYNCS, 0, -1)
    status = await schedules.status()
    now = await schedules.pool.now()
    assert (status.last_result, status.last_tick) == ("started", NIGHTLY.times.latest_until(now))
    assert status.last_sync_id == sync_id.decode()
    assert status.next_tick == NIGHTLY.times.next_after(now)


async def test_missed_ticks_are_skipped_if_chosen(schedules: Schedules, caplog: pytest.LogCaptureFixture) -> None:
    yearly = Schedule(request=REQUEST, cron="0 0 1 1 *", missed="skip")
    await schedules.come_due(yearly)
    await look(schedules)
    assert await schedules.pool.zcard(keys.SYNCS) == 0
    assert (await schedules.status(yearly)).last_result == "skipped"
    assert "skipped" in caplog.text


async def test_a_tick_in_time_is_not_missed(schedules: Schedules) -> None:
    every_minute = Schedule(request=REQUEST, cron="* * * * *", missed="skip")
    await schedules.come_due(every_minute)
    await look(schedules)
    assert (await schedules.status(every_minute)).last_result == "started"


async def test_a_tick_that_was_handled_before_the_clock_was_set_back_is_not_repeated(schedules: Schedules) -> None:
    await schedules.come_due()
    await look(schedules)
    await schedules.pool.flushdb()  # so that only the schedule itself knows of its last tick
    await schedules.client.add(NIGHTLY)
    await schedules.pool.hset(keys.schedule(NIGHTLY.id), "next", "0")  # type: ignore[misc]
    await schedules.pool.zadd(keys.TICKS, {NIGHTLY.id: 1})
    await look(schedules)
    assert await schedules.pool.zcard(keys.SYNCS) == 0
    assert (await schedules.status()).next_tick == NIGHTLY.times.next_after(await schedules.pool.now())


async def test_a_schedule_that_cannot_be_handled_does_not_keep_others_from_starting(
    schedules: Schedules, caplog: pytest.LogCaptureFixture
) -> None:
    newer, broken = (Schedule(request=REQUEST, cron=f"{minute} 3 * * *") for minute in (1, 2))
    for schedule, document in ((newer, '{"version": 2}'), (broken, "{"), (NIGHTLY, None)):
        await schedules.come_due(schedule)
        if document:
            await schedules.pool.hset(keys.schedule(schedule.id), "document", document)  # type: ignore[misc]
    with caplog.at_level(logging.WARNING):
        await look(schedules)
    assert await schedules.pool.zcard(keys.SYNCS) == 1
    assert [broken.id in record.message for record in caplog.records] == [True]
    assert (await schedules.ticks.due())[1] == []  # both are looked at later
    assert await schedules.pool.zcard(keys.TICKS) == 3
