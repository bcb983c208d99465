"""A sync at one moment: its state, its counts, its batches and its results.

Pure data. `worker.store` reads it from Redis, and `producer` shows it. The values of `JobKind` are part of job ids and
job payloads in Redis, so `walk` and `finalize` stay as they are.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, Self

from pydantic import (
    ValidationError,
)

from worker.clusters import Aggregate
from worker.clusters.analysis.snapshot import Snapshot
from worker.models.outcome import PersonaOutcome, SyncFailure
from worker.models.plan import AccountBill, Plan
from worker.models.request import SyncRequest
from worker.models.shards import ShardTotals
from worker.models.versions import FORMAT, check_version
from worker.models.warehouse import WarehouseRead

JobKind = Literal["walk", "finalize"]


class SyncState(StrEnum):
    """The state of a sync."""

    #: enqueued; no worker has begun it
    QUEUED = "queued"
    #: pages are read and folded
    FETCHING = "fetching"
    #: every page is counted; personas are made
    FINALIZING = "finalizing"
    #: every cluster has its persona, or a reason why not; of a preview: its plan is made
    COMPLETED = "completed"
    #: stopped with a code and a sentence; `Sync.error` says whether it can be resumed
    FAILED = "failed"
    #: stopped by request
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the sync has ended, so that no job works on it."""
        return self in FINAL


FINAL = frozenset({SyncState.COMPLETED, SyncState.FAILED, SyncState.CANCELLED})


def job_kind(state: SyncState) -> JobKind:
    """Returns the kind of job that carries a sync on in `state`."""
    return "finalize" if state is SyncState.FINALIZING else "walk"


def sync_version(state: str, epoch: int | str, counts: Sequence[int], note: str, outcomes: int) -> str:
    """Returns a short text that differs whenever something differs that is shown of a sync. See `Sync.version`.

    Args:
        state: Its state.
        epoch: Its epoch.
        counts: Pages, profiles, listed pages, and revivals.
        note: What it waits for.
        outcomes: How many clusters have an outcome.
    """
    text = "\0".join([state, *map(str, counts), note, str(outcomes)])
    return f"{epoch}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"


def new_sync_id() -> str:
    """Returns a fresh sync id, 20 characters, safe in URLs and Redis keys."""
    return "syn_" + secrets.token_hex(8)


@dataclass(frozen=True)
class BatchKey:
    """Names one attempt at a batch of pages.

    Attributes:
        sync_id: Of the sync.
        slot: Its place in the look-ahead of the sync.
        number: Of the batch; never used twice in a sync.
        attempt: From 1.
    """

    sync_id: str
    slot: int
    number: int
    attempt: int

    @classmethod
    def read(cls, sync_id: str, slot: int, text: str) -> Self:
        """The try that a slot holds, number 0 if it is free; `store/lua/lib/batch.lua` describes the text."""
        number, attempt, _ = text.split(" ", 2) if text else (0, 0, "")
        return cls(sync_id, slot, int(number), int(attempt))

    def next_attempt(self) -> Self:
        """The attempt after this one."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class Sync:
    """A sync at one moment. Times are Unix seconds by the clock of Redis; None: not yet."""

    id: str
    request: SyncRequest
    state: SyncState
    epoch: int
    pages: int
    profiles: int
    complete: bool
    revivals: int
    created_at: float
    started_at: float | None
    fetched_at: float | None
    finished_at: float | None
    failed_in: SyncState | None
    error: SyncFailure | None
    note: str
    """What the sync waits for at the moment; empty when it waits for nothing."""
    aggregate: bytes
    """The statistics so far, encoded by `worker.clusters.Aggregate`; empty before the first checkpoint."""
    outcomes: tuple[PersonaOutcome, ...]
    credits: int = 0
    """Credits charged for this sync so far, also before a restart."""
    pages_listed: int = 0
    """In fan-out: how many pages are listed; `pages` of them are counted."""
    outstanding: tuple[BatchKey, ...] = ()
    """In fan-out: the batches that are listed and not yet counted."""
    plan: Plan | None = None
    """The plan of a preview; it is kept when it is applied."""
    applied_at: float | None = None
    """When the plan was applied."""
    baseline: Snapshot | None = None
    """The last complete sync of the space with the same rules before this one; known when this one has completed."""
    account: AccountBill | None = None
    """What the Mavera account counted while the sync changed personas; None if it changed none or that is not known."""
    shards: ShardTotals | None = None
    """Of a sync of files: what its shards are together; `pages` of them are counted. None: pages of a space or pipe."""
    warehouse_read: WarehouseRead | None = None
    """Of a sync of a warehouse: the statement that reads it; None: none was submitted yet."""
    owner: str = ""
    """The Mavera account that it belongs to, as `account_name` names it. Empty until a worker has taken its
    first job, if its client names none."""

    def __repr__(self) -> str:
        """Shows the sync and its progress, without its statistics and rules."""
        error = f", error={self.error.code!r}" if self.error else ""
        return (
            f"Sync(id={self.id!r}, space_id={self.space_id!r}, status={self.status!r}, pages={self.pages}, "
            f"profiles={self.profiles}, credits={self.credits}{error})"
        )

    @property
    def space_id(self) -> str:
        """The space that it reads."""
        return self.request.space_id

    @property
    def personas(self) -> tuple[PersonaOutcome, ...]:
        """The clusters that have a persona of this sync, by their name in JSON."""
        return tuple(outcome for outcome in self.outcomes if not outcome.skipped)

    @property
    def profiles_unreadable(self) -> int:
        """The number of profiles that are left out so far because Segment does not return their traits."""
        return Aggregate.from_bytes(self.aggregate).unreadable if self.aggregate else 0

    @property
    def sync_id(self) -> str:
        """The id, by its name in JSON."""
        return self.id

    @property
    def version(self) -> str:
        """A short text that changes with everything that is shown of the sync, except with the time."""
        counts = (self.pages, self.profiles, self.pages_listed, self.revivals)
        return sync_version(self.state.value, self.epoch, counts, self.note, len(self.outcomes))

    @property
    def status(self) -> str:
        """The state as people and JSON see it: `planned` for a preview whose plan waits, else `state`."""
        return "planned" if self.waits_for_apply else self.state.value

    @property
    def waits_for_apply(self) -> bool:
        """Whether this is a preview that has ended and changed nothing yet."""
        return self.request.plan_only and self.state is SyncState.COMPLETED

    @property
    def pages_fetched(self) -> int:
        """The pages that are counted, by their name in JSON."""
        return self.pages

    @property
    def profiles_fetched(self) -> int:
        """The profiles that are counted, by their name in JSON."""
        return self.profiles

    @property
    def credits_charged(self) -> int:
        """The credits that this sync has cost so far, by their name in JSON."""
        return self.credits

    @property
    def planned(self) -> Plan | None:
        """The plan of a preview that may still be applied."""
        return self.plan if self.waits_for_apply else None

    @property
    def plans_from_part(self) -> bool:
        """Whether its plan creates personas from a part of the space, which the user has not allowed yet."""
        return bool(self.planned and self.planned.creates and not self.complete and not self.request.allow_partial)

    def applies_plan_of(self, preview: SyncRequest) -> bool:
        """Returns whether it makes, without being asked again, the personas that `preview` would only plan.

        A plan that was applied has a budget of its own, which must not be above that of `preview`.
        """
        budget, most = self.request.max_credits, preview.max_credits
        if self.applied_at is None or (most is not None and (budget is None or budget > most)):
            budget = most
        return self.request == preview.applied_within(budget, allow_partial=bool(self.request.allow_partial))

    @classmethod
    def from_fields(cls, fields: Mapping[str, str], outcomes: tuple[PersonaOutcome, ...] = ()) -> Self:
        """Reads the fields of a sync's Redis hash."""

        def seconds(name: str) -> float | None:
            value = fields.get(name)
            return int(value) / 1000 if value else None

        def whole_number(name: str) -> int | None:
            value = fields.get(name)
            return int(value) if value else None

        check_version("a sync", int(fields.get("format") or 1), FORMAT)
        state = SyncState(fields["state"])
        error = None
        if state is SyncState.FAILED:
            error = SyncFailure(
                fields["error_code"],
                fields["error_message"],
                resumable=fields["error_resumable"] == "1",
                hint=fields.get("error_hint", ""),
                needed_credits=whole_number("error_needed_credits"),
                credit_limit=whole_number("error_credit_limit"),
            )
        return cls(
            id=fields["id"],
            request=SyncRequest.from_stored(fields["request"]),
            state=state,
            epoch=int(fields["epoch"]),
            pages=int(fields["pages"]),
            profiles=int(fields["profiles"]),
            complete=fields["complete"] == "1",
            revivals=int(fields["revivals"]),
            created_at=int(fields["created_at"]) / 1000,
            started_at=seconds("started_at"),
            fetched_at=seconds("fetched_at"),
            finished_at=seconds("finished_at"),
            failed_in=SyncState(fields["failed_in"]) if fields.get("failed_in") else None,
            error=error,
            note=fields.get("note", ""),
            aggregate=fields.get("aggregate", "").encode(),
            outcomes=outcomes,
            credits=sum(int(price) for name, price in fields.items() if name.startswith("paid:")),
            plan=Plan.decode(fields.get("plan", "")) if state.is_final or seconds("applied_at") else None,
            applied_at=seconds("applied_at"),
            baseline=_baseline(fields.get("baseline", "")),
            owner=fields.get("owner", ""),
            pages_listed=int(fields.get("pages_listed") or 0),
            outstanding=_outstanding(fields),
            account=_account(fields.get("account", "")),
            shards=ShardTotals.decode(fields.get("shards", "")),
            warehouse_read=WarehouseRead.decode(fields.get("warehouse", "")),
        )


def _baseline(text: str) -> Snapshot | None:
    """Returns the snapshot to compare with; None if there is none, or none that this version can read."""
    with suppress(ValueError):
        return Snapshot.decode(text)
    return None


def _account(text: str) -> AccountBill | None:
    """Returns the bill that a sync's hash holds; None if there is none, or none that this version can read."""
    try:
        return AccountBill.model_validate_json(text) if text else None
    except ValidationError:
        return None


def _outstanding(fields: Mapping[str, str]) -> tuple[BatchKey, ...]:
    """Returns the batches in the slots of a sync's hash, in the order of their pages."""
    slots = {name.removeprefix("slot:"): text for name, text in fields.items() if name.startswith("slot:") and text}
    found = (BatchKey.read(fields["id"], int(slot), text) for slot, text in slots.items())
    return tuple(sorted(found, key=lambda key: key.number))
