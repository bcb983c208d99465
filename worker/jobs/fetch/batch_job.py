"""The batch job: reads some pages of a fan-out sync with their traits, and adds them to its statistics.

Batch jobs run on all workers at once, in any order. Each merges what it has counted into the current statistics and
writes them if no other batch was faster; otherwise it merges again. A batch that must wait or stop is enqueued for its
next attempt, which reads the pages again. They are never counted twice, because only one attempt at a time may count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from worker.clusters import Aggregate, fold
from worker.concurrency import gather_all
from worker.errors import Permanent
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.job_payloads import batch_payload, next_payloads
from worker.jobs.job_runner import Work
from worker.jobs.lease import Lease
from worker.metrics.worker_metrics import WorkerMetrics
from worker.models.outcome import SyncFailure
from worker.models.sync import BatchKey
from worker.segment import Page, Source, fetch_certain_page
from worker.store import BatchGrant, BatchStore, Counted, StartedBatch
from worker.store.progress.sync_progress import new_token

CONCURRENT_PAGES = 4
"""Pages of a batch that are requested at a time."""


class BatchJob:
    """Reads and counts the pages of one attempt at a batch.

    Args:
        started: The batch as the job found it.
        lease: The right to work on it.
        source: What is read.
        caller: Sends the requests to Segment.
        batches: Where batches are kept.
        metrics: Counts pages.
    """

    def __init__(
        self,
        started: StartedBatch,
        lease: Lease[BatchGrant],
        source: Source,
        caller: ApiCaller,
        batches: BatchStore,
        *,
        metrics: WorkerMetrics,
    ) -> None:
        self._started = started
        self._lease = lease
        self._source = source
        self._caller = caller
        self._batches = batches
        self._metrics = metrics
        self._slots = asyncio.Semaphore(CONCURRENT_PAGES)
        self._aggregate = Aggregate()

    async def run(self) -> None:
        """Reads the pages, then counts them."""
        try:
            await self._read_and_count()
        except asyncio.CancelledError:  # the worker stops: hand over
            await self._lease.hand_over(lambda: self._enqueue_next_attempt(0.0, ""))
            raise

    async def _read_and_count(self) -> None:
        try:
            await gather_all([self._read(index) for index in range(len(self._started.work.pages))])
            await self._lease.stop()
            await self._count()
        except Defer as wait:
            await self._enqueue_next_attempt(wait.wait_s, wait.note)

    async def _read(self, index: int) -> None:
        work = self._started.work
        cursor, listed = work.pages[index]
        number, is_last = work.first_page + index, index == len(work.pages) - 1
        async with self._slots:
            page = await fetch_certain_page(self._source, cursor, number, None, self._caller.call)
        self._check_length(page, listed, work.next_cursor if is_last else work.pages[index + 1][0], number)
        entries = page.profiles[: work.take] if is_last else page.profiles
        fold(self._aggregate, entries, self._started.request.rules, as_of=self._started.started_at)
        self._metrics.count_page(len(page.profiles))

    def _check_length(self, page: Page, listed: int, next_cursor: str | None, number: int) -> None:
        """Raises Permanent if pages with traits are shorter than those listed without: profiles would be skipped."""
        if len(page.profiles) < listed and page.next_cursor not in {None, next_cursor}:
            raise Permanent(
                "pages_differ",
                f"Segment, space {self._started.request.space_id}, page {number}: {listed} profiles without their "
                f"traits, but {len(page.profiles)} with them",
                hint="Start a new sync with --strategy chain.",
            )

    async def _count(self) -> None:
        """Merges the batch into the statistics until no other batch has changed them in between."""
        base: Counted | None = self._started.counted
        while base:
            aggregate = Aggregate.from_bytes(base.aggregate) if base.aggregate else Aggregate()
            aggregate.merge(self._aggregate)
            now = Counted(
                epoch=base.epoch,
                token=new_token(),
                pages=base.pages + len(self._started.work.pages),
                profiles=aggregate.profiles,
                aggregate=aggregate.to_bytes(),
            )
            grant = self._started.lease
            base = await self._batches.count(grant, base, now, next_payloads(grant.sync_id, base.epoch + 1))

    async def _enqueue_next_attempt(self, delay_s: float, note: str) -> None:
        await self._lease.stop()
        grant = self._started.lease
        await self._batches.retry(
            grant,
            batch_payload(grant.key.next_attempt()),
            delay_s=delay_s,
            trouble_ms=self._caller.trouble_ms,
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
