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
from worker.store.progress.sync_progress import JobPayload


@dataclass(frozen=True)
class BatchWork:
    """Consecutive pages of a space, or shards.

    Attributes:
        first_page: Number of the first page, from 1.
        pages: Cursor and number of listed entries of each page. The cursor of a shard is its encoded form.
        next_cursor: Of the page after them; None at the end of the listing.
        take: How many entries of the last page count; None: all.
        expected: Of shards, the trait keys that must have a column in each; None: these are pages of a space.
    """

    first_page: int
    pages: tuple[tuple[str, int], ...]
    next_cursor: str | None
    take: int | None = None
    expected: tuple[str, ...] | None = None

    def encode(self) -> bytes:
        """Returns the text for a slot. Workers of versions that read no shards leave version 2 to others."""
        fields = {"first": self.first_page, "pages": self.pages, "next": self.next_cursor, "take": self.take}
        if self.expected is None:
            return orjson.dumps({"version": 1, **fields})
        return orjson.dumps({"version": 2, **fields, "expected": self.expected})

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Reads the text that `encode` returned. Raises NewerVersion."""
        fields = orjson.loads(text)
        check_version("a batch of pages", fields.get("version"), 2)
        pages = tuple((cursor, listed) for cursor, listed in fields["pages"])
        expected = fields.get("expected")
        return cls(
            fields["first"], pages, fields["next"], fields["take"], None if expected is None else tuple(expected)
        )


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
        """The id of the sync that the batch belongs to."""
        return self.key.sync_id


@dataclass(frozen=True)
class StartedBatch:
    """The batch of a job, and the sync that it belongs to.

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
