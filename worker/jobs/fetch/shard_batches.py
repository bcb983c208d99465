"""The shards of a sync as batches: the fetch job lists them, and batch jobs on all workers aggregate them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from worker.clusters import Aggregate
from worker.errors import ResumableStop
from worker.jobs.fetch.fan_out import ActiveListings, FanOutStrategy
from worker.jobs.fetch.page_prefetcher import FetchedPage
from worker.metrics.worker_metrics import WorkerMetrics
from worker.segment.file_shards import ListedShard, ReadOptions, Shard, ShardEngine
from worker.store import StartedBatch

MAX_SHARDS_PER_BATCH = 16
MAX_SHARD_BYTES_PER_BATCH = 64 << 20
"""A batch takes no further shard once its shards have this many bytes, so that a batch takes seconds."""

MAX_TEXT_PER_BATCH = 16_384
"""Bytes of the text of a batch in Redis after which it takes no further shard."""


class ShardFanOutStrategy(FanOutStrategy):
    """Makes batches of shards; see `FetchStrategy`. All shards are on one page."""

    def wanted(self, waiting: int) -> bool:
        """Returns whether to list the page of shards: once, and only if a batch has a free slot."""
        return not waiting and not self._batches and bool(self._committed.free_slots)

    def take(self, page: FetchedPage) -> int:
        """Makes batches of the shards of the page."""
        size = 0
        for entry in page.entries:
            assert isinstance(entry, ListedShard)
            at, limit = self._listed, self._request.max_profiles
            rows = entry.rows or 0
            room = rows if limit is None else min(rows, limit - at.profiles)
            is_cut = limit is not None and (
                room < rows or (at.profiles + room == limit and entry.next_cursor is not None)
            )
            listed = replace(at, pages=at.pages + 1, profiles=at.profiles + room)
            if is_cut or entry.next_cursor is None:
                listed = replace(listed, ended=True, complete=not is_cut and self._request.sample is None)
            else:
                listed = replace(listed, cursor=entry.next_cursor)
            self._pages.append((entry.shard.encode(), rows))
            self._listed = listed
            size += entry.shard.size
            work = replace(self._work(entry.next_cursor, room if room < rows else None), expected=entry.expected)
            is_full = len(work.pages) == MAX_SHARDS_PER_BATCH or len(work.encode()) >= MAX_TEXT_PER_BATCH
            if listed.ended or is_full or size >= MAX_SHARD_BYTES_PER_BATCH:
                self._close_batch(work)
                size = 0
            if listed.ended:
                break
        return 0


class ShardBatchReader:
    """Aggregates the shards of one attempt at a batch.

    Args:
        engine: Reads the shards.
        listings: While a batch is read, this worker takes other jobs later, so that other workers take them.
        timeout_s: Seconds that the shards of a batch may take. The heartbeats of the batch continue meanwhile.
        metrics: Counts shards.
    """

    def __init__(
        self, engine: ShardEngine, listings: ActiveListings, *, timeout_s: float, metrics: WorkerMetrics
    ) -> None:
        self._engine = engine
        self._listings = listings
        self._timeout_s = timeout_s
        self._metrics = metrics

    async def read(self, started: StartedBatch) -> Aggregate:
        """Returns the statistics of the shards."""
        request, work = started.request, started.work
        shards = [Shard.decode(cursor) for cursor, _ in work.pages]
        options = ReadOptions(request.rules, started.started_at, request.sample, work.expected or ())
        try:
            with self._listings.listing():
                async with asyncio.timeout(self._timeout_s):
                    found = await self._engine.aggregate(shards, options, work.take)
        except TimeoutError:
            others = f" and the {len(shards) - 1} other files of its batch" if len(shards) > 1 else ""
            raise ResumableStop(
                "read_timeout",
                f"File {shards[0].name}: reading it{others} took longer than FILES_TIMEOUT_S, "
                f"{self._timeout_s:g} seconds",
                hint="Write smaller files, give the workers more CPU, or raise FILES_TIMEOUT_S.",
            ) from None
        for index in range(len(shards)):
            self._metrics.count_page(0 if index else found.entries)
        return found
