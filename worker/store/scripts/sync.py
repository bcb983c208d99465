"""Scripts of a sync: what the client calls, and what a job calls with its lease. Times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Literal

from worker.models.outcome import SyncFailure
from worker.models.sync import JobKind
from worker.store.connection.pool import StorePool
from worker.store.keys import HashKey, ListKey, SortedSetKey, StringKey
from worker.store.progress.batch_work import ListedBatch, NextPayloads
from worker.store.progress.sync_progress import Checkpoint, JobPayload, LeaseGrant, Listing
from worker.store.typed_script.lua_script import Unchecked, lua_script


class Creation(StrEnum):
    """Answer to a creation.

    Attributes:
        REPEATED: This very call had created the sync before.
    """

    CREATED = "created"
    REPEATED = "repeated"


@dataclass(frozen=True)
class ExistingSync:
    """The sync that a request means: of the same idempotency key, or running for the same identity."""

    word: ClassVar[str] = "existing"
    sync_id: str


class Continuation(StrEnum):
    """Answer to a call that continues a sync.

    Attributes:
        CHANGED: Another call changed the sync's state meanwhile.
        GONE: The sync is not known.
    """

    OK = "ok"
    CHANGED = "changed"
    GONE = "gone"


@dataclass(frozen=True)
class BusySync:
    """Another sync of the same identity that runs."""

    word: ClassVar[str] = "busy"
    sync_id: str


class Cancellation(StrEnum):
    """Answer to a cancellation.

    Attributes:
        GONE: The sync is not known.
    """

    OK = "ok"
    GONE = "gone"


@dataclass(frozen=True)
class EndedSync:
    """The final state of a sync that had ended before."""

    word: ClassVar[str] = "ended"
    state: str


@dataclass(frozen=True)
class SyncFields:
    """The hash of a sync."""

    word: ClassVar[str] = "ok"
    fields: dict[str, str]


@dataclass(frozen=True)
class FreeSlots:
    """The free slots of a sync's look-ahead."""

    word: ClassVar[str] = "ok"
    slots: tuple[int, ...]


@lua_script("sync/create")
async def create(
    pool: StorePool,
    *,
    sync: HashKey,
    queue: SortedSetKey,
    due: SortedSetKey,
    wake: ListKey,
    syncs: SortedSetKey,
    active: SortedSetKey,
    requests: tuple[StringKey, ...],
    id: str,
    request: str,
    identity: str,
    job: JobPayload,
    stall_ms: int,
    force: bool,
    retention_ms: int,
    account: str,
) -> Creation | ExistingSync:
    """Creates a sync and its first job."""


@lua_script("sync/cancel")
async def cancel(
    pool: StorePool, *, sync: HashKey, queue: SortedSetKey, due: SortedSetKey, id: str, retention_ms: int
) -> Cancellation | EndedSync:
    """Cancels a running sync."""


@lua_script("sync/resume")
async def resume(
    pool: StorePool,
    *,
    sync: HashKey,
    queue: SortedSetKey,
    due: SortedSetKey,
    wake: ListKey,
    outcomes: HashKey,
    active: SortedSetKey,
    id: str,
    epoch: int,
    restart: bool,
    stall_ms: int,
    job: JobPayload,
    request: str,
    accept: bool,
    account: str,
    attempts: tuple[JobPayload, ...],
) -> Continuation | BusySync:
    """Continues a failed sync; with `restart`, from the first page; with `accept`, past its guards."""


@lua_script("sync/apply")
async def apply(
    pool: StorePool,
    *,
    sync: HashKey,
    queue: SortedSetKey,
    due: SortedSetKey,
    wake: ListKey,
    outcomes: HashKey,
    active: SortedSetKey,
    id: str,
    epoch: int,
    request: str,
    accept: bool,
    stall_ms: int,
    job: JobPayload,
    account: str,
) -> Continuation | BusySync:
    """Continues a completed preview to its personas."""


@lua_script("sync/begin")
async def begin(
    pool: StorePool,
    *,
    sync: HashKey,
    due: SortedSetKey,
    id: str,
    epoch: int,
    holder: str,
    stall_ms: int,
    kind: JobKind,
    account: str,
) -> SyncFields:
    """Takes the lease of an epoch."""


@lua_script("sync/heartbeat")
async def heartbeat(
    pool: StorePool, *, sync: HashKey, due: SortedSetKey, lease: LeaseGrant, silent_ms: int, note: str
) -> None:
    """Postpones the time at which the job's silence counts to `silent_ms` from now."""


@lua_script("sync/commit")
async def commit(
    pool: StorePool,
    *,
    sync: HashKey,
    queue: SortedSetKey,
    due: SortedSetKey,
    wake: ListKey,
    outcomes: HashKey,
    lease: LeaseGrant,
    checkpoint: Checkpoint,
    token: str,
    note: str,
    follows: Literal["stay", "walk", "finalize"],
    job: JobPayload | None,
    delay_ms: int,
    stall_ms: int,
) -> None:
    """Writes the checkpoint of a fetch job; with a job, hands the sync to it."""


@lua_script("sync/commit_listing")
async def commit_listing(
    pool: StorePool,
    *,
    sync: HashKey,
    queue: SortedSetKey,
    due: SortedSetKey,
    wake: ListKey,
    outcomes: HashKey,
    lease: LeaseGrant,
    listing: Listing,
    token: str,
    note: str,
    following: NextPayloads | None,
    delay_ms: int,
    stall_ms: int,
    batches: tuple[ListedBatch, ...],
) -> FreeSlots:
    """Writes the checkpoint of a fan-out's fetch job and the batches that it has listed."""


@lua_script("sync/hand_over")
async def hand_over(
    pool: StorePool,
    *,
    sync: HashKey,
    queue: SortedSetKey,
    due: SortedSetKey,
    wake: ListKey,
    lease: LeaseGrant,
    token: str,
    trouble_ms: int,
    note: str,
    job: JobPayload,
    delay_ms: int,
    stall_ms: int,
) -> None:
    """Hands the sync to the next job of the same state."""


@lua_script("sync/set_field")
async def set_field(
    pool: StorePool,
    *,
    sync: HashKey,
    lease: LeaseGrant,
    field: Literal["lookup", "plan", "account", "shards", "warehouse"],
    text: str,
) -> None:
    """Keeps a text with the sync, for a later job."""


@lua_script("sync/complete")
async def complete(
    pool: StorePool,
    *,
    sync: HashKey,
    queue: SortedSetKey,
    due: SortedSetKey,
    history: Unchecked[ListKey],
    lease: LeaseGrant,
    token: str,
    retention_ms: int,
    plan: str,
    baseline: str,
    snapshot: str,
    history_length: int,
) -> None:
    """Completes a sync, and adds its snapshot to the history of its identity."""


@lua_script("sync/fail")
async def fail(
    pool: StorePool,
    *,
    sync: HashKey,
    queue: SortedSetKey,
    due: SortedSetKey,
    lease: LeaseGrant,
    token: str,
    failure: SyncFailure,
    retention_ms: int,
) -> None:
    """Fails a sync."""


@lua_script("sync/require_format")
async def require_format(pool: StorePool, *, sync: HashKey, format: int) -> None:
    """Records that only workers of a newer format can continue a sync."""
