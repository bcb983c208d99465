"""Scripts of schedules: what a client calls, and what the watchdog calls when ticks are due. Times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from worker.store.connection.pool import StorePool
from worker.store.keys import HashKey, ListKey, SortedSetKey
from worker.store.progress.sync_progress import JobPayload
from worker.store.typed_script.lua_script import lua_script


class Addition(StrEnum):
    """Answer to an addition.

    Attributes:
        CHANGED: The schedule existed, and has the new options now.
        FULL: The number of schedules has reached its limit.
    """

    CREATED = "created"
    CHANGED = "changed"
    FULL = "full"


class Removal(StrEnum):
    """Answer to a removal.

    Attributes:
        GONE: The schedule is not known.
    """

    OK = "ok"
    GONE = "gone"


class Handled(StrEnum):
    """Answer to a worker that handles a tick.

    Attributes:
        CHANGED: Another worker has handled the tick.
        GONE: The schedule is not known any more.
    """

    OK = "ok"
    CHANGED = "changed"
    GONE = "gone"


class NotFired(StrEnum):
    """As `Handled`."""

    CHANGED = "changed"
    GONE = "gone"


@dataclass(frozen=True)
class DueSchedule:
    """A schedule whose tick has come.

    Attributes:
        tick_ms: 0 if the tick must be computed again.
        last_tick_ms: Empty for none.
    """

    id: bytes
    document: bytes
    tick_ms: bytes
    last_tick_ms: bytes
    created_ms: bytes


@dataclass(frozen=True)
class DueSchedules:
    """Schedules whose ticks have come.

    Attributes:
        now: Milliseconds by the clock of Redis.
    """

    word: ClassVar[str] = "ok"
    now: int
    entries: tuple[DueSchedule, ...]


@dataclass(frozen=True)
class WatchedSchedule:
    """A schedule whose syncs are watched.

    Attributes:
        watched_ms: Since when, in milliseconds by the clock of Redis.
        overdue: `1` if it was overdue at the last check.
    """

    id: bytes
    document: bytes
    watched_ms: bytes
    overdue: str


@dataclass(frozen=True)
class WatchedSchedules:
    """Schedules whose syncs are watched.

    Attributes:
        now: Milliseconds by the clock of Redis.
    """

    word: ClassVar[str] = "ok"
    now: int
    entries: tuple[WatchedSchedule, ...]


@dataclass(frozen=True)
class Started:
    """The sync of a tick."""

    word: ClassVar[str] = "started"
    sync_id: str


@dataclass(frozen=True)
class Followed:
    """The sync with the same options that is under way, so that none was started."""

    word: ClassVar[str] = "followed"
    sync_id: str


@dataclass(frozen=True)
class Waiting:
    """The sync with other options that is under way; the tick is due again later."""

    word: ClassVar[str] = "waiting"
    sync_id: str


@lua_script("schedule/add")
async def add(
    pool: StorePool,
    *,
    schedule: HashKey,
    schedules: SortedSetKey,
    ticks: SortedSetKey,
    alerts: SortedSetKey,
    id: str,
    document: bytes,
    next_ms: int | None,
    alerts_after: bool,
    limit: int,
) -> Addition:
    """Adds a schedule, or changes the options of the one with its id."""


@lua_script("schedule/remove")
async def remove(
    pool: StorePool, *, schedule: HashKey, schedules: SortedSetKey, ticks: SortedSetKey, alerts: SortedSetKey, id: str
) -> Removal:
    """Removes a schedule."""


@lua_script("schedule/pause")
async def pause(
    pool: StorePool,
    *,
    schedule: HashKey,
    ticks: SortedSetKey,
    alerts: SortedSetKey,
    id: str,
    paused: bool,
    next_ms: int | None,
) -> Removal:
    """Pauses a schedule, or ends its pause."""


@lua_script("schedule/list_due")
async def list_due(pool: StorePool, *, ticks: SortedSetKey, clock: HashKey, count: int) -> DueSchedules:
    """Lists the schedules whose tick has come."""


@lua_script("schedule/fire")
async def fire(
    pool: StorePool,
    *,
    schedule: HashKey,
    ticks: SortedSetKey,
    sync: HashKey,
    queue: SortedSetKey,
    due: SortedSetKey,
    wake: ListKey,
    syncs: SortedSetKey,
    active: SortedSetKey,
    schedule_id: str,
    expected_ms: int,
    tick_ms: int,
    next_ms: int | None,
    wait_ms: int,
    id: str,
    request: str,
    identity: str,
    account: str,
    job: JobPayload,
    stall_ms: int,
    retention_ms: int,
) -> Started | Followed | Waiting | NotFired:
    """Handles a tick: starts its sync, or follows the one that is under way."""


@lua_script("schedule/skip")
async def skip(
    pool: StorePool,
    *,
    schedule: HashKey,
    ticks: SortedSetKey,
    schedule_id: str,
    expected_ms: int,
    tick_ms: int | None,
    next_ms: int | None,
) -> Handled:
    """Advances to the next tick without a sync."""


@lua_script("schedule/list_alerts")
async def list_alerts(pool: StorePool, *, alerts: SortedSetKey, clock: HashKey, count: int) -> WatchedSchedules:
    """Lists the schedules that must be checked for a complete sync in time."""


@lua_script("schedule/note_overdue")
async def note_overdue(
    pool: StorePool,
    *,
    schedule: HashKey,
    alerts: SortedSetKey,
    schedule_id: str,
    account: str,
    overdue: bool,
    base_ms: int,
    next_ms: int,
    document: str,
) -> Removal:
    """Notes whether a schedule had its complete sync in time."""
