"""The store of a job's batch of pages. Each method is one script.

A sync's look-ahead is a fixed number of slots in its own hash, so that a batch leaves its slot in the write that
adds its pages to the statistics: it counts once, even if another job still reads it. The caller adds the pages to the
statistics; they are written if no other batch was first. A job whose attempt is no longer the sync's gets LeaseLost.
"""

from __future__ import annotations

from worker.models.outcome import SyncFailure
from worker.models.request import SyncRequest
from worker.models.sync import BatchKey
from worker.models.versions import FORMAT
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.progress.batch_work import BatchGrant, BatchWork, Counted, NextPayloads, StartedBatch
from worker.store.progress.sync_progress import JobPayload
from worker.store.scripts import batch as batch_scripts
from worker.store.scripts import sync as sync_scripts
from worker.store.syncs.sync_keys import commit_keys, end_keys, hand_over_keys
from worker.store.syncs.sync_reader import storable_ms


class BatchStore:
    """The batches that a worker's jobs read.

    Args:
        pool: Redis.
        stall_ms: Milliseconds without a heartbeat after which a job counts as lost.
        retention_ms: Milliseconds for which an ended sync is kept.
        account: The Mavera account of the worker (`account_name`).
    """

    def __init__(self, pool: StorePool, *, stall_ms: int, retention_ms: int, account: str = "") -> None:
        self._pool = pool
        self._account = account
        self._stall_ms = stall_ms
        self._retention_ms = storable_ms(retention_ms)

    async def require_format(self, sync_id: str, version: int) -> None:
        """Records that only newer workers can continue a sync: workers of this version leave its jobs to them."""
        await sync_scripts.require_format(self._pool, sync=keys.sync(sync_id), format=max(version, FORMAT + 1))

    async def begin(self, key: BatchKey, holder: str) -> StartedBatch:
        """Begins an attempt at a batch.

        Raises:
            LeaseLost: The attempt is over, or begun by another job.
        """
        found = await batch_scripts.begin(
            self._pool, sync=keys.sync(key.sync_id), due=keys.DUE, key=key, holder=holder, stall_ms=self._stall_ms
        )
        return StartedBatch(
            lease=BatchGrant(key, holder),
            request=SyncRequest.from_stored(found.request),
            started_at=found.started_at_ms / 1000,
            work=BatchWork.decode(found.work),
            counted=found.counted,
            trouble_ms=found.trouble_ms,
        )

    async def heartbeat(self, grant: BatchGrant, *, note: str = "") -> None:
        """Says that the job is alive, and what it waits for."""
        await batch_scripts.heartbeat(
            self._pool,
            sync=keys.sync(grant.sync_id),
            due=keys.DUE,
            key=grant.key,
            holder=grant.holder,
            stall_ms=self._stall_ms,
            note=note,
        )

    async def count(self, grant: BatchGrant, base: Counted, now: Counted, following: NextPayloads) -> Counted | None:
        """Writes statistics with the pages of the batch, and frees its slot.

        Args:
            grant: Of the job.
            base: Statistics to which the job added its pages.
            now: The sum.
            following: Jobs of the epoch after that of `base`.

        Returns:
            None if they are written. Otherwise another batch has written since `base`, or what follows must be of
            another epoch, and the job adds its pages to what is returned.
        """
        newer = await batch_scripts.count(
            self._pool,
            **commit_keys(grant.sync_id, self._account),
            key=grant.key,
            holder=grant.holder,
            base_epoch=base.epoch,
            base_token=base.token,
            counted=now,
            following=following,
            stall_ms=self._stall_ms,
        )
        return newer.counted if newer else None

    async def retry(
        self, grant: BatchGrant, payload: JobPayload, *, delay_s: float = 0.0, trouble_ms: int = 0, note: str = ""
    ) -> None:
        """Hands the batch to its next attempt, which starts after `delay_s` seconds."""
        await batch_scripts.requeue(
            self._pool,
            **hand_over_keys(grant.sync_id, self._account),
            key=grant.key,
            holder=grant.holder,
            trouble_ms=trouble_ms,
            note=note,
            job=payload,
            delay_ms=int(delay_s * 1000),
            stall_ms=self._stall_ms,
        )

    async def fail(self, grant: BatchGrant, failure: SyncFailure) -> None:
        """Fails the sync; what was counted stays, and so do its outstanding batches, for `resume`."""
        await batch_scripts.fail(
            self._pool,
            **end_keys(grant.sync_id, self._account),
            key=grant.key,
            holder=grant.holder,
            failure=failure,
            retention_ms=self._retention_ms,
        )
