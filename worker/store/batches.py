"""Batches of pages in Redis: what a fan-out sync has listed and not yet counted, each method one move and one script.

A sync's look-ahead is a fixed number of slots in its own hash, so that a batch is taken out of its slot by the very
write that adds its pages to the statistics: it counts once, whoever else still reads it. Statistics are merged by the
caller, and written if nobody else's came first. A job whose try at a batch is no longer the sync's gets LeaseLost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import orjson

from worker.models.sync import BatchKey, SyncFailure, SyncRequest
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.queue import JobPayload
from worker.store.scripts import run_script
from worker.store.syncs import LeaseGrant, Listing, owned, storable_ms


@dataclass(frozen=True)
class BatchWork:
    """Pages that follow each other.

    first_page: number of the first, from 1. pages: cursor and number of listed entries of each. next_cursor: of the
    page behind them, None at the end of the listing. take: how many entries of the last page count; None: all.
    """

    first_page: int
    pages: tuple[tuple[str, int], ...]
    next_cursor: str | None
    take: int | None = None

    def encode(self) -> bytes:
        """As text for a slot."""
        return orjson.dumps(
            {"first": self.first_page, "pages": self.pages, "next": self.next_cursor, "take": self.take}
        )

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Reads what `encode` wrote."""
        fields = orjson.loads(text)
        pages = tuple((cursor, listed) for cursor, listed in fields["pages"])
        return cls(fields["first"], pages, fields["next"], fields["take"])


@dataclass(frozen=True)
class NewBatch:
    """A batch that a walk adds: the slot and number that it gives it, and the job of its first try."""

    key: BatchKey
    work: BatchWork
    ticket: JobPayload


@dataclass(frozen=True)
class NextPayloads:
    """The jobs that can follow where a walk leaves its sync; the script chooses. Both are of the next epoch."""

    walk: JobPayload
    finalize: JobPayload


@dataclass(frozen=True)
class Counted:
    """What the batches of a sync have counted by now. token: of the commit that wrote it; epoch: of the sync."""

    epoch: int
    token: str
    pages: int
    profiles: int
    aggregate: bytes

    @classmethod
    def read(cls, parts: Sequence[bytes]) -> Self:
        """Reads the last parts of a script's answer."""
        epoch, token, pages, profiles, aggregate = parts
        return cls(int(epoch), token.decode(), int(pages), int(profiles), aggregate)


@dataclass(frozen=True)
class BatchGrant:
    """A job's right to count a batch: it holds while its slot says so and the sync is fetching."""

    key: BatchKey
    holder: str

    @property
    def sync_id(self) -> str:
        return self.key.sync_id


@dataclass(frozen=True)
class BegunBatch:
    """What a job gets with its batch.

    started_at: when its sync was, Unix seconds. trouble_ms: for how long Segment has failed, over all tries.
    """

    lease: BatchGrant
    request: SyncRequest
    started_at: float
    work: BatchWork
    counted: Counted
    trouble_ms: int


class BatchStore:
    """The batches of all syncs. stall_ms, retention_ms, account: as of `SyncStore`."""

    def __init__(self, pool: StorePool, *, stall_ms: int, retention_ms: int, account: str = "") -> None:
        self._pool = pool
        self._queue, self._wake = keys.queue(account), keys.wake(account)
        self._stall_ms = stall_ms
        self._retention_ms = storable_ms(retention_ms)

    # The walk's move

    async def commit_listing(
        self,
        lease: LeaseGrant,
        listing: Listing,
        batches: Sequence[NewBatch],
        token: str,
        *,
        following: NextPayloads | None = None,
        delay_s: float = 0.0,
        note: str = "",
    ) -> Listing:
        """Writes how far the listing is, with the batches up to there; returns it with its new seq and free slots.

        following: the walk leaves. A next walk starts after `delay_s` seconds if there is room for more batches; the
        finalizer if all is listed and counted; else the batch that changes that will start either.
        """
        tickets = (following.walk, following.finalize) if following else (JobPayload("", b""), JobPayload("", b""))
        answer = await self._run(
            "sync/commit_listing",
            [*(keys.sync(lease.sync_id), self._queue, keys.DUE, self._wake), keys.outcomes(lease.sync_id)],
            *(lease.sync_id, lease.epoch, lease.holder, listing.seq, token, "leave" if following else "stay"),
            *(listing.cursor, listing.guard, listing.pages, listing.profiles, listing.ended, listing.complete),
            *(listing.trouble_ms, note, self._stall_ms, int(delay_s * 1000)),
            *(part for ticket in tickets for part in (ticket.job_id, ticket.job)),
            listing.batches,
            *(
                part
                for batch in batches
                for part in (
                    batch.key.slot,
                    batch.key.number,
                    batch.work.encode(),
                    batch.ticket.job_id,
                    batch.ticket.job,
                )
            ),
        )
        return replace(listing, seq=listing.seq + 1, free_slots=tuple(map(int, answer[1:])))

    # A batch's moves

    async def begin(self, key: BatchKey, holder: str) -> BegunBatch:
        """Takes a batch. Raises LeaseLost if this try is over, or begun by another."""
        answer = await self._run(
            "batch/begin", [keys.sync(key.sync_id), keys.DUE], *_names(key), holder, self._stall_ms
        )
        request, started_at, work, trouble_ms, *counted = answer[1:]
        return BegunBatch(
            lease=BatchGrant(key, holder),
            request=SyncRequest.from_stored(request),
            started_at=int(started_at) / 1000,
            work=BatchWork.decode(work),
            counted=Counted.read(counted),
            trouble_ms=int(trouble_ms),
        )

    async def heartbeat(self, grant: BatchGrant, *, note: str = "") -> None:
        """Says that the job lives, and what it waits for."""
        await self._run("batch/heartbeat", [keys.sync(grant.sync_id), keys.DUE], *_owner(grant), self._stall_ms, note)

    async def count(self, grant: BatchGrant, base: Counted, now: Counted, following: NextPayloads) -> Counted | None:
        """Writes `now`, which is `base` and the pages of the batch, and frees its slot: None.

        If others have written since `base`, or what follows must be of another epoch, nothing is written and the answer
        is what to begin with again. following: of the epoch after that of `base`.
        """
        answer = await self._run(
            "batch/count",
            [*(keys.sync(grant.sync_id), self._queue, keys.DUE, self._wake), keys.outcomes(grant.sync_id)],
            *(*_owner(grant), base.epoch, base.token, now.token, now.pages, now.profiles, now.aggregate),
            *(self._stall_ms, following.walk.job_id, following.walk.job),
            *(following.finalize.job_id, following.finalize.job),
        )
        return Counted.read(answer[1:]) if answer[0] == "behind" else None

    async def retry(
        self, grant: BatchGrant, ticket: JobPayload, *, delay_s: float = 0.0, trouble_ms: int = 0, note: str = ""
    ) -> None:
        """Gives the batch to its next try (`ticket`), after `delay_s` seconds."""
        await self._run(
            "batch/requeue",
            [keys.sync(grant.sync_id), self._queue, keys.DUE, self._wake],
            *(*_owner(grant), trouble_ms, note, self._stall_ms, int(delay_s * 1000), ticket.job_id, ticket.job),
        )

    async def fail(self, grant: BatchGrant, failure: SyncFailure) -> None:
        """Ends the sync with a reason; what was counted stays, and so do its outstanding batches, for `resume`."""
        await self._run(
            "batch/fail",
            [keys.sync(grant.sync_id), self._queue, keys.DUE],
            *(*_owner(grant), failure.code, failure.message, failure.resumable, self._retention_ms),
        )

    # The watcher's move

    async def revive(self, key: BatchKey, ticket: JobPayload, *, max_lost: int, message: str) -> str:
        """Gives a silent batch its next try, or fails its sync with `message` after `max_lost` tries were lost.

        Returns what was done: `revived`, `failed`, `waiting` (its job stands in the queue), `early`, `changed` or
        `gone`.
        """
        answer = await self._run(
            "batch/revive",
            [keys.sync(key.sync_id), self._queue, keys.DUE, self._wake],
            *(*_names(key), self._stall_ms, max_lost, ticket.job_id, ticket.job, message, self._retention_ms),
        )
        return str(answer[0])

    async def _run(self, name: str, script_keys: list[str], *arguments: Any) -> list[Any]:
        return owned(await run_script(self._pool, name, script_keys, *arguments))


def _names(key: BatchKey) -> tuple[str, int, int, int]:
    return key.sync_id, key.slot, key.number, key.attempt


def _owner(grant: BatchGrant) -> tuple[str, int, int, int, str]:
    return *_names(grant.key), grant.holder
