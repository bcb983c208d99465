"""A batch of pages: what it reads, what the batches of a sync have counted, and the lease of the job that reads it.

Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import orjson

from worker.models.request import SyncRequest
from worker.models.sync import BatchKey
from worker.models.versions import check_version
from worker.store.progress.job_payload import JobPayload


@dataclass(frozen=True)
class BatchWork:
    """Consecutive pages.

    Attributes:
        first_page: Number of the first page, from 1.
        pages: Cursor and number of listed entries of each page.
        next_cursor: Of the page after them; None at the end of the listing.
        take: How many entries of the last page count; None: all.
    """

    first_page: int
    pages: tuple[tuple[str, int], ...]
    next_cursor: str | None
    take: int | None = None

    def encode(self) -> bytes:
        """Returns the text for a slot."""
        return orjson.dumps(
            {"version": 1, "first": self.first_page, "pages": self.pages, "next": self.next_cursor, "take": self.take}
        )

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Reads the text that `encode` returned. Raises NewerVersion."""
        fields = orjson.loads(text)
        check_version("a batch of pages", fields.get("version"), 1)
        pages = tuple((cursor, listed) for cursor, listed in fields["pages"])
        return cls(fields["first"], pages, fields["next"], fields["take"])


@dataclass(frozen=True)
class NewBatch:
    """A batch that a fetch job adds: its slot and number, its pages, and the job of its first attempt."""

    key: BatchKey
    work: BatchWork
    payload: JobPayload


@dataclass(frozen=True)
class ListedBatch:
    """A `NewBatch` as a script takes it.

    Attributes:
        work: The encoded work.
    """

    key: BatchKey
    work: bytes
    payload: JobPayload


@dataclass(frozen=True)
class NextPayloads:
    """The jobs that can follow a fetch job that leaves its sync; the script chooses. Both are of the next epoch."""

    walk: JobPayload
    finalize: JobPayload


@dataclass(frozen=True)
class Counted:
    """The statistics of a sync's batches.

    Attributes:
        epoch: Of the sync.
        token: Of the commit that wrote them; empty if none has.
        pages: Pages counted.
        profiles: Profiles counted.
        aggregate: Statistics, encoded.
    """

    epoch: int
    token: str
    pages: int
    profiles: int
    aggregate: bytes


@dataclass(frozen=True)
class BatchGrant:
    """A job's right to count a batch: it is valid while the slot holds the attempt and the sync is fetching."""

    key: BatchKey
    holder: str

    @property
    def sync_id(self) -> str:
        return self.key.sync_id


@dataclass(frozen=True)
class StartedBatch:
    """What a job gets with its batch.

    Attributes:
        lease: Of the job.
        request: What the sync was asked for.
        started_at: When the sync's first job began, Unix seconds.
        work: Pages to read.
        counted: Statistics to which the batch adds its pages.
        trouble_ms: For how long Segment has failed, over all attempts, in milliseconds.
    """

    lease: BatchGrant
    request: SyncRequest
    started_at: float
    work: BatchWork
    counted: Counted
    trouble_ms: int
