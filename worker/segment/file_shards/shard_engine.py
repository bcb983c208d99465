"""Runs DuckDB for the jobs of one worker: in threads, one job at a time, and interrupted when a job ends early."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from worker.clusters import Aggregate
from worker.concurrency import gather_all, run_to_completion
from worker.segment.file_shards.interruptor import Interruptor
from worker.segment.file_shards.listing.file_access import FileAccess
from worker.segment.file_shards.listing.shard import Shard
from worker.segment.file_shards.listing.shard_listing import list_shards
from worker.segment.file_shards.read_options import EngineLimits, ReadOptions

if TYPE_CHECKING:
    from worker.segment.file_shards.rows.shard_view import ShardShape
    from worker.segment.file_shards.shard_reader import ShardReader

T = TypeVar("T")

CONCURRENT_SHARDS = 4
"""Shards of a batch that are read at a time, if there are so many threads. They share memory and threads."""

INTERRUPT_EVERY_S = 0.1


class ShardEngine:
    """The DuckDB of one worker. Its jobs take turns, so that `memory_mb` is the worker's limit and not a job's.

    Args:
        access: Opens the files.
        limits: What DuckDB may use.
    """

    def __init__(self, access: FileAccess, limits: EngineLimits) -> None:
        self.access = access
        self._limits = limits
        self._turn = asyncio.Lock()

    @cached_property
    def _reader(self) -> ShardReader:
        """The reader. It is used in threads only, because loading DuckDB takes a while."""
        from worker.segment.file_shards.shard_reader import ShardReader

        return ShardReader(self.access, self._limits)

    async def list_shards(self, file: str) -> list[Shard]:
        """Lists the shards that a request names, as `list_shards`."""
        return await asyncio.to_thread(list_shards, self.access, file)

    async def inspect(self, shard: Shard, keys: tuple[str, ...]) -> tuple[ShardShape, bool]:
        """Returns what the rows of a shard are, and whether it has a profile. Raises ApiError."""
        async with self._turn:
            return await run_interruptibly(lambda stop: self._reader.inspect(shard, keys, stop))

    async def count(self, shard: Shard, keys: tuple[str, ...], limit: int) -> int:
        """Counts the profiles of a shard, up to `limit`. Raises ApiError."""
        async with self._turn:
            return await run_interruptibly(lambda stop: self._reader.count(shard, keys, limit, stop))

    async def entries(self, shard: Shard, limit: int) -> list[object]:
        """Returns the first profiles of a shard, with all their traits. Raises ApiError."""
        async with self._turn:
            return await run_interruptibly(lambda stop: self._reader.entries(shard, limit, stop))

    async def aggregate(self, shards: Sequence[Shard], options: ReadOptions, take: int | None = None) -> Aggregate:
        """Aggregates shards: by one query if they are alike and whole, otherwise by one for each.

        Args:
            shards: What to read.
            options: What is read of it.
            take: Number of rows of the last shard that count; None: all.

        Raises:
            ApiError: As `ShardReader.aggregate`.
        """
        async with self._turn:
            return await self._aggregate(shards, options, take)

    async def _aggregate(self, shards: Sequence[Shard], options: ReadOptions, take: int | None) -> Aggregate:
        total = Aggregate()
        count = min(CONCURRENT_SHARDS, self._limits.threads, len(shards))
        with contextlib.ExitStack() as stack:
            opening = asyncio.to_thread(lambda: stack.enter_context(self._reader.connections(shards, count)))
            connections = await run_to_completion(opening)
            if len(shards) > 1 and take is None:
                found = await run_interruptibly(
                    lambda stop: self._reader.aggregate_together(shards, options, connections[0], stop)
                )
                if found is not None:
                    return found

            async def read(index: int) -> Aggregate:
                limit = take if index == len(shards) - 1 else None
                async with slots:
                    connection = connections.pop()
                    try:
                        return await run_interruptibly(
                            lambda stop: self._reader.aggregate(shards[index], options, connection, stop, take=limit)
                        )
                    finally:
                        connections.append(connection)

            slots = asyncio.Semaphore(count)
            for found in await gather_all([read(index) for index in range(len(shards))]):
                total.merge(found)
        return total


async def run_interruptibly(work: Callable[[Interruptor], T]) -> T:
    """Runs `work` in a thread. A cancellation interrupts its statements, and is raised when the thread has ended."""
    stop = Interruptor()
    running = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():  # again and again, because an interruption between two statements has no effect
            stop.stop()
            await asyncio.wait({running}, timeout=INTERRUPT_EVERY_S)
        if not running.cancelled():
            running.exception()  # marks it as retrieved
        raise
