"""Schedules in Redis: their ticks, handled once however many look, and what a clock that was set back does to them."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.syncs.schedules import LATER, NIGHTLY, REQUEST, TICK, Schedules
from worker.models.schedule import Schedule, UnreadableSchedule
from worker.models.sync import SyncState
from worker.store import StorePool, keys
from worker.store.schedules import schedule_store
from worker.store.schedules.schedule_store import FiredTick


@pytest.fixture
def schedules(pool: StorePool) -> Schedules:
    return Schedules(pool)


async def test_adding_again_changes_options_and_keeps_tick_and_pause(schedules: Schedules) -> None:
    assert await schedules.client.add(NIGHTLY) == "created"
    before = await schedules.status()
    await schedules.client.pause(NIGHTLY, paused=True)
    assert await schedules.client.add(NIGHTLY.model_copy(update={"missed": "skip"})) == "changed"
    after = await schedules.status()
    assert (after.schedule.missed, after.paused, after.created_at) == ("skip", True, before.created_at)
    await schedules.client.pause(NIGHTLY, paused=False)
    assert (await schedules.status()).next_tick == before.next_tick


async def test_the_number_of_schedules_is_bounded(schedules: Schedules, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_store, "MOST", 1)
    assert await schedules.client.add(NIGHTLY) == "created"
    assert await schedules.client.add(Schedule(request=REQUEST, cron="0 4 * * *")) == "full"
    assert await schedules.client.add(NIGHTLY) == "changed"
    assert [one.id for one in await schedules.client.all()] == [NIGHTLY.id]


async def test_a_tick_is_handled_once_however_many_look(schedules: Schedules) -> None:
    await schedules.come_due()
    fired = await asyncio.gather(*(schedules.fire() for _ in range(20)))
    assert [one.result for one in fired].count("started") == 1
    assert await schedules.pool.zcard(keys.SYNCS) == 1
    sync = await schedules.syncs.get(NIGHTLY.sync_id(TICK))
    assert (sync.state, sync.request) == (SyncState.QUEUED, REQUEST)
    assert await schedules.pool.zrange(keys.QUEUE, 0, -1) == [f"{sync.id}:walk:1".encode()]
    status = await schedules.status()
    assert (status.last_tick, status.last_result, status.last_sync_id) == (TICK, "started", sync.id)
    assert status.next_tick == LATER


async def test_a_tick_whose_script_was_cut_short_finds_its_sync(schedules: Schedules) -> None:
    await schedules.come_due()
    await schedules.fire()
    await schedules.come_due()  # Redis has lost what followed the creation of the sync
    assert await schedules.fire() == FiredTick("started", NIGHTLY.sync_id(TICK))
    assert await schedules.pool.zcard(keys.SYNCS) == 1


async def test_a_sync_with_the_same_options_is_followed(schedules: Schedules) -> None:
    await schedules.syncs.create("manual", REQUEST)
    await schedules.come_due()
    assert await schedules.fire() == FiredTick("followed", "manual")
    assert await schedules.pool.zcard(keys.SYNCS) == 1
    assert (await schedules.status()).next_tick == LATER


async def test_a_sync_with_other_options_is_waited_for(schedules: Schedules) -> None:
    await schedules.syncs.create("preview", REQUEST.model_copy(update={"plan_only": True}))
    await schedules.come_due()
    assert await schedules.fire() == FiredTick("waiting", "preview")
    status = await schedules.status()
    assert (status.next_tick, status.last_result) == (TICK, "waiting")
    assert (await schedules.ticks.due())[1] == []
    await schedules.syncs.client.cancel("preview")
    assert (await schedules.fire()).result == "started"


async def test_a_sync_of_a_schedule_belongs_to_its_account(schedules: Schedules) -> None:
    schedule = Schedule(request=REQUEST, cron="0 3 * * *", account="a1")
    await schedules.come_due(schedule)
    await schedules.fire(schedule)
    assert (await schedules.syncs.get(schedule.sync_id(TICK))).owner == "a1"
    assert await schedules.pool.zcard(keys.queue("a1")) == 1


async def test_a_paused_or_removed_schedule_is_never_due(schedules: Schedules) -> None:
    await schedules.come_due()
    await schedules.client.pause(NIGHTLY, paused=True)
    assert (await schedules.ticks.due())[1] == []
    assert (await schedules.fire()).result is None
    assert await schedules.client.remove(NIGHTLY.id)
    assert not await schedules.client.remove(NIGHTLY.id)
    assert (await schedules.fire()).result is None
    assert await schedules.pool.zcard(keys.SYNCS) == 0


async def test_entries_without_a_schedule_are_dropped(schedules: Schedules) -> None:
    await schedules.come_due()
    await schedules.pool.rpush(keys.schedule("list"), "1")  # type: ignore[misc]
    await schedules.pool.zadd(keys.TICKS, {"gone": 1, "list": 2})
    assert [entry.schedule_id for entry in (await schedules.ticks.due())[1]] == [NIGHTLY.id]
    assert await schedules.pool.zrange(keys.TICKS, 0, -1) == [NIGHTLY.id.encode()]


async def test_only_schedules_that_are_due_are_looked_at(schedules: Schedules) -> None:
    await schedules.client.add(NIGHTLY)
    assert (await schedules.ticks.due())[1] == []
    for hour in range(3):
        await schedules.come_due(Schedule(request=REQUEST, cron=f"1 {hour} * * *"), tick=hour)
    assert len((await schedules.ticks.due(2))[1]) == 2


async def test_after_the_clock_was_set_back_ticks_are_computed_again(schedules: Schedules) -> None:
    await schedules.client.add(NIGHTLY)
    await schedules.ticks.due()
    await schedules.pool.hset(keys.CLOCK, keys.TICKS, f"{LATER * 1000:.0f}")  # type: ignore[misc]
    _, (entry,) = await schedules.ticks.due()
    assert (entry.schedule_id, entry.tick) == (NIGHTLY.id, 0.0)
    assert await schedules.ticks.skip(NIGHTLY, 0.0, None, LATER)
    assert (await schedules.status()).next_tick == LATER
    assert (await schedules.ticks.due())[1] == []


async def test_an_unreadable_schedule_is_one_row(schedules: Schedules) -> None:
    await schedules.client.add(NIGHTLY)
    await schedules.client.add(Schedule(request=REQUEST, cron="0 4 * * *"))
    await schedules.pool.hset(keys.schedule(NIGHTLY.id), "document", '{"version": 9}')  # type: ignore[misc]
    rows = {one.id: one for one in await schedules.client.all()}
    assert len(rows) == 2
    unread = rows[NIGHTLY.id]
    assert isinstance(unread, UnreadableSchedule)
    assert unread.code == "newer_version"
