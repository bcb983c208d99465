"""The fetch job: reads a space page by page, and commits what it counted together with its position.

The cursor of page i+1 arrives with page i, so one space is one chain. The next page is requested as soon as its cursor
is known; folding and committing happen meanwhile. A fetch job holds its lease for about `LEASE_S` and then hands over
to the next one, so that many syncs share the slots of a worker. However it ends, a page is either counted and
committed, or read again by the next job. What is done with a page depends on the strategy: `chain` or `fan_out`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

from worker.concurrency import cancel_and_wait
from worker.errors import ApiError
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.fetch.fan_out import ActiveListings
from worker.jobs.fetch.fetch_strategy import FetchStrategy, HandOver
from worker.jobs.fetch.page_prefetcher import PagePrefetcher
from worker.jobs.lease import Lease
from worker.jobs.personas.lookup.persona_list import PersonaLister, cluster_reference
from worker.metrics.worker_metrics import WorkerMetrics
from worker.store import JobSyncStore, LeaseGrant
from worker.store.progress.sync_progress import StartedJob

log = logging.getLogger("segment_personas.jobs")


@dataclass
class FetchJob:
    """Reads the pages of one epoch of a sync.

    Attributes:
        started: The sync as the job found it.
        lease: The right to work on it.
        strategy: What is done with the pages.
        source: Sends the requests to what is read: Segment or a warehouse.
        mavera: Sends the requests to Mavera.
        lister: Reads Mavera's list of personas, before the first page.
        syncs: Where syncs are kept.
        listings: Counts the jobs of this worker that list pages for batches.
        lease_s: Seconds after which the job requests no further page.
        clock: Returns monotonic seconds.
        metrics: Counts pages whose profiles are read here.
    """

    started: StartedJob
    lease: Lease[LeaseGrant]
    _: KW_ONLY
    strategy: FetchStrategy
    source: ApiCaller
    mavera: ApiCaller
    lister: PersonaLister
    syncs: JobSyncStore
    listings: ActiveListings
    lease_s: float
    clock: Callable[[], float]
    metrics: WorkerMetrics

    def __post_init__(self) -> None:
        self._first_page = self.strategy.pages + 1
        self._committing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Reads pages until there are no more, the lease ends, or an API must be waited for."""
        try:
            await self._fetch()
        except asyncio.CancelledError:  # the worker stops: hand over
            await self.lease.hand_over(lambda: self._hand_over(HandOver()))
            if self._committing:
                await cancel_and_wait([self._committing])
            raise

    async def _fetch(self) -> None:
        try:
            await self._check_mavera()
            await self._read_pages()
            await self._hand_over(HandOver())
        except Defer as wait:
            await self._hand_over(HandOver(wait.wait_s, wait.note))
        except ApiError:
            await self._commit_last(None)
            raise

    async def _check_mavera(self) -> None:
        """Before the first page: checks the key and looks up which personas exist, by one free request."""
        if self.started.lookup:
            return
        family = cluster_reference(self.started.request, self.started.lease.sync_id, "").family
        found = (await self.lister.list(family)).lookup(family)
        await self.syncs.store_lookup(self.lease.grant, found.model_dump_json())
        self.mavera.note_progress()

    async def _read_pages(self) -> None:
        ends_at = self.clock() + self.lease_s
        strategy, request = self.strategy, self.started.request

        def wanted(waiting: int) -> bool:
            return strategy.wanted(waiting) and self.clock() < ends_at

        # A file has no rate limit, and a second attempt at reading it would fail like the first.
        call = self.source.call if request.file is None else _call_once
        pages = PagePrefetcher(strategy.source, call, wanted, strategy.cursor, strategy.pages + 1, strategy.listed)
        with nullcontext() if strategy.counts_pages else self.listings.listing():
            try:
                while not strategy.ended and (page := await pages.next()):
                    counted = strategy.take(page)
                    if strategy.counts_pages:
                        self.metrics.count_page(counted)
                    self.source.note_progress()
                    self._commit_in_background()
            finally:
                await pages.close()

    def _commit_in_background(self) -> None:
        """Commits if it is time and the last commit has ended. Raises LeaseLost if that one was refused."""
        if self._committing and self._committing.done():
            self._committing.result()
            self._committing = None
        if self._committing is None and not self.strategy.ended and self.strategy.due():
            self._committing = asyncio.ensure_future(self.strategy.commit(self._trouble_ms))

    @property
    def _trouble_ms(self) -> int:
        return max(self.source.trouble_ms, self.mavera.trouble_ms)

    async def _commit_last(self, hand_over: HandOver | None) -> None:
        """Commits the present position, after a commit that is still under way."""
        await self._wait_for_commit()
        commit = self.strategy.commit(self._trouble_ms, last=True, hand_over=hand_over)
        self._committing = asyncio.ensure_future(commit)
        await self._wait_for_commit()

    async def _wait_for_commit(self) -> None:
        """Waits for a commit under way. A cancellation does not end the commit, because the next one builds on it."""
        if self._committing:
            await asyncio.shield(self._committing)
            self._committing = None

    async def _hand_over(self, hand_over: HandOver) -> None:
        if not hand_over.note and not self.strategy.ended and self._trouble_ms:
            hand_over = replace(hand_over, note=self.lease.note)  # the sync still waits for the same reason
        await self.lease.stop()
        await self._commit_last(hand_over)
        grant = self.started.lease
        last = self.strategy.pages
        read = "no page" if last < self._first_page else f"pages {self._first_page} to {last}"
        log.info("%s: fetch job of epoch %d read %s", grant.sync_id, grant.epoch, read)


async def _call_once(request: Callable[[], Awaitable[Any]]) -> Any:
    return await request()
