"""`sync.overdue`: once when a space had no complete sync for too long, and again only after a complete one."""

from __future__ import annotations

import json

import pytest

from tests.support.syncs.schedules import REQUEST, Schedules
from tests.support.syncs.spaces import snapshot
from worker.jobs.schedules.overdue_watch import OverdueWatch
from worker.models.schedule import Schedule
from worker.store import StorePool, keys
from worker.store.schedules.alert_store import AlertStore
from worker.store.webhooks.outbox_store import OutboxStore, PendingEvent

WATCHED = Schedule(request=REQUEST, cron="0 3 * * *", alert_after_s=7200)


class Watch:
    """A schedule that was added long ago, and what a look at it brings."""

    def __init__(self, pool: StorePool) -> None:
        self.pool = pool
        self.schedules = Schedules(pool)
        self.alerts = AlertStore(pool)
        self.outbox = OutboxStore(pool)

    async def complete(self, ago_s: float) -> None:
        """The space had a complete sync so many seconds ago."""
        read_to = await self.schedules.pool.now() - ago_s
        taken = snapshot({"growth": 3}).model_copy(update={"read_to": read_to})
        await self.pool.lpush(keys.history(REQUEST.identity), taken.encode())  # type: ignore[misc]

    async def look(self) -> list[PendingEvent]:
        """The events of the next look."""
        await self.pool.zadd(keys.OVERDUE, {WATCHED.id: 1}, xx=True)
        await OverdueWatch(self.alerts).check_due()
        return await self.outbox.take(10, 60)


@pytest.fixture
async def watch(fake_pool: StorePool) -> Watch:
    watch = Watch(fake_pool)
    await watch.outbox.announce()
    await watch.schedules.client.add(WATCHED)
    await fake_pool.hset(keys.schedule(WATCHED.id), "watched_at", "1000")  # type: ignore[misc]
    return watch


async def test_a_space_is_overdue_once_until_it_has_a_complete_sync(watch: Watch) -> None:
    await watch.complete(ago_s=7300)
    (event,) = await watch.look()
    data = json.loads(event.document)
    assert (event.kind, data["schedule_id"], data["space_id"]) == ("sync.overdue", WATCHED.id, "spa")
    assert data["last_complete_at"].endswith("Z")
    assert await watch.look() == []
    await watch.complete(ago_s=10)
    assert await watch.look() == []
    assert not (await watch.schedules.status(WATCHED)).overdue
    (due_at,) = [score for _, score in await watch.pool.zrange(keys.OVERDUE, 0, -1, withscores=True)]
    assert due_at / 1000 - await watch.schedules.pool.now() == pytest.approx(7190, abs=5)


async def test_a_space_without_any_complete_sync_is_overdue_from_the_schedules_start(watch: Watch) -> None:
    (event,) = await watch.look()
    assert json.loads(event.document)["last_complete_at"] is None
    await watch.schedules.client.pause(WATCHED, paused=True)
    assert await watch.look() == []
    await watch.schedules.client.pause(WATCHED, paused=False)
    assert await watch.look() == []
    assert not (await watch.schedules.status(WATCHED)).overdue


async def test_an_alert_that_is_removed_or_unreadable_is_not_checked(watch: Watch) -> None:
    await watch.schedules.client.add(WATCHED.model_copy(update={"alert_after_s": None}))
    assert await watch.look() == []
    assert await watch.pool.zcard(keys.OVERDUE) == 0
    await watch.schedules.client.add(WATCHED)
    await watch.pool.hset(keys.schedule(WATCHED.id), "document", "{")  # type: ignore[misc]
    assert await watch.look() == []
    assert (await watch.alerts.due())[1] == []
