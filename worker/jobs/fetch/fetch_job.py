"""The walk: reads a space page by page, and commits what it makes of the pages together with its place.

Page i+1's cursor arrives with page i, so one space is one chain; the next page is requested the moment its cursor is
known, and folding and committing happen while it is on its way. A walk holds its lease for about `LEASE_S` and then
hands over to the next walk, so that many syncs share a worker's slots. However it ends, what it has counted is
committed or will be read again: never both, never neither. What it makes of a page is up to the strategy: `counting` or
`batching`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from worker.concurrency import give_up
from worker.errors import ApiError
from worker.jobs import job_runner
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.fetch.chain import ChainStrategy
from worker.jobs.fetch.fan_out import FanOutStrategy
from worker.jobs.fetch.fetch_strategy import FetchStrategy, HandOver
from worker.jobs.fetch.page_prefetcher import PagePrefetcher
from worker.jobs.lease import Lease
from worker.jobs.personas.lookup import cluster_reference, look_up
from worker.jobs.services import WorkerContext
from worker.store import LeaseGrant
from worker.store.syncs import Begun

log = logging.getLogger("segment_personas.jobs")


async def walk(ctx: dict[str, WorkerContext], sync_id: str, epoch: int) -> None:
    """The arq job. Its sync ends, goes on to `finalizing`, or has a next walk or batches of pages to wait for."""
    await job_runner.run_epoch(ctx["worker"], sync_id, epoch, "walk", lambda *given: FetchJob(*given).run())


class FetchJob:
    """One walk."""

    def __init__(self, context: WorkerContext, begun: Begun, lease: Lease[LeaseGrant]) -> None:
        self._context = context
        self._begun = begun
        self._lease = lease
        # An earlier walk's trouble was with the API that this one begins with.
        trouble_ms = begun.listing.trouble_ms
        segment_trouble, mavera_trouble = (trouble_ms, 0) if begun.lookup else (0, trouble_ms)
        limiter = context.segment_limiter(begun.request.space_id)
        lists = begun.request.fans_out
        self._caller = ApiCaller(context, limiter, "Segment", segment_trouble, lease=lease, in_sequence=lists)
        self._mavera_caller = ApiCaller(context, context.mavera_limiter, "Mavera", mavera_trouble, lease=lease)
        self._strategy: FetchStrategy = (FanOutStrategy if begun.request.fans_out else ChainStrategy)(context, begun)
        self._first = self._strategy.pages + 1
        self._committing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Reads pages until there are no more, the lease ends, or something is in the way."""
        try:
            await self._walk()
        except asyncio.CancelledError:  # whatever the walk was about to do, it hands over now
            await self._lease.hand_over(lambda: self._leave(HandOver()))
            if self._committing:
                await give_up([self._committing])
            raise

    async def _walk(self) -> None:
        try:
            await self._check_mavera()
            await self._read_pages()
            await self._leave(HandOver())
        except Defer as wait:
            await self._leave(HandOver(wait.wait_s, wait.note))
        except ApiError:
            await self._last_commit(None)
            raise

    async def _check_mavera(self) -> None:
        """Before any page: is the key good, and which personas are there? Both are one free call."""
        if self._begun.lookup:
            return
        family = cluster_reference(self._begun.request, self._begun.lease.sync_id, "").family
        found = await look_up(self._context, self._mavera_caller, family)
        await self._context.syncs.remember_lookup(self._lease.grant, found.model_dump_json())
        self._mavera_caller.made_progress()

    async def _read_pages(self) -> None:
        ends_at = self._context.clock() + self._context.settings.lease_s
        strategy = self._strategy

        def wanted(on_their_way: int) -> bool:
            return strategy.wanted(on_their_way) and self._context.clock() < ends_at

        # A file has no rate limit, and nothing that a second attempt would mend.
        call = self._caller.call if self._begun.request.file is None else _once
        ahead = PagePrefetcher(strategy.source, call, wanted, strategy.cursor, strategy.pages + 1, strategy.listed)
        self._context.listings += self._begun.request.fans_out
        try:
            while not strategy.ended and (page := await ahead.next()):
                strategy.take(page)
                self._caller.made_progress()
                self._commit_in_background()
        finally:
            self._context.listings -= self._begun.request.fans_out
            await ahead.close()

    def _commit_in_background(self) -> None:
        """Commits if it is time and the last commit is through. Raises LeaseLost if that one was refused."""
        if self._committing and self._committing.done():
            self._committing.result()
            self._committing = None
        if self._committing is None and not self._strategy.ended and self._strategy.due():
            self._committing = asyncio.ensure_future(self._strategy.commit(self._trouble_ms))

    @property
    def _trouble_ms(self) -> int:
        return max(self._caller.trouble_ms, self._mavera_caller.trouble_ms)

    async def _last_commit(self, hand_over: HandOver | None) -> None:
        """Commits the present position, after the commit that may be under way."""
        await self._commit_under_way()
        self._committing = asyncio.ensure_future(
            self._strategy.commit(self._trouble_ms, last=True, hand_over=hand_over)
        )
        await self._commit_under_way()

    async def _commit_under_way(self) -> None:
        """Waits for it. Who is cancelled meanwhile leaves it under way, for the next commit builds on it."""
        if self._committing:
            await asyncio.shield(self._committing)
            self._committing = None

    async def _leave(self, hand_over: HandOver) -> None:
        if not hand_over.note and not self._strategy.ended and self._trouble_ms:
            hand_over = replace(hand_over, note=self._lease.note)  # what is in the way stays in the way
        await self._lease.stop()
        await self._last_commit(hand_over)
        grant = self._begun.lease
        last = self._strategy.pages
        read = "no page" if last < self._first else f"pages {self._first} to {last}"
        log.info("%s: walk of epoch %d read %s", grant.sync_id, grant.epoch, read)


async def _once(request: Callable[[], Awaitable[Any]]) -> Any:
    return await request()
