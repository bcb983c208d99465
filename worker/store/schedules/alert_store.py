"""Finds the schedules that must be checked for a complete sync. Times are Unix seconds by the clock of Redis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from worker.models.schedule import Schedule
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.scripts import schedule as scripts
from worker.store.syncs.sync_reader import SyncReader


@dataclass(frozen=True)
class WatchedEntry:
    """A schedule that is due for a check.

    Attributes:
        schedule_id: Its id.
        document: The stored schedule.
        watched_at: When it was added, or its last pause ended.
        overdue: Whether it was overdue at the last check.
    """

    schedule_id: str
    document: bytes
    watched_at: float
    overdue: bool


class AlertStore:
    """The checks that are due, for the watchdog.

    Args:
        pool: Redis.
        account_of: Returns the account of a space; None: a schedule names its account.
    """

    def __init__(self, pool: StorePool, account_of: Callable[[str], str] | None = None) -> None:
        self._pool = pool
        self._account_of = account_of
        self._reader = SyncReader(pool)

    async def due(self, count: int = 100) -> tuple[float, Sequence[WatchedEntry]]:
        """Returns the time, and at most `count` schedules that must be checked."""
        found = await scripts.list_alerts(self._pool, alerts=keys.OVERDUE, clock=keys.CLOCK, count=count)
        entries = [
            WatchedEntry(
                entry.id.decode(errors="replace"),
                entry.document,
                int(entry.watched_ms) / 1000 if entry.watched_ms.isdigit() else 0.0,
                entry.overdue == "1",
            )
            for entry in found.entries
        ]
        return found.now / 1000, entries

    async def last_complete(self, schedule: Schedule) -> float | None:
        """Returns the time at which the last complete sync of the schedule's space and rules had read everything."""
        newest = next(iter(await self._reader.history(schedule.request.identity)), None)
        return newest.read_to if newest else None

    async def note_overdue(self, schedule: Schedule, overdue_from: float, following: float, document: str) -> None:
        """Notes whether a schedule is overdue, and records the event if it has become so.

        Args:
            schedule: Which one.
            overdue_from: From when on it is, or would be, overdue.
            following: When it is checked again.
            document: Of the event; empty if it is not overdue.
        """
        await scripts.note_overdue(
            self._pool,
            schedule=keys.schedule(schedule.id),
            alerts=keys.OVERDUE,
            schedule_id=schedule.id,
            account=schedule.account_by(self._account_of),
            overdue=bool(document),
            base_ms=int(overdue_from * 1000),
            next_ms=int(following * 1000),
            document=document,
        )

    async def postpone(self, schedule_id: str, for_s: float) -> None:
        """Puts off the next check of a schedule."""
        seconds, _ = await self._pool.time()
        await self._pool.zadd(keys.OVERDUE, {schedule_id: int((int(seconds) + for_s) * 1000)}, xx=True)

    async def unwatch(self, schedule_id: str) -> None:
        """Stops checking a schedule."""
        await self._pool.zrem(keys.OVERDUE, schedule_id)
