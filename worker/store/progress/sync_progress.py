"""A job in the queue, and what it holds of its sync: its lease, and how far the sync has come. Pure data."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from worker.models.request import SyncRequest
from worker.models.sync import SyncState
from worker.models.warehouse import WarehouseRead
from worker.store import keys


@dataclass(frozen=True)
class JobPayload:
    """An arq job, ready to be enqueued by a script.

    Attributes:
        job_id: `sync:kind:epoch`, or of a batch `sync:batch:slot:number:attempt`; never used twice.
        job: The job as arq serialises it; its bytes are opaque to the store.
    """

    job_id: str
    job: bytes


@dataclass(frozen=True)
class LeaseGrant:
    """A job's right to work on a sync: it holds while state, epoch and holder are unchanged in Redis."""

    sync_id: str
    state: SyncState
    epoch: int
    holder: str


@dataclass(frozen=True)
class Checkpoint:
    """The progress of fetching. Cursor and statistics are always written together.

    Attributes:
        seq: Number of commits so far.
        cursor: Of the next page.
        guard: State of the cursor guards, encoded.
        pages: Pages counted.
        profiles: Profiles counted.
        complete: Whether the last page has been read.
        trouble_ms: For how long an API has failed by now, over all jobs since it last answered, in milliseconds.
        aggregate: Statistics, encoded; empty at the start.
    """

    seq: int = 0
    cursor: str = ""
    guard: str = ""
    pages: int = 0
    profiles: int = 0
    complete: bool = False
    trouble_ms: int = 0
    aggregate: bytes = b""


@dataclass(frozen=True)
class Listing:
    """The progress of the listing of a fan-out sync, whose pages are counted by batches.

    Attributes:
        seq: As of `Checkpoint`, like cursor, guard and trouble_ms.
        pages: Pages listed so far.
        profiles: Profiles listed so far.
        batches: Batches issued so far, also before a restart.
        ended: Nothing more is listed.
        complete: It has ended because there is nothing more.
        free_slots: Free slots of the look-ahead, as far as is known: batches free them at any time, and only the fetch
            job fills them.
    """

    seq: int = 0
    cursor: str = ""
    guard: str = ""
    pages: int = 0
    profiles: int = 0
    batches: int = 0
    ended: bool = False
    complete: bool = False
    trouble_ms: int = 0
    free_slots: tuple[int, ...] = field(default=tuple(range(keys.SLOTS)), metadata={"sent": False})

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Self:
        """Reads the fields of a sync's Redis hash."""
        return cls(
            seq=int(fields["seq"]),
            cursor=fields["cursor"],
            guard=fields["guard"],
            pages=int(fields.get("pages_listed", 0)),
            profiles=int(fields.get("profiles_listed", 0)),
            batches=int(fields.get("batches", 0)),
            ended=fields.get("listed") == "1",
            complete=fields["complete"] == "1",
            trouble_ms=int(fields["trouble_ms"]),
            free_slots=tuple(slot for slot in range(keys.SLOTS) if not fields.get(f"slot:{slot}")),
        )


@dataclass(frozen=True)
class StartedJob:
    """The sync of a job when it got its lease. Times are Unix seconds by the clock of Redis.

    Attributes:
        lease: Of the job.
        request: What the sync was asked for.
        checkpoint: How far fetching has come.
        listing: How far the listing has come, in fan-out.
        started_at: When the sync's first job began.
        lookup: What an earlier job of the sync found at Mavera, encoded.
        plan: What an earlier job of the sync has planned so far, encoded.
        accepted: Whether a user has accepted its numbers although a guard stopped it.
        fetched_at: When the last page was read; None: not yet.
        note: Why an earlier job had to wait, if that has not ended.
        warehouse_read: The statement of an earlier job at a warehouse.
    """

    lease: LeaseGrant
    request: SyncRequest
    checkpoint: Checkpoint
    listing: Listing
    started_at: float
    lookup: str
    plan: str
    accepted: bool
    fetched_at: float | None
    note: str = ""
    warehouse_read: WarehouseRead | None = None


class SilentSync(NamedTuple):
    """A sync without a heartbeat for too long.

    Attributes:
        state: State of the sync; None if it is not known any more.
    """

    sync_id: str
    state: SyncState | None
    epoch: int


def new_token() -> str:
    """Returns a token that identifies one attempt to write."""
    return secrets.token_hex(8)
