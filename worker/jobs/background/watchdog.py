"""The watchdog: finds syncs, and batches of their pages, whose heartbeats have stopped, and gives each its next job.

Then it does its further duties, such as starting the syncs of schedules.

It is a supervised task in every worker, not an arq job, which would have to wait for a free slot. A short lock in Redis
lets one watchdog look at a time. The epoch that its script compares lets a revival happen once, however many look.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass

from worker.errors import PersonasError, StoreUnavailable
from worker.jobs.job_payloads import batch_payload, sync_payload
from worker.log_format import log_about
from worker.metrics.worker_metrics import WorkerMetrics
from worker.models.sync import BatchKey, SyncState, job_kind
from worker.store import WatchdogStore
from worker.store.progress.sync_progress import SilentSync
from worker.store.scripts.watchdog import Duty, Revival
from worker.store.syncs.watchdog_store import LOST_CODE

log = logging.getLogger("segment_personas.watchdog")

FROZEN_S = 60.0
"""A watchdog that was idle for longer was frozen, in seconds. Its jobs count as lost, like those of a killed worker."""

_ADVICE = "Check the logs and the memory of the workers"


@dataclass
class Watchdog:
    """Revives the syncs and batches of all workers.

    Attributes:
        store: Finds and revives syncs and batches of pages.
        every_s: Seconds between two checks, on average.
        max_revivals: Revivals without progress after which a sync fails.
        furthest_s: A due time further ahead than this many seconds is wrong, as after a step of Redis' clock.
        spread_s: A job that was lost again starts after up to this many seconds, so that the jobs of a dead worker do
            not all start together.
        duties: What else is done at each check, under the same lock, if the store finds something to do for it.
        metrics: Counts revivals.
        clock: Returns monotonic seconds.
    """

    store: WatchdogStore
    _: KW_ONLY
    every_s: float
    max_revivals: int
    furthest_s: float
    spread_s: float
    duties: Mapping[Duty, Callable[[], Awaitable[None]]]
    metrics: WorkerMetrics
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        self._duties = {Duty.SILENT: self.check_due, **self.duties}
        self._looked_at = -math.inf

    async def run(self) -> None:
        """Looks for silent syncs, and does the further duties, until cancelled."""
        while True:
            await asyncio.sleep(self.every_s * random.uniform(0.8, 1.2))
            await self.check_once()

    async def check_once(self) -> None:
        """Does each duty that has something to do, unless another worker checks."""
        has_looked = self.clock() - self._looked_at <= FROZEN_S
        for duty in await self.store.lock_watch(self.every_s * 0.7, self.furthest_s, has_looked=has_looked) or ():
            if duty in self._duties:
                await self._duties[duty]()
        self._looked_at = self.clock()

    async def check_due(self) -> None:
        """Gives every due sync and batch its next job, or fails the sync if that was tried too often."""
        for silent in await self.store.due():
            try:
                with log_about(sync=silent.sync_id):
                    await self._check(silent)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - one broken sync must not keep the others from being checked
                what = str(error) if isinstance(error, PersonasError) else type(error).__name__
                log.warning("%s: silent, and cannot be revived: %s", silent.sync_id, what)
                await self.store.postpone(silent)

    async def _check(self, silent: SilentSync | BatchKey) -> None:
        if isinstance(silent, BatchKey):
            await self._revive_batch(silent)
        elif silent.state is None:
            await self.store.unwatch(silent.sync_id)
        else:
            await self._revive_sync(silent.sync_id, silent.state, silent.epoch)

    async def _revive_sync(self, sync_id: str, state: SyncState, epoch: int) -> None:
        times = self.max_revivals + 1
        done = await self.store.revive_sync(
            sync_id,
            state,
            epoch,
            sync_payload(sync_id, job_kind(state), epoch + 1),
            max_revivals=self.max_revivals,
            message=f"The sync's job was lost {times} times in a row without progress, in state {state.value}. "
            f"{_ADVICE}",
            spread_s=random.uniform(0, self.spread_s),
        )
        self._count(done, "sync")
        if done in {"revived", "failed"}:
            log.warning("%s: silent in %s, epoch %d: %s", sync_id, state.value, epoch, done)

    async def _revive_batch(self, key: BatchKey) -> None:
        done = await self.store.revive_batch(
            key,
            batch_payload(key.next_attempt()),
            max_lost=self.max_revivals,
            message=f"The job that reads batch {key.number} of the sync's pages was lost {self.max_revivals + 1} "
            f"times. {_ADVICE}",
            spread_s=random.uniform(0, self.spread_s),
        )
        self._count(done, "batch")
        if done in {"revived", "failed"}:
            log.warning("%s: silent in batch %d, attempt %d: %s", key.sync_id, key.number, key.attempt, done)

    def _count(self, done: Revival, kind: str) -> None:
        if done is Revival.REVIVED:
            self.metrics.count_revival(kind)
        elif done is Revival.FAILED:
            self.metrics.count_failure(LOST_CODE)
