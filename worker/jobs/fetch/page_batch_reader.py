"""Reads the pages of a batch with their traits, several at a time."""

from __future__ import annotations

import asyncio

from worker.clusters import Aggregate, fold
from worker.concurrency import gather_all
from worker.errors import Permanent
from worker.metrics.worker_metrics import WorkerMetrics
from worker.segment import Call, Page, Source, fetch_certain_page
from worker.store import StartedBatch

CONCURRENT_PAGES = 4
"""Pages of a batch that are requested at a time."""


class PageBatchReader:
    """Reads the pages of one attempt at a batch.

    Args:
        source: What is read.
        call: Sends the requests to Segment.
        metrics: Counts pages.
    """

    def __init__(self, source: Source, call: Call, *, metrics: WorkerMetrics) -> None:
        self._source = source
        self._call = call
        self._metrics = metrics
        self._slots = asyncio.Semaphore(CONCURRENT_PAGES)

    async def read(self, started: StartedBatch) -> Aggregate:
        """Returns the statistics of the pages."""
        aggregate = Aggregate()
        await gather_all([self._read(started, index, aggregate) for index in range(len(started.work.pages))])
        return aggregate

    async def _read(self, started: StartedBatch, index: int, aggregate: Aggregate) -> None:
        work = started.work
        cursor, listed = work.pages[index]
        number, is_last = work.first_page + index, index == len(work.pages) - 1
        async with self._slots:
            page = await fetch_certain_page(self._source, cursor, number, None, self._call)
        next_cursor = work.next_cursor if is_last else work.pages[index + 1][0]
        _check_length(page, listed, next_cursor, f"Segment, space {started.request.space_id}, page {number}")
        entries = page.profiles[: work.take] if is_last else page.profiles
        fold(aggregate, entries, started.request.rules, as_of=started.started_at)
        self._metrics.count_page(len(page.profiles))


def _check_length(page: Page, listed: int, next_cursor: str | None, where: str) -> None:
    """Raises Permanent if pages with traits are shorter than those listed without: profiles would be skipped."""
    if len(page.profiles) < listed and page.next_cursor not in {None, next_cursor}:
        raise Permanent(
            "pages_differ",
            f"{where}: {listed} profiles without their traits, but {len(page.profiles)} with them",
            hint="Start a new sync with --strategy chain.",
        )
