"""The outbox: each end of a sync is one event, recorded by the script that ends it, until it is delivered."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.support.syncs.schedules import NIGHTLY, REQUEST, Schedules
from tests.support.syncs.syncs import FAILURE, Syncs
from worker.jobs.job_payloads import sync_payload
from worker.models.schedule import Schedule
from worker.models.sync import SyncState
from worker.store import StorePool, keys
from worker.store.schedules.alert_store import AlertStore
from worker.store.webhooks.outbox_store import OutboxStore, PendingEvent
from worker.webhooks.event import Event


@pytest.fixture
async def outbox(pool: StorePool) -> OutboxStore:
    outbox = OutboxStore(pool, "a1")
    await outbox.announce()
    return outbox


@pytest.fixture
def syncs(pool: StorePool) -> Syncs:
    return Syncs(pool, account="a1")


async def end(syncs: Syncs, how: str, sync_id: str = "s1") -> None:
    """Brings a sync to its end."""
    match how:
        case "sync.cancelled":
            await syncs.bring(SyncState.CANCELLED, sync_id)
        case "sync.failed":
            await syncs.bring(SyncState.FAILED, sync_id)
        case "sync.completed":
            await syncs.bring(SyncState.COMPLETED, sync_id)


async def sent(outbox: OutboxStore, pending: PendingEvent) -> Event:
    """The event as it would be sent."""
    sync = await outbox.sync_of(pending)
    assert sync
    return Event.of_sync(pending.id, pending.at, replace(sync, aggregate=b""))  # those of `Syncs` are not statistics


@pytest.mark.parametrize("how", ["sync.cancelled", "sync.failed", "sync.completed"])
async def test_each_end_of_a_sync_is_one_event(syncs: Syncs, outbox: OutboxStore, how: str) -> None:
    await end(syncs, how)
    (pending,) = await outbox.take(10, 60)
    event = await sent(outbox, pending)
    assert (event.type, event.data["sync_id"], pending.attempt) == (how, "s1", 1)
    assert "." not in event.id
    assert await outbox.take(10, 60) == []


async def test_an_event_shows_the_sync_as_it_was_then(syncs: Syncs, outbox: OutboxStore) -> None:
    await end(syncs, "sync.failed")
    failed = await syncs.get()
    await syncs.client.resume(failed, sync_payload("s1", "walk", failed.epoch + 1))
    (pending,) = await outbox.take(10, 60)
    assert (await sent(outbox, pending)).data["status"] == "failed"
    await syncs.client.cancel("s1")
    (second,) = await outbox.take(10, 60)
    assert second.id != pending.id
    assert (await sent(outbox, second)).data["status"] == "cancelled"


async def test_a_script_that_was_cut_short_records_the_same_event(syncs: Syncs, outbox: OutboxStore) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    await syncs.jobs.fail(lease, FAILURE, "token")
    (first,) = await outbox.take(10, 0)
    await syncs.pool.delete(keys.outbox("a1"), keys.event(first.id))
    await syncs.pool.zadd(keys.DUE, {"s1": 1})  # Redis has lost all that followed the new state
    await syncs.watchdog.revive_sync(
        "s1", SyncState.FAILED, 9, sync_payload("s1", "walk", 10), max_revivals=5, message="Lost."
    )
    (again,) = await outbox.take(10, 0)
    assert again.id == first.id
    assert (await sent(outbox, again)).type == "sync.failed"


async def test_without_a_worker_that_delivers_nothing_is_recorded(pool: StorePool) -> None:
    await end(Syncs(pool, account="a1"), "sync.completed")
    await OutboxStore(pool, "other").announce()
    await end(Syncs(pool, account="a1"), "sync.failed", "s2")
    assert [name for name in await Syncs(pool).names() if name.startswith(("sp:event", "sp:outbox"))] == []


async def test_a_sync_that_no_worker_has_taken_is_delivered_by_any(pool: StorePool) -> None:
    await OutboxStore(pool, "a1").announce()
    syncs = Syncs(pool)
    await syncs.create()
    await syncs.client.cancel("s1")
    (pending,) = await OutboxStore(pool, "a2").take(10, 60)
    assert pending.account == ""


async def test_an_event_is_taken_by_one_worker_and_again_if_that_one_dies(syncs: Syncs, outbox: OutboxStore) -> None:
    await end(syncs, "sync.completed")
    taken = await asyncio.gather(*(outbox.take(10, 60) for _ in range(10)))
    (first,) = [event for events in taken for event in events]
    await syncs.pool.zadd(keys.outbox("a1"), {first.id: 1})  # the time is over for which it was held
    (second,) = await outbox.take(10, 60)
    assert (second.id, second.attempt, second.first_at) == (first.id, 2, first.first_at)


async def test_what_is_delivered_or_lost_leaves_nothing_but_a_count(syncs: Syncs, outbox: OutboxStore) -> None:
    for number, how in enumerate(("sync.completed", "sync.failed", "sync.cancelled")):
        await end(syncs, how, f"s{number}")
    delivered, lost, failed = await outbox.take(10, 60)
    await outbox.delivered(delivered)
    await outbox.discard(delivered, "410")  # by a worker that was frozen meanwhile
    for _ in range(2):  # the first answer is lost
        await outbox.discard(lost, "410")
    await outbox.failed(failed, "503", 5)
    status = await outbox.status()
    assert (status.wanted, status.waiting, status.lost, status.error) == (True, 1, 1, "503")
    assert status.delivered_at
    assert {name.split(":")[2] for name in await syncs.names() if name.startswith("sp:event:")} == {failed.id}


async def test_the_outbox_is_bounded(syncs: Syncs, outbox: OutboxStore) -> None:
    await syncs.pool.zadd(keys.outbox("a1"), {f"evt_{number}": number for number in range(1000)})
    await end(syncs, "sync.completed")
    assert await syncs.pool.zcard(keys.outbox("a1")) == 1000
    assert (await outbox.status()).lost == 1
    assert await syncs.pool.zscore(keys.outbox("a1"), "evt_999") is None


async def test_an_event_that_has_expired_is_lost(syncs: Syncs, outbox: OutboxStore) -> None:
    await end(syncs, "sync.completed")
    (name,) = await syncs.pool.zrange(keys.outbox("a1"), 0, -1)
    assert 0 < await syncs.pool.pttl(keys.event(name.decode())) <= 3 * 86_400_000
    await syncs.pool.delete(keys.event(name.decode()))
    assert await outbox.take(10, 60) == []
    assert (await outbox.status()).lost == 1


async def test_low_credits_are_one_event_until_they_recover(outbox: OutboxStore) -> None:
    for low in (False, True, True, False, True):
        await outbox.note_credits(low=low, document="{}")
    events = await outbox.take(10, 60)
    assert [event.kind for event in events] == ["credits.low"] * 2
    assert len({event.id for event in events}) == 2


async def test_an_overdue_schedule_is_one_event_until_a_complete_sync(outbox: OutboxStore, pool: StorePool) -> None:
    schedules, alerts = Schedules(pool), AlertStore(pool)
    schedule = Schedule(request=REQUEST, cron="0 3 * * *", account="a1", alert_after_s=3600)
    await schedules.client.add(schedule)
    for overdue_from, document in ((100, "{}"), (100, "{}"), (200, ""), (300, "{}")):
        await alerts.note_overdue(schedule, overdue_from, 1e9, document)
        assert (await schedules.status(schedule)).overdue is bool(document)
    events = await outbox.take(10, 60)
    assert [event.kind for event in events] == ["sync.overdue"] * 2
    assert len({event.id for event in events}) == 2
    await schedules.client.pause(schedule, paused=True)
    await alerts.note_overdue(schedule, 400, 1e9, "{}")
    assert await outbox.take(10, 60) == []


async def test_a_schedule_without_an_alert_is_not_checked(pool: StorePool) -> None:
    await Schedules(pool).client.add(NIGHTLY)
    assert (await AlertStore(pool).due())[1] == []


async def test_after_the_clock_was_set_back_all_events_are_due(syncs: Syncs, outbox: OutboxStore) -> None:
    await end(syncs, "sync.completed")
    (pending,) = await outbox.take(10, 60)
    await outbox.failed(pending, "503", 3600)
    assert await outbox.take(10, 60) == []
    await syncs.pool.hset(keys.CLOCK, keys.outbox("a1"), "4102444800000")  # type: ignore[misc]
    (again,) = await outbox.take(10, 60)
    assert again.id == pending.id
