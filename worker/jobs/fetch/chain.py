"""The chain strategy: one fetch job folds its pages itself, and commits checkpoint and statistics together.

The warehouse strategy is the same for one page, which holds the aggregate of the whole table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from worker.clusters import Aggregate, fold
from worker.jobs.fetch.fetch_strategy import HandOver
from worker.jobs.fetch.page_prefetcher import FetchedPage
from worker.jobs.job_payloads import sync_payload
from worker.models.sync import JobKind
from worker.segment import Source
from worker.segment.endless_listing import CursorGuard
from worker.store import Checkpoint, JobSyncStore
from worker.store.progress.sync_progress import StartedJob, new_token


class ChainStrategy:
    """Folds the pages of one fetch job; see `FetchStrategy`.

    Args:
        started: The job's sync as the job found it.
        source: What is read.
        syncs: Where checkpoints are kept.
        max_empty_pages: Empty pages in a row after which the sync fails.
        commit_interval_s: Seconds between two commits.
        clock: Returns monotonic seconds.
    """

    counts_pages = True

    def __init__(
        self,
        started: StartedJob,
        source: Source,
        syncs: JobSyncStore,
        *,
        max_empty_pages: int,
        commit_interval_s: float,
        clock: Callable[[], float],
    ) -> None:
        self.source = source
        self._started = started
        self._request = started.request
        self._syncs = syncs
        self._max_empty_pages = max_empty_pages
        self._commit_interval_s = commit_interval_s
        self._clock = clock
        checkpoint = started.checkpoint
        self.cursor, self.pages, self._seq = checkpoint.cursor, checkpoint.pages, checkpoint.seq
        self.ended = False
        self._complete = False
        self._guard = CursorGuard.decode(checkpoint.guard)
        self._aggregate = Aggregate.from_bytes(checkpoint.aggregate) if checkpoint.aggregate else Aggregate()
        self._committed_at = clock()

    @property
    def listed(self) -> int:
        """The number of entries of the pages."""
        return self._aggregate.entries + self._aggregate.vanished + self._aggregate.left_out

    def wanted(self, waiting: int) -> bool:
        """Returns whether the sync needs more profiles than are read."""
        limit = self._request.max_profiles
        return limit is None or self._aggregate.profiles + waiting < limit

    def take(self, page: FetchedPage) -> int:
        """Folds a page and moves on to the next cursor."""
        entries, cut = self._cut(page)
        next_cursor = None if cut else page.next_cursor
        if next_cursor is not None:
            guard = self._guard.advance(
                next_cursor,
                empty=not page.listed,
                max_empty_pages=self._max_empty_pages,
                space_id=self._request.space_id,
                page=self.pages + 1,
            )
        fold(self._aggregate, entries, self._request.rules, as_of=self._started.started_at)
        self._aggregate.vanished += page.vanished
        self._aggregate.unreadable += page.unreadable
        self._aggregate.left_out += page.left_out
        self._aggregate.merged += page.merged
        self.pages += 1
        if next_cursor is None:
            self.ended, self._complete = True, not cut and self._request.sample is None
        else:
            self.cursor, self._guard = next_cursor, guard
        return len(page.entries)

    def due(self) -> bool:
        """Returns whether the last commit is long enough ago."""
        return self._clock() - self._committed_at >= self._commit_interval_s

    def commit(self, trouble_ms: int, *, last: bool = False, hand_over: HandOver | None = None) -> Awaitable[None]:
        """Writes the checkpoint with the statistics; see `FetchStrategy.commit`."""
        self._committed_at = self._clock()
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
        grant, token = self._started.lease, new_token()
        if hand_over is None:
            written = await self._syncs.commit(grant, checkpoint, token)
        else:
            kind: JobKind = "finalize" if self.ended else "walk"
            written = await self._syncs.commit(
                grant,
                checkpoint,
                token,
                move=kind,
                payload=sync_payload(grant.sync_id, kind, grant.epoch + 1),
                delay_s=hand_over.delay_s,
                note=hand_over.note,
            )
        self._seq = written.seq

    def _cut(self, page: FetchedPage) -> tuple[list[object], bool]:
        """Returns the entries to count, and whether `max_profiles` ends the sync before the listing ends."""
        limit = self._request.max_profiles
        if limit is None:
            return page.entries, False
        room = limit - self._aggregate.profiles
        if len(page.entries) < room:
            return page.entries, False
        more = len(page.entries) > room or page.next_cursor is not None
        return page.entries[:room], more


class WarehouseStrategy(ChainStrategy):
    """Counts the aggregate that a statement returned; see `FetchStrategy`."""

    def wanted(self, waiting: int) -> bool:
        """Returns whether the statement has not been counted yet."""
        return not self.ended and not waiting

    def take(self, page: FetchedPage) -> int:
        """Merges the aggregate of the only page."""
        (found,) = page.entries
        assert isinstance(found, Aggregate)
        self._aggregate.merge(found)
        self.pages += 1
        limit = self._request.max_profiles
        read = found.entries + found.left_out + found.merged
        self.ended = True
        self._complete = self._request.sample is None and (limit is None or read < limit)
        return found.entries
