"""Schedules whose tick has come, and the stores of clients and of the watchdog."""

from __future__ import annotations

from tests.support.syncs.syncs import RETENTION_MS, STALL_MS, Syncs
from worker.jobs.job_payloads import sync_payload
from worker.models.request import SyncRequest
from worker.models.schedule import Schedule, ScheduleStatus
from worker.store import StorePool, keys
from worker.store.schedules.schedule_store import FiredTick, ScheduleStore, TickStore

REQUEST = SyncRequest(space_id="spa")
NIGHTLY = Schedule(request=REQUEST, cron="0 3 * * *")
EARLIER, TICK, LATER = 86_400.0, 172_800.0, 4_102_444_800.0


class Schedules:
    """The stores of clients and of the watchdog over one pool."""

    def __init__(self, pool: StorePool) -> None:
        self.pool = pool
        self.client = ScheduleStore(pool)
        self.ticks = TickStore(pool, stall_ms=STALL_MS, retention_ms=RETENTION_MS)
        self.syncs = Syncs(pool)

    async def come_due(self, schedule: Schedule = NIGHTLY, tick: float = TICK) -> None:
        """The tick of a schedule has come."""
        await self.client.add(schedule)
        await self.pool.hset(keys.schedule(schedule.id), "next", f"{tick * 1000:.0f}")  # type: ignore[misc]
        await self.pool.zadd(keys.TICKS, {schedule.id: tick * 1000})

    async def fire(self, schedule: Schedule = NIGHTLY, expected: float = TICK, tick: float = TICK) -> FiredTick:
        job = sync_payload(schedule.sync_id(tick), "walk", 1)
        return await self.ticks.fire(schedule, expected, tick, LATER, job)

    async def status(self, schedule: Schedule = NIGHTLY) -> ScheduleStatus:
        found = await self.client.get(schedule.id)
        assert isinstance(found, ScheduleStatus)
        return found
