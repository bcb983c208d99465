"""Finds schedules whose space had no complete sync for longer than they allow, as a duty of the watchdog."""

from __future__ import annotations

import logging

from worker.documents.schedule_document import overdue_document
from worker.errors import PersonasError, StoreUnavailable
from worker.models.schedule import Schedule
from worker.models.versions import NewerVersion
from worker.printable import json_text
from worker.store.schedules.alert_store import AlertStore, WatchedEntry

log = logging.getLogger("segment_personas.scheduler")

CHECK_S = 60.0
"""Seconds between two checks of a schedule that is overdue or cannot be checked."""


class OverdueWatch:
    """Notes which schedules are overdue, and records one event for each when it becomes so."""

    def __init__(self, store: AlertStore) -> None:
        self._store = store

    async def check_due(self) -> None:
        """Checks the schedules whose time has come."""
        now, due = await self._store.due()
        for entry in due:
            try:
                await self._check(entry, now)
            except StoreUnavailable:
                raise
            except NewerVersion:
                await self._store.postpone(entry.schedule_id, CHECK_S)
            except Exception as error:  # noqa: BLE001 - one broken schedule must not keep the others from being checked
                what = str(error) if isinstance(error, PersonasError) else type(error).__name__
                log.warning("schedule %s cannot be checked: %s", entry.schedule_id, what)
                await self._store.postpone(entry.schedule_id, CHECK_S)

    async def _check(self, entry: WatchedEntry, now: float) -> None:
        schedule = Schedule.from_stored(entry.document)
        if schedule.alert_after_s is None:
            await self._store.unwatch(entry.schedule_id)
            return
        last = await self._store.last_complete(schedule)
        overdue_from = max(last or 0.0, entry.watched_at) + schedule.alert_after_s
        overdue = now >= overdue_from
        document = json_text(overdue_document(schedule, last)) if overdue else ""
        following = now + CHECK_S if overdue else overdue_from
        await self._store.note_overdue(schedule, overdue_from, following, document)
        if overdue and not entry.overdue:
            log.warning("schedule %s: %s had no complete sync in time", schedule.id, schedule.request.space_id)
