"""The walk: reads a space page by page, folds each page, and commits checkpoint and statistics together.

Page i+1's cursor arrives with page i, so one space is one chain; the next page is requested the moment its cursor is
known, and folding and committing happen while it is on its way. A walk holds its lease for about `LEASE_S` and then
hands over to the next walk, so that many syncs share a worker's slots. However it ends, what it has counted is
committed or will be read again: never both, never neither.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from worker.clusters import Aggregate, fold
from worker.errors import ApiError, LeaseLost
from worker.jobs import job
from worker.jobs.ahead import PagesAhead, ReadPage
from worker.jobs.attempts import Defer, Patience
from worker.jobs.context import WorkerContext
from worker.jobs.lease import Lease
from worker.jobs.lookup import cluster_reference, look_up
from worker.jobs.tickets import ticket
from worker.segment.guard import CursorGuard
from worker.store import Checkpoint
from worker.store.syncs import Begun, Move, new_token
from worker.sync import JobKind

log = logging.getLogger("segment_personas.jobs")

LAST_COMMIT_S = 3.0
"""How long a walk that is told to stop may take to commit and hand over."""


async def walk(ctx: dict[str, WorkerContext], sync_id: str, epoch: int) -> None:
    """The arq job. Its sync ends, goes on to `finalizing`, or has a next walk."""
    await job.run(ctx["worker"], sync_id, epoch, "walk", lambda *given: Walk(*given).run())


class Walk:
    """One walk. Its position moves by whole pages, and never between two awaits of one page."""

    def __init__(self, context: WorkerContext, begun: Begun, lease: Lease) -> None:
        self._context = context
        self._begun = begun
        self._lease = lease
        start = begun.checkpoint
        # An earlier walk's trouble was with the API that this one begins with.
        segment_trouble, mavera_trouble = (start.trouble_ms, 0) if begun.lookup else (0, start.trouble_ms)
        limiter = context.segment_limiter(begun.request.space_id)
        self._patience = Patience(context, limiter, "Segment", segment_trouble, lease=lease)
        self._mavera_patience = Patience(context, context.mavera_limiter, "Mavera", mavera_trouble, lease=lease)
        self._aggregate = Aggregate.from_bytes(start.aggregate) if start.aggregate else Aggregate()
        self._cursor, self._pages, self._seq = start.cursor, start.pages, start.seq
        self._first = start.pages + 1
        self._guard = CursorGuard.decode(start.guard)
        self._complete = False
        self._next: JobKind = "walk"
        self._committing: asyncio.Task[None] | None = None
        self._committed_at = context.clock()

    async def run(self) -> None:
        """Reads pages until the listing ends, the lease does, or something is in the way."""
        try:
            await self._check_mavera()
            await self._read_pages()
            await self._last_commit()
        except Defer as wait:
            await self._last_commit(delay_s=wait.wait_s, note=wait.note)
        except asyncio.CancelledError:
            if not self._lease.lost:
                await self._hand_over_and_stop()
            raise
        except ApiError:
            await self._commit("stay")
            raise

    async def _check_mavera(self) -> None:
        """Before any page: is the key good, and which personas are there? Both are one free call."""
        if self._begun.lookup:
            return
        family = cluster_reference(self._begun.request, self._begun.lease.sync_id, "").family
        found = await look_up(self._context, self._mavera_patience, family)
        await self._context.syncs.remember_lookup(self._lease.grant, found.model_dump_json())

    async def _read_pages(self) -> None:
        ends_at = self._context.clock() + self._context.settings.lease_s
        limit = self._begun.request.max_profiles

        def wanted(on_their_way: int) -> bool:
            enough = limit is not None and self._aggregate.profiles + on_their_way >= limit
            return not enough and self._context.clock() < ends_at

        source = self._context.source(self._begun.request)
        # A file has no rate limit, and nothing that a second attempt would mend.
        call = self._patience.call if self._begun.request.file is None else _once
        ahead = PagesAhead(source, call, wanted, self._cursor, self._pages + 1)
        try:
            while page := await ahead.next():
                entries, cut = self._cut(page)
                next_cursor = None if cut else page.next_cursor
                if next_cursor is not None:
                    guard = self._guard.advance(
                        next_cursor,
                        empty=not page.listed,
                        max_empty_pages=self._context.settings.max_empty_pages,
                        space_id=self._begun.request.space_id,
                        page=self._pages + 1,
                    )

                # No await from here to the new position: a page is counted together with what follows it, a cursor or
                # the end, or not at all.
                fold(self._aggregate, entries, self._begun.request.rules, as_of=self._begun.started_at)
                self._aggregate.vanished += page.vanished
                self._pages += 1
                if next_cursor is None:
                    self._complete, self._next = not cut, "finalize"
                    return
                self._cursor, self._guard = next_cursor, guard
                self._commit_in_background()
        finally:
            await ahead.close()

    def _cut(self, page: ReadPage) -> tuple[list[object], bool]:
        """The entries to count, and whether the sync ends before the listing does."""
        limit = self._begun.request.max_profiles
        if limit is None:
            return page.entries, False
        room = limit - self._aggregate.profiles
        if len(page.entries) < room:
            return page.entries, False
        more = len(page.entries) > room or page.next_cursor is not None
        return page.entries[:room], more

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(
            seq=self._seq,
            cursor=self._cursor,
            guard=self._guard.encode(),
            pages=self._pages,
            profiles=self._aggregate.profiles,
            complete=self._complete,
            trouble_ms=max(self._patience.trouble_ms, self._mavera_patience.trouble_ms),
            aggregate=self._aggregate.to_bytes(),
        )

    def _commit_in_background(self) -> None:
        """Commits if it is time and the last commit is through. Raises LeaseLost if that one was refused."""
        if self._committing and self._committing.done():
            self._committing.result()
            self._committing = None
        due = self._context.clock() - self._committed_at >= self._context.settings.commit_interval_s
        if due and self._committing is None:
            self._committed_at = self._context.clock()
            self._committing = asyncio.create_task(self._write(self._checkpoint()))

    async def _write(self, checkpoint: Checkpoint) -> None:
        self._seq = (await self._context.syncs.commit(self._lease.grant, checkpoint, new_token())).seq

    async def _commit(self, move: Move, *, delay_s: float = 0.0, note: str = "") -> None:
        """Commits the present position, after the commit that may be under way."""
        if self._committing:
            await self._committing
            self._committing = None
        begun = self._begun.lease
        following = None if move == "stay" else ticket(begun.sync_id, move, begun.epoch + 1)
        checkpoint, token = self._checkpoint(), new_token()
        written = await self._context.syncs.commit(
            self._lease.grant, checkpoint, token, move=move, ticket=following, delay_s=delay_s, note=note
        )
        self._seq = written.seq

    async def _last_commit(self, *, delay_s: float = 0.0, note: str = "") -> None:
        await self._lease.stop()
        await self._commit(self._next, delay_s=delay_s, note=note)
        grant = self._begun.lease
        log.info("%s: walk of epoch %d read pages %d to %d", grant.sync_id, grant.epoch, self._first, self._pages)

    async def _hand_over_and_stop(self) -> None:
        """The worker is told to stop: commit and hand over, within a bound, whatever else is asked of this task."""
        last = asyncio.create_task(self._last_commit())
        await asyncio.wait({last}, timeout=LAST_COMMIT_S)
        if not last.done():
            last.cancel()
        elif not last.cancelled() and isinstance(last.exception(), LeaseLost):
            log.info("%s: the lease ended before the last commit", self._begun.lease.sync_id)


async def _once(request: Callable[[], Awaitable[Any]]) -> Any:
    return await request()
