"""The chain: a walk folds its pages itself, and commits checkpoint and statistics together."""

from __future__ import annotations

from collections.abc import Awaitable

from worker.clusters import Aggregate, fold
from worker.jobs.fetch.fetch_strategy import HandOver
from worker.jobs.fetch.page_prefetcher import FetchedPage
from worker.jobs.job_payloads import sync_payload
from worker.jobs.services import WorkerContext
from worker.models.sync import JobKind
from worker.segment.cursor_guard import CursorGuard
from worker.store import Checkpoint
from worker.store.syncs import Begun, new_token


class ChainStrategy:
    """The progress of a walk that counts; see `FetchStrategy`."""

    def __init__(self, context: WorkerContext, begun: Begun) -> None:
        self._context = context
        self._begun = begun
        start = begun.checkpoint
        self.source = context.source(begun.request)
        self.cursor, self.pages, self._seq = start.cursor, start.pages, start.seq
        self.ended = False
        self._complete = False
        self._guard = CursorGuard.decode(start.guard)
        self._aggregate = Aggregate.from_bytes(start.aggregate) if start.aggregate else Aggregate()
        self._committed_at = context.clock()

    @property
    def listed(self) -> int:
        return self._aggregate.entries + self._aggregate.vanished + self._aggregate.left_out

    def wanted(self, on_their_way: int) -> bool:
        limit = self._begun.request.max_profiles
        return limit is None or self._aggregate.profiles + on_their_way < limit

    def take(self, page: FetchedPage) -> None:
        entries, cut = self._cut(page)
        next_cursor = None if cut else page.next_cursor
        if next_cursor is not None:
            guard = self._guard.advance(
                next_cursor,
                empty=not page.listed,
                max_empty_pages=self._context.settings.max_empty_pages,
                space_id=self._begun.request.space_id,
                page=self.pages + 1,
            )
        fold(self._aggregate, entries, self._begun.request.rules, as_of=self._begun.started_at)
        self._aggregate.vanished += page.vanished
        self._aggregate.unreadable += page.unreadable
        self._aggregate.left_out += page.left_out
        self._aggregate.merged += page.merged
        self.pages += 1
        if next_cursor is None:
            self.ended, self._complete = True, not cut and self._begun.request.sample is None
        else:
            self.cursor, self._guard = next_cursor, guard

    def due(self) -> bool:
        return self._context.clock() - self._committed_at >= self._context.settings.commit_interval_s

    def commit(self, trouble_ms: int, *, last: bool = False, hand_over: HandOver | None = None) -> Awaitable[None]:
        self._committed_at = self._context.clock()
        checkpoint = Checkpoint(
            seq=self._seq,
            cursor=self.cursor,
            guard=self._guard.encode(),
            pages=self.pages,
            profiles=self._aggregate.listed,
            complete=self._complete,
            trouble_ms=trouble_ms,
            aggregate=self._aggregate.to_bytes(),
        )
        return self._write(checkpoint, hand_over)

    async def _write(self, checkpoint: Checkpoint, hand_over: HandOver | None) -> None:
        lease, token, syncs = self._begun.lease, new_token(), self._context.syncs
        if hand_over is None:
            written = await syncs.commit(lease, checkpoint, token)
        else:
            move: JobKind = "finalize" if self.ended else "walk"
            following = sync_payload(lease.sync_id, move, lease.epoch + 1)
            written = await syncs.commit(
                lease, checkpoint, token, move=move, ticket=following, delay_s=hand_over.delay_s, note=hand_over.note
            )
        self._seq = written.seq

    def _cut(self, page: FetchedPage) -> tuple[list[object], bool]:
        """The entries to count, and whether the sync ends before the listing does."""
        limit = self._begun.request.max_profiles
        if limit is None:
            return page.entries, False
        room = limit - self._aggregate.profiles
        if len(page.entries) < room:
            return page.entries, False
        more = len(page.entries) > room or page.next_cursor is not None
        return page.entries[:room], more
