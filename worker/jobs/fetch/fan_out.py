"""Fan-out: a walk lists pages without their traits, and gives batches of them to jobs that read and count them.

Listing is cheap, so one walk keeps all workers busy. Its position moves by whole batches, in the commit that adds them
to the sync's look-ahead; what does not fit in there is listed again by the walk that follows once there is room.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace

from worker.jobs.fetch.fetch_strategy import HandOver
from worker.jobs.fetch.page_prefetcher import FetchedPage
from worker.jobs.job_payloads import batch_payload, next_payloads
from worker.jobs.services import WorkerContext
from worker.models.sync import BatchKey
from worker.segment.cursor_guard import CursorGuard
from worker.store import BatchWork, Listing, NewBatch
from worker.store.syncs import Begun, new_token

PAGES_A_BATCH = 8
BYTES_A_BATCH = 16_384
"""A batch takes no further page once it is written in so many bytes: a sync's look-ahead has a bound in Redis."""


@dataclass(frozen=True)
class _Batch:
    """Listed pages that have no slot yet. after: where the listing stands behind them."""

    work: BatchWork
    after: Listing


class FanOutStrategy:
    """The progress of a walk that lists; see `FetchStrategy`."""

    def __init__(self, context: WorkerContext, begun: Begun) -> None:
        self._context = context
        self._begun = begun
        self.source = context.source(begun.request, traits=False)
        self._committed = self._listed = begun.listing
        self._pages: list[tuple[str, int]] = []
        self._batches: list[_Batch] = []

    @property
    def cursor(self) -> str:
        return self._listed.cursor

    @property
    def pages(self) -> int:
        return self._listed.pages

    @property
    def listed(self) -> int:
        return self._listed.profiles

    @property
    def ended(self) -> bool:
        return self._listed.ended

    def wanted(self, on_their_way: int) -> bool:
        limit = self._begun.request.max_profiles
        enough = limit is not None and self._listed.profiles + on_their_way >= limit
        return not enough and len(self._batches) < len(self._committed.free_slots)

    def take(self, page: FetchedPage) -> None:
        at, limit = self._listed, self._begun.request.max_profiles
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
                max_empty_pages=self._context.settings.max_empty_pages,
                space_id=self._begun.request.space_id,
                page=listed.pages,
            )
            listed = replace(listed, cursor=page.next_cursor, guard=guard.encode())
        self._pages.append((at.cursor, page.listed))
        self._listed = listed
        work = self._work(page.next_cursor, room if room < page.listed else None)
        if listed.ended or len(work.pages) == PAGES_A_BATCH or len(work.encode()) >= BYTES_A_BATCH:
            self._close_batch(work)

    def due(self) -> bool:
        return bool(self._batches and self._committed.free_slots)

    def commit(self, trouble_ms: int, *, last: bool = False, hand_over: HandOver | None = None) -> Awaitable[None]:
        if last and self._pages:
            self._close_batch(self._work(self._listed.cursor))
        lease, at = self._begun.lease, self._committed
        placed = list(zip(at.free_slots, self._batches, strict=False))
        batches = []
        for number, (slot, batch) in enumerate(placed, at.batches + 1):
            key = BatchKey(lease.sync_id, slot, number, attempt=1)
            batches.append(NewBatch(key, batch.work, batch_payload(key)))
        after = placed[-1][1].after if placed else at
        listing = replace(after, seq=at.seq, batches=at.batches + len(batches), trouble_ms=trouble_ms)
        return self._write(listing, batches, hand_over)

    async def _write(self, listing: Listing, batches: list[NewBatch], hand_over: HandOver | None) -> None:
        lease = self._begun.lease
        self._committed = await self._context.batches.commit_listing(
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
        """The pages that are in no batch yet."""
        return BatchWork(self._listed.pages - len(self._pages) + 1, tuple(self._pages), next_cursor, take)

    def _close_batch(self, work: BatchWork) -> None:
        self._batches.append(_Batch(work, self._listed))
        self._pages = []
