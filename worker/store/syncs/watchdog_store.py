"""The store of the watchdog: finds syncs and batches without a heartbeat, and gives each its next job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from worker.models.outcome import SyncFailure
from worker.models.sync import BatchKey, SyncState
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.progress.sync_progress import JobPayload, SilentSync
from worker.store.scripts import watchdog as watchdog_scripts
from worker.store.scripts.watchdog import DueEntry, Duty, Revival
from worker.store.syncs.sync_reader import storable_ms

log = logging.getLogger("segment_personas.store")

LOST_CODE = "worker_lost"
"""Code of a sync whose jobs were lost too often."""


class WatchdogStore:
    """The times at which silence counts, of syncs and of batches.

    Args:
        pool: Redis.
        stall_ms: Milliseconds without a heartbeat after which a job counts as lost.
        retention_ms: Milliseconds for which an ended sync is kept.
        accounts: Returns the Mavera accounts of the worker (`account_name`), whose queues are repaired after a step of
            the clock.
    """

    def __init__(
        self, pool: StorePool, *, stall_ms: int, retention_ms: int, accounts: Callable[[], Sequence[str]]
    ) -> None:
        self._pool = pool
        self._accounts = accounts
        self._stall_ms = stall_ms
        self._retention_ms = storable_ms(retention_ms)

    async def lock_watch(
        self, for_s: float, furthest_s: float = 3600.0, *, has_looked: bool = False
    ) -> Sequence[Duty] | None:
        """Takes the lock of the watchdog, which no other worker gets for `for_s` seconds.

        With it, times are repaired that a clock which was set back has left in the future. After a time in which Redis
        was away, or by which its clock was set forward, living jobs get time for a heartbeat.

        Args:
            for_s: Seconds for which the lock is held.
            furthest_s: Seconds beyond which nothing is put off.
            has_looked: Whether this process has looked a moment ago by its own clock. If not, there may have been no
                worker meanwhile, and what is silent is lost.

        Returns:
            The duties that have something to do, so that an idle worker asks Redis once; None if another worker checks.
        """
        queued = [name for owner in (*self._accounts(), "") for name in (keys.queue(owner), keys.later(owner))]
        lock = await watchdog_scripts.lock_watch(
            self._pool,
            lock=keys.WATCH,
            clock=keys.CLOCK,
            due=keys.DUE,
            ticks=keys.TICKS,
            alerts=keys.OVERDUE,
            inbox=keys.INBOX,
            times=tuple(dict.fromkeys((keys.DUE, *queued))),
            lock_ms=max(1, int(for_s * 1000)),
            furthest_ms=int(furthest_s * 1000),
            stall_ms=self._stall_ms,
            has_looked=has_looked,
        )
        if lock.set_back_ms > 0:
            back_s = lock.set_back_ms / 1000
            log.warning("the clock of Redis was set back by %.1f s; due times were moved back by as much", back_s)
        return [Duty(word) for word in lock.duties] if lock.granted else None

    async def due(self, page: int = 200) -> list[SilentSync | BatchKey]:
        """Returns all syncs and batches without a heartbeat. Entries that are neither are dropped.

        A sync or batch whose job waits in the queue is not among them; the script postpones its next check.

        Args:
            page: Entries that one script looks at, so that it does not block Redis for long.
        """
        found: list[SilentSync | BatchKey] = []
        skip = 0
        while True:
            answer = await watchdog_scripts.list_due(
                self._pool, due=keys.DUE, stall_ms=self._stall_ms, skip=skip, count=page
            )
            for entry in answer.entries:
                skip += 1
                try:
                    found.append(_silent(entry))
                except ValueError:
                    # One bad entry must not keep every other sync from being watched.
                    member = b" ".join(part for part in (entry.sync_id, entry.slot) if part)
                    skip -= await self._pool.zrem(keys.DUE, member)
            if answer.looked_at < page:
                return found

    async def revive_sync(
        self,
        sync_id: str,
        state: SyncState,
        epoch: int,
        payload: JobPayload,
        *,
        max_revivals: int,
        message: str,
        spread_s: float = 0,
    ) -> Revival:
        """Gives a silent sync its next job, or fails it with `message` after `max_revivals` without progress.

        Args:
            sync_id: Id of the sync.
            state: State in which it was found silent.
            epoch: Its epoch at that time; if state or epoch has changed, nothing is done.
            payload: Its next job, of the next epoch.
            max_revivals: Most revivals in a row without progress.
            message: What the failure says.
            spread_s: Seconds that the job waits, from the second revival on.
        """
        return await watchdog_scripts.revive_sync(
            self._pool,
            sync=keys.sync(sync_id),
            due=keys.DUE,
            id=sync_id,
            state=state,
            epoch=epoch,
            stall_ms=self._stall_ms,
            max_revivals=max_revivals,
            spread_ms=int(spread_s * 1000),
            job=payload,
            failure=_lost(message),
            retention_ms=self._retention_ms,
        )

    async def revive_batch(
        self, key: BatchKey, payload: JobPayload, *, max_lost: int, message: str, spread_s: float = 0
    ) -> Revival:
        """Gives a silent batch its next attempt, or fails its sync with `message` after `max_lost` lost attempts.

        Args:
            key: The batch and the attempt that fell silent; if another attempt runs, nothing is done.
            payload: The job of the next attempt.
            max_lost: Most lost attempts that are followed by another one.
            message: What the failure of the sync says.
            spread_s: Seconds that the job waits, from the second lost attempt on.
        """
        return await watchdog_scripts.revive_batch(
            self._pool,
            sync=keys.sync(key.sync_id),
            due=keys.DUE,
            key=key,
            stall_ms=self._stall_ms,
            max_lost=max_lost,
            spread_ms=int(spread_s * 1000),
            job=payload,
            failure=_lost(message),
            retention_ms=self._retention_ms,
        )

    async def postpone(self, silent: SilentSync | BatchKey) -> None:
        """Postpones the next check of a silent sync or batch by the time after which it counts as silent."""
        member = f"{silent.sync_id} {silent.slot}" if isinstance(silent, BatchKey) else silent.sync_id
        seconds, _ = await self._pool.time()
        await self._pool.zadd(keys.DUE, {member: seconds * 1000 + self._stall_ms}, xx=True)

    async def unwatch(self, sync_id: str) -> None:
        """Stops watching a sync that no longer exists."""
        await self._pool.zrem(keys.DUE, sync_id)


def _lost(message: str) -> SyncFailure:
    return SyncFailure(LOST_CODE, message, resumable=True)


def _silent(entry: DueEntry) -> SilentSync | BatchKey:
    """Returns the sync or batch of an entry. Raises ValueError if it is neither."""
    sync_id, slot, state, epoch, batch = (
        part.decode() for part in (entry.sync_id, entry.slot, entry.state, entry.epoch, entry.batch)
    )
    if slot:
        return BatchKey.read(sync_id, int(slot), batch)
    return SilentSync(sync_id, SyncState(state) if state else None, int(epoch or 0))
