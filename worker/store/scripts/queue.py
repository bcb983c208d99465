"""Scripts of arq's queue. Times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from worker.store.connection.pool import StorePool
from worker.store.keys import HashKey, ListKey, SortedSetKey
from worker.store.typed_script.lua_script import Unchecked, lua_script


@dataclass(frozen=True)
class TakenEntry:
    """A job that was taken.

    Attributes:
        score: When it was due, as Redis writes it.
        queue: Number of its queue among those that were given, from 1.
    """

    job_id: bytes
    score: bytes
    job: bytes
    queue: int


@dataclass(frozen=True)
class DroppedEntry:
    """An entry that was not a job."""

    job_id: bytes
    reason: str


@dataclass(frozen=True)
class TakenEntries:
    """The outcome of a poll of the queue. next_ms: until the next job may start, -1 if none may soon.

    Attributes:
        waits_for_suspect: A job that may kill workers runs alone here, or waits until this worker runs nothing.
    """

    word: ClassVar[str] = "ok"
    next_ms: int
    waits_for_suspect: bool
    taken: tuple[TakenEntry, ...]
    dropped: tuple[DroppedEntry, ...]


@lua_script("queue/take_jobs")
async def take_jobs(
    pool: StorePool,
    *,
    common: Unchecked[SortedSetKey],
    due: Unchecked[SortedSetKey],
    queues: tuple[Unchecked[SortedSetKey], ...],
    most: int,
    in_progress_ms: int,
    stall_ms: int,
    account: str,
    running: int,
    only: str,
    suspect_after: int,
    own_syncs: str,
    skips_pipes: bool,
    in_turn: bool,
    token: str,
) -> TakenEntries:
    """Takes jobs that may start, and marks each as in progress."""


class Assignment(StrEnum):
    """Answer to an assignment.

    Attributes:
        STAYS: The job is not in the common queue any more, or the account's queue is not one yet.
    """

    OK = "ok"
    STAYS = "stays"


@lua_script("queue/assign_job")
async def assign_job(
    pool: StorePool,
    *,
    common: SortedSetKey,
    sync: Unchecked[HashKey],
    job_id: bytes,
    account: str,
    other: str,
) -> Assignment:
    """Moves a job of the common queue to the queue of an account."""


@lua_script("queue/give_back_job")
async def give_back_job(pool: StorePool, *, queue: SortedSetKey, wake: ListKey, job_id: bytes, score: int) -> None:
    """Makes a job that was taken and not begun free again."""


@lua_script("queue/give_back_lost")
async def give_back_lost(
    pool: StorePool, *, queue: SortedSetKey, wake: ListKey, token: str, kept: tuple[bytes, ...]
) -> None:
    """Makes the jobs free again that were taken by a call whose answer was lost."""


@lua_script("queue/leave_job")
async def leave_job(pool: StorePool, *, queue: SortedSetKey, job_id: bytes, delay_ms: int) -> None:
    """Leaves a job that was taken to newer workers."""
