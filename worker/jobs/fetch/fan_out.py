"""The fan-out strategy: one fetch job lists pages without traits; batch jobs on all workers read and count them.

Listing is cheap, so one fetch job keeps all workers busy. Its position moves by whole batches, in the commit that adds
them to the sync's look-ahead. Pages that have no room there are listed again by the next fetch job.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from worker.jobs.fetch.fetch_strategy import HandOver
from worker.jobs.fetch.page_prefetcher import FetchedPage
from worker.jobs.job_payloads import batch_payload, next_payloads
from worker.models.sync import BatchKey
from worker.segment import Source
from worker.segment.endless_listing import CursorGuard
from worker.store import BatchWork, JobSyncStore, Listing, NewBatch
from worker.store.progress.sync_progress import StartedJob, new_token

MAX_PAGES_PER_BATCH = 8
MAX_BYTES_PER_BATCH = 16_384
"""A batch takes no further page once its text in Redis has this many bytes, which bounds the look-ahead of a sync."""


class ActiveListings:
    """Counts the fetch jobs of this worker that list pages for batches at the moment.

    The worker takes other jobs later while it is above 0, because listing keeps all other workers busy.
    """

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def listing(self) -> Iterator[None]:
        """Counts one more while the block runs."""
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


@dataclass(frozen=True)
class _Batch:
    """Listed pages that have no slot yet.

    Attributes:
        after: The position of the listing behind them.
    """

    work: BatchWork
    after: Listing


class FanOutStrategy:
    """Lists the pages of one fetch job; see `FetchStrategy`.

    Args:
        started: The job's sync as the job found it.
        source: What is listed.
        syncs: Where syncs are kept.
        max_empty_pages: Empty pages in a row after which the sync fails.
    """

    counts_pages = False

    def __init__(self, started: StartedJob, source: Source, syncs: JobSyncStore, *, max_empty_pages: int) -> None:
        self.source = source
        self._started = started
        self._request = started.request
        self._store = syncs
        self._max_empty_pages = max_empty_pages
        self._committed = self._listed = started.listing
        self._pages: list[tuple[str, int]] = []
        self._batches: list[_Batch] = []

    @property
    def cursor(self) -> str:
        """The cursor of the next page to list."""
        return self._listed.cursor

    @property
    def pages(self) -> int:
        """The number of listed pages."""
        return self._listed.pages

    @property
    def listed(self) -> int:
        """The number of entries of those pages."""
        return self._listed.profiles

    @property
    def ended(self) -> bool:
        """Whether the listing has ended."""
        return self._listed.ended

    def wanted(self, waiting: int) -> bool:
        """Returns whether the sync needs more profiles, and there is a free slot for a further batch."""
        limit = self._request.max_profiles
        enough = limit is not None and self._listed.profiles + waiting >= limit
        return not enough and len(self._batches) < len(self._committed.free_slots)

    def take(self, page: FetchedPage) -> int:
        """Adds a page to the batch that is being made."""
        at, limit = self._listed, self._request.max_profiles
        room = page.listed if limit is None else min(page.listed, limit - at.profiles)
        reached = limit is not None and at.profiles + room >= limit
        cut = reached and (room < page.listed or page.next_cursor is not None)
        listed = replace(at, pages=at.pages + 1, profiles=at.profiles + room)
        if cut or page.next_cursor is None:
            listed = replace(listed, ended=True, complete=not cut)
        else:
            guard = CursorGuard.decode(at.guard).advance(
                page.next_cursor,
                empty=not page.listed,
                max_empty_pages=self._max_empty_pages,
                space_id=self._request.space_id,
                page=listed.pages,
            )
            listed = replace(listed, cursor=page.next_cursor, guard=guard.encode())
        self._pages.append((at.cursor, page.listed))
        self._listed = listed
        work = self._work(page.next_cursor, room if room < page.listed else None)
        if listed.ended or len(work.pages) == MAX_PAGES_PER_BATCH or len(work.encode()) >= MAX_BYTES_PER_BATCH:
            self._close_batch(work)
        return 0

    def due(self) -> bool:
        """Returns whether a batch can be put into a free slot."""
        return bool(self._batches and self._committed.free_slots)

    def commit(self, trouble_ms: int, *, last: bool = False, hand_over: HandOver | None = None) -> Awaitable[None]:
        """Writes the batches into free slots, and the position behind them; see `FetchStrategy.commit`."""
        if last and self._pages:
            self._close_batch(self._work(self._listed.cursor))
        lease, at = self._started.lease, self._committed
        placed = list(zip(at.free_slots, self._batches, strict=False))
        batches = []
        for number, (slot, batch) in enumerate(placed, at.batches + 1):
            key = BatchKey(lease.sync_id, slot, number, attempt=1)
            batches.append(NewBatch(key, batch.work, batch_payload(key)))
        after = placed[-1][1].after if placed else at
        listing = replace(after, seq=at.seq, batches=at.batches + len(batches), trouble_ms=trouble_ms)
        return self._write(listing, batches, hand_over)

    async def _write(self, listing: Listing, batches: list[NewBatch], hand_over: HandOver | None) -> None:
        lease = self._started.lease
        self._committed = await self._store.commit_listing(
            lease,
            listing,
            batches,
            new_token(),
            following=next_payloads(lease.sync_id, lease.epoch + 1) if hand_over else None,
            delay_s=hand_over.delay_s if hand_over else 0.0,
            note=hand_over.note if hand_over else "",
        )
        del self._batches[: len(batches)]

    def _work(self, next_cursor: str | None, take: int | None = None) -> BatchWork:
        """Returns the pages that are in no batch yet."""
        return BatchWork(self._listed.pages - len(self._pages) + 1, tuple(self._pages), next_cursor, take)

    def _close_batch(self, work: BatchWork) -> None:
        self._batches.append(_Batch(work, self._listed))
        self._pages = []
