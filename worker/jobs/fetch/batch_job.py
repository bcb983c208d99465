"""The batch: reads some pages of a fan-out sync with their traits, and adds them to its statistics.

Batches run on all workers at once and in any order. Each merges what it has counted into the statistics as they stand,
and writes them if nobody was faster; a refusal is another batch's progress. A batch that must wait or stop gives itself
to its next try, and what it had read is read again: never counted twice, for only one try at a time may count.
"""

from __future__ import annotations

import asyncio

from worker.clusters import Aggregate, fold
from worker.concurrency import all_of
from worker.errors import Permanent
from worker.jobs import job_runner
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.job_payloads import batch_payload, next_payloads
from worker.jobs.lease import Lease
from worker.jobs.services import WorkerContext
from worker.models.sync import BatchKey
from worker.segment import Page, fetch_certain_page
from worker.store import BatchGrant, BegunBatch, Counted
from worker.store.syncs import new_token

SIDE_BY_SIDE = 4
"""Pages of a batch that are asked for at a time."""


async def batch(ctx: dict[str, WorkerContext], sync_id: str, slot: int, number: int, attempt: int) -> None:
    """The arq job. Its pages are counted, or it has a next try, or its sync ends."""
    context, key = ctx["worker"], BatchKey(sync_id, slot, number, attempt)
    await job_runner.run(
        f"{sync_id}: batch {number}, try {attempt}",
        begin=lambda: context.batches.begin(key, new_token()),
        lease=lambda begun: Lease(context.batches, begun.lease, context.settings.heartbeat_s),
        work=lambda begun, lease: BatchJob(context, begun, lease).run(),
        fail=lambda begun, failure: context.batches.fail(begun.lease, failure),
    )


class BatchJob:
    """One try at a batch."""

    def __init__(self, context: WorkerContext, begun: BegunBatch, lease: Lease[BatchGrant]) -> None:
        self._context = context
        self._begun = begun
        self._lease = lease
        limiter = context.segment_limiter(begun.request.space_id)
        self._caller = ApiCaller(context, limiter, "Segment", begun.trouble_ms, lease=lease)
        self._source = context.source(begun.request)
        self._places = asyncio.Semaphore(SIDE_BY_SIDE)
        self._aggregate = Aggregate()

    async def run(self) -> None:
        """Reads the pages, then counts them."""
        try:
            await self._read_and_count()
        except asyncio.CancelledError:  # whatever it was about to do, it hands over now
            await self._lease.hand_over(lambda: self._hand_over(0.0, ""))
            raise

    async def _read_and_count(self) -> None:
        try:
            await all_of([self._read(index) for index in range(len(self._begun.work.pages))])
            await self._lease.stop()
            await self._count()
        except Defer as wait:
            await self._hand_over(wait.wait_s, wait.note)

    async def _read(self, index: int) -> None:
        work = self._begun.work
        cursor, listed = work.pages[index]
        number, is_last = work.first_page + index, index == len(work.pages) - 1
        async with self._places:
            page = await fetch_certain_page(self._source, cursor, number, None, self._caller.call)
        self._check_length(page, listed, work.next_cursor if is_last else work.pages[index + 1][0], number)
        entries = page.profiles[: work.take] if is_last else page.profiles
        fold(self._aggregate, entries, self._begun.request.rules, as_of=self._begun.started_at)

    def _check_length(self, page: Page, listed: int, next_cursor: str | None, number: int) -> None:
        """Raises Permanent if the API makes shorter pages where it includes traits: the listing would skip profiles."""
        if len(page.profiles) < listed and page.next_cursor not in {None, next_cursor}:
            raise Permanent(
                "pages_differ",
                f"Segment, space {self._begun.request.space_id}, page {number}: {listed} profiles without their "
                f"traits, but {len(page.profiles)} with them. Start a new sync with --strategy chain",
            )

    async def _count(self) -> None:
        base: Counted | None = self._begun.counted
        while base:
            aggregate = Aggregate.from_bytes(base.aggregate) if base.aggregate else Aggregate()
            aggregate.merge(self._aggregate)
            now = Counted(
                epoch=base.epoch,
                token=new_token(),
                pages=base.pages + len(self._begun.work.pages),
                profiles=aggregate.profiles,
                aggregate=aggregate.to_bytes(),
            )
            grant = self._begun.lease
            base = await self._context.batches.count(grant, base, now, next_payloads(grant.sync_id, base.epoch + 1))

    async def _hand_over(self, delay_s: float, note: str) -> None:
        await self._lease.stop()
        grant = self._begun.lease
        await self._context.batches.retry(
            grant,
            batch_payload(grant.key.next_attempt()),
            delay_s=delay_s,
            trouble_ms=self._caller.trouble_ms,
            note=note,
        )
