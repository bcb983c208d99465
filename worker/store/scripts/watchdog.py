"""Scripts of the watchdog: find what is due, and revive silent syncs and batches. Times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from worker.models.outcome import SyncFailure
from worker.models.sync import BatchKey, SyncState
from worker.store.connection.pool import StorePool
from worker.store.keys import HashKey, ListKey, SortedSetKey, StringKey
from worker.store.progress.sync_progress import JobPayload
from worker.store.typed_script.lua_script import Unchecked, lua_script


class Duty(StrEnum):
    """The duties of a watchdog."""

    #: syncs or batches have no heartbeat
    SILENT = "silent"
    #: ticks of schedules have come
    TICKS = "ticks"
    #: schedules must be checked for a complete sync
    ALERTS = "alerts"
    #: the inbox has documents
    INBOX = "inbox"


class Revival(StrEnum):
    """The result of a revival."""

    REVIVED = "revived"
    #: its job is in the queue, or it has nothing to do before its batches are read
    WAITING = "waiting"
    #: too many jobs were lost
    FAILED = "failed"
    #: its time has not come
    EARLY = "early"
    #: another job has it by now
    CHANGED = "changed"
    #: it has ended
    GONE = "gone"


@dataclass(frozen=True)
class DueEntry:
    """One entry that is due. slot: of a batch, empty for a sync. state: empty if the sync is not known.

    Attributes:
        batch: Text of the slot.
    """

    sync_id: bytes
    slot: bytes
    state: bytes
    epoch: bytes
    batch: bytes


@dataclass(frozen=True)
class DueEntries:
    """A page of what is due.

    Attributes:
        looked_at: Entries in the page, of which some only wait in the queue.
    """

    word: ClassVar[str] = "ok"
    looked_at: int
    entries: tuple[DueEntry, ...]


@dataclass(frozen=True)
class WatchLock:
    """Answer to a watchdog that asks for its turn.

    Attributes:
        granted: Whether the caller may look.
        set_back_ms: Milliseconds by which the clock of Redis was set back; 0 if it was not.
        duties: Words of each `Duty` that has something to do, in the order of that class; none if not granted.
    """

    word: ClassVar[str] = "ok"
    granted: bool
    set_back_ms: int
    duties: tuple[str, ...]


@lua_script("watchdog/lock_watch")
async def lock_watch(
    pool: StorePool,
    *,
    lock: Unchecked[StringKey],
    clock: Unchecked[HashKey],
    due: Unchecked[SortedSetKey],
    ticks: Unchecked[SortedSetKey],
    alerts: Unchecked[SortedSetKey],
    inbox: Unchecked[ListKey],
    times: tuple[Unchecked[SortedSetKey], ...],
    lock_ms: int,
    furthest_ms: int,
    stall_ms: int,
    has_looked: bool,
) -> WatchLock:
    """Lets one watchdog look at a time, names its duties, and repairs times after an outage or a step of the clock."""


@lua_script("watchdog/list_due")
async def list_due(pool: StorePool, *, due: SortedSetKey, stall_ms: int, skip: int, count: int) -> DueEntries:
    """Lists what is due."""


@lua_script("watchdog/revive_sync")
async def revive_sync(
    pool: StorePool,
    *,
    sync: HashKey,
    due: SortedSetKey,
    id: str,
    state: SyncState,
    epoch: int,
    stall_ms: int,
    max_revivals: int,
    spread_ms: int,
    job: JobPayload,
    failure: SyncFailure,
    retention_ms: int,
) -> Revival:
    """Gives a silent sync its next job, or fails it."""


@lua_script("watchdog/revive_batch")
async def revive_batch(
    pool: StorePool,
    *,
    sync: HashKey,
    due: SortedSetKey,
    key: BatchKey,
    stall_ms: int,
    max_lost: int,
    spread_ms: int,
    job: JobPayload,
    failure: SyncFailure,
    retention_ms: int,
) -> Revival:
    """Gives a silent batch its next attempt, or fails its sync."""
