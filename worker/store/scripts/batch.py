"""Scripts of a batch of pages, for the job that has begun it. Times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from worker.models.outcome import SyncFailure
from worker.models.sync import BatchKey
from worker.store.connection.pool import StorePool
from worker.store.keys import HashKey, ListKey, SortedSetKey
from worker.store.progress.batch_work import Counted, NextPayloads
from worker.store.progress.sync_progress import JobPayload
from worker.store.typed_script.lua_script import lua_script


@dataclass(frozen=True)
class BatchFields:
    """The fields of a sync that a job needs to read a batch."""

    word: ClassVar[str] = "ok"
    request: str
    started_at_ms: int
    work: bytes
    trouble_ms: int
    counted: Counted


@dataclass(frozen=True)
class NewerStatistics:
    """The statistics that another batch has written meanwhile."""

    word: ClassVar[str] = "behind"
    counted: Counted


@lua_script("batch/begin")
async def begin(
    pool: StorePool, *, sync: HashKey, due: SortedSetKey, key: BatchKey, holder: str, stall_ms: int
) -> BatchFields:
    """Begins an attempt at a batch."""


@lua_script("batch/heartbeat")
async def heartbeat(
    pool: StorePool, *, sync: HashKey, due: SortedSetKey, key: BatchKey, holder: str, stall_ms: int, note: str
) -> None:
    """Postpones the time at which the job's silence counts."""


@lua_script("batch/count")
async def count(
    pool: StorePool,
    *,
    sync: HashKey,
    queue: SortedSetKey,
    due: SortedSetKey,
    wake: ListKey,
    outcomes: HashKey,
    key: BatchKey,
    holder: str,
    base_epoch: int,
    base_token: str,
    counted: Counted,
    following: NextPayloads,
    stall_ms: int,
) -> NewerStatistics | None:
    """Writes statistics with the pages of a batch, and frees its slot."""


@lua_script("batch/requeue")
async def requeue(
    pool: StorePool,
    *,
    sync: HashKey,
    queue: SortedSetKey,
    due: SortedSetKey,
    wake: ListKey,
    key: BatchKey,
    holder: str,
    trouble_ms: int,
    note: str,
    job: JobPayload,
    delay_ms: int,
    stall_ms: int,
) -> None:
    """Hands a batch to its next attempt."""


@lua_script("batch/fail")
async def fail(
    pool: StorePool,
    *,
    sync: HashKey,
    queue: SortedSetKey,
    due: SortedSetKey,
    key: BatchKey,
    holder: str,
    failure: SyncFailure,
    retention_ms: int,
) -> None:
    """Fails the sync of a batch."""
