"""The batch job: reads some pages or shards of a sync, and adds them to its statistics.

Batch jobs run on all workers at once, in any order. Each merges what it has counted into the current statistics and
writes them if no other batch was faster; otherwise it merges again. A batch that must wait or stop is enqueued for its
next attempt, which reads them again. They are never counted twice, because only one attempt at a time may count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from worker.clusters import Aggregate
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.job_payloads import batch_payload, next_payloads
from worker.jobs.job_runner import Work
from worker.jobs.lease import Lease
from worker.models.outcome import SyncFailure
from worker.models.sync import BatchKey
from worker.store import BatchGrant, BatchStore, Counted, StartedBatch
from worker.store.progress.sync_progress import new_token


class BatchReader(Protocol):
    """Reads what a batch names: pages of a space, or shards."""

    async def read(self, started: StartedBatch) -> Aggregate:
        """Returns the statistics of the batch alone.

        Raises:
            ApiError: It could not be read.
            Defer: An API must be waited for.
        """


@dataclass
class BatchJob:
    """Reads and counts the pages or shards of one attempt at a batch.

    Attributes:
        started: The batch as the job found it.
        lease: The right to work on it.
        reader: Reads what the batch names.
        caller: Knows for how long Segment has failed.
        batches: Where batches are kept.
    """

    started: StartedBatch
    lease: Lease[BatchGrant]
    reader: BatchReader
    caller: ApiCaller
    batches: BatchStore

    async def run(self) -> None:
        """Reads the batch, then counts it."""
        try:
            await self._read_and_count()
        except asyncio.CancelledError:  # the worker stops: hand over
            await self.lease.hand_over(lambda: self._enqueue_next_attempt(0.0, ""))
            raise

    async def _read_and_count(self) -> None:
        try:
            found = await self.reader.read(self.started)
            await self.lease.stop()
            await self._count(found)
        except Defer as wait:
            await self._enqueue_next_attempt(wait.wait_s, wait.note)

    async def _count(self, found: Aggregate) -> None:
        """Merges the batch into the statistics until no other batch has changed them in between."""
        base: Counted | None = self.started.counted
        while base:
            aggregate = Aggregate.from_bytes(base.aggregate) if base.aggregate else Aggregate()
            aggregate.merge(found)
            now = Counted(
                epoch=base.epoch,
                token=new_token(),
                pages=base.pages + len(self.started.work.pages),
                profiles=aggregate.listed,
                aggregate=aggregate.to_bytes(),
            )
            grant = self.started.lease
            base = await self.batches.count(grant, base, now, next_payloads(grant.sync_id, base.epoch + 1))

    async def _enqueue_next_attempt(self, delay_s: float, note: str) -> None:
        await self.lease.stop()
        grant = self.started.lease
        await self.batches.retry(
            grant,
            batch_payload(grant.key.next_attempt()),
            delay_s=delay_s,
            trouble_ms=self.caller.trouble_ms,
            note=note,
        )


class BatchAttempt:
    """One attempt at a batch as `run_job` runs it.

    Args:
        batches: Where batches are kept.
        key: Names the attempt.
        heartbeat_s: Seconds between two heartbeats.
        build: Makes the work from what `begin` took.
    """

    def __init__(
        self,
        batches: BatchStore,
        key: BatchKey,
        *,
        heartbeat_s: float,
        build: Callable[[StartedBatch, Lease[BatchGrant]], Work],
    ) -> None:
        self.name = f"{key.sync_id}: batch {key.number}, attempt {key.attempt}"
        self.work = build
        self._batches = batches
        self._key = key
        self._heartbeat_s = heartbeat_s
        self._holder = new_token()

    async def begin(self) -> StartedBatch:
        """Takes the lease of the attempt."""
        return await self._batches.begin(self._key, self._holder)

    def lease(self, started: StartedBatch) -> Lease[BatchGrant]:
        """Returns the lease of the attempt."""
        return Lease(self._batches, started.lease, self._heartbeat_s)

    async def fail(self, started: StartedBatch, failure: SyncFailure) -> None:
        """Fails the sync of the batch."""
        await self._batches.fail(started.lease, failure)

    async def leave_to_newer_workers(self, version: int) -> None:
        """Enqueues the next attempt, for workers that read `version`."""
        await self._batches.require_format(self._key.sync_id, version)
        await self._batches.retry(BatchGrant(self._key, self._holder), batch_payload(self._key.next_attempt()))

    async def on_lease_lost(self) -> None:
        """Does nothing, because the job that ends the sync logs its end."""
