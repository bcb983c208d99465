"""The scheduler: starts the sync of each tick of each schedule, once, as a duty of the watchdog.

A tick is handled by one script that compares the stored tick, and the id of its sync follows from the tick. So a tick
has one sync, however many workers look and whichever of them dies.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from worker.errors import PersonasError, StoreUnavailable
from worker.jobs.job_payloads import sync_payload
from worker.models.schedule import Schedule
from worker.models.versions import NewerVersion
from worker.store.schedules.schedule_store import DueTick, TickStore

log = logging.getLogger("segment_personas.scheduler")

MISSED_S = 60.0
"""A tick that could not start for longer was missed, in seconds. A worker looks every second."""

_NEWER_S, _BROKEN_S = 2.0, 60.0
"""Seconds until the next check of a schedule of a newer version, and at one that cannot be handled."""


class Scheduler:
    """Handles the ticks of all schedules.

    Args:
        store: The ticks that are due.
    """

    def __init__(self, store: TickStore) -> None:
        self._store = store

    async def check_due(self) -> None:
        """Handles every tick that has come. A schedule that cannot be handled is logged and put off."""
        now, due = await self._store.due()
        for entry in due:
            try:
                await self._handle(entry, now)
            except StoreUnavailable:
                raise
            except NewerVersion:
                await self._store.postpone(entry.schedule_id, _NEWER_S)
            except Exception as error:  # noqa: BLE001 - one broken schedule must not keep the others from starting
                what = str(error) if isinstance(error, PersonasError) else type(error).__name__
                log.warning("schedule %s cannot be handled: %s", entry.schedule_id, what)
                await self._store.postpone(entry.schedule_id, _BROKEN_S)

    async def _handle(self, entry: DueTick, now: float) -> None:
        schedule = Schedule.from_stored(entry.document)
        following = schedule.times.next_after(now)
        # If several ticks have come, the latest one replaces the others.
        tick = max(entry.tick, schedule.times.latest_until(now) or 0.0)
        if entry.tick == 0 and tick <= entry.last_tick:  # the clock was set back: the tick was handled before
            await self._store.skip(schedule, entry.tick, None, following)
            return
        named = f"schedule {schedule.id} of {schedule.request.space_id}, tick {_utc(tick)}"
        if schedule.missed == "skip" and now - tick > MISSED_S:
            if await self._store.skip(schedule, entry.tick, tick, following):
                log.warning("%s: skipped, because no worker could start it within %g s", named, MISSED_S)
            return
        job = sync_payload(schedule.sync_id(tick), "walk", 1)
        fired = await self._store.fire(schedule, entry.tick, tick, following, job)
        match fired.result:
            case "started":
                log.info("%s: sync %s is started", named, fired.sync_id)
            case "followed":
                log.info("%s: sync %s is under way, so no other is started", named, fired.sync_id)
            case "waiting":
                log.info("%s: waits until sync %s ends, which has other options", named, fired.sync_id)


def _utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%MZ")
