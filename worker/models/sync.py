"""What a sync is: the request that starts it, its states with their legal moves, and the snapshot that others look at.

Pure data. `worker.store` keeps it in Redis; `producer` shows it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from worker.clusters import RECIPE, Aggregate, Rules
from worker.clusters.analysis.snapshot import Snapshot
from worker.clusters.rules.builtin import BUILTIN_RULES, load_builtin_rules
from worker.models.plan import AccountBill, Plan

Strategy = Literal["auto", "chain", "fan-out"]
JobKind = Literal["walk", "finalize"]


class SyncState(StrEnum):
    """Where a sync is in its life."""

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

LEGAL_MOVES: Mapping[SyncState, frozenset[SyncState]] = {
    SyncState.QUEUED: frozenset({SyncState.FETCHING, SyncState.FAILED, SyncState.CANCELLED}),
    SyncState.FETCHING: frozenset({SyncState.FINALIZING, SyncState.FAILED, SyncState.CANCELLED}),
    SyncState.FINALIZING: frozenset({SyncState.COMPLETED, SyncState.FAILED, SyncState.CANCELLED}),
    SyncState.COMPLETED: frozenset({SyncState.FINALIZING}),
    SyncState.FAILED: frozenset({SyncState.QUEUED, SyncState.FETCHING, SyncState.FINALIZING}),
    SyncState.CANCELLED: frozenset(),
}
"""State → states that one script may move it to.

A failed sync goes back to where it failed, by `resume`; a preview goes on to its personas, by `apply`.
"""


def job_kind(state: SyncState) -> JobKind:
    """The kind of job that carries a sync on in `state`."""
    return "finalize" if state is SyncState.FINALIZING else "walk"


_STORED = {"stored": True}
"""The context of a validation of what Redis holds: it passed the checks of the version that stored it."""


@lru_cache(maxsize=64)
def _shared(text: str, *, stored: bool) -> Rules:
    return Rules.model_validate_json(text, context=_STORED if stored else None)


def _as_rules(value: object, info: ValidationInfo) -> object:
    """Rules by their name; and for the same data the same object, so that a worker compiles them once for all jobs."""
    if isinstance(value, str) and value in BUILTIN_RULES:
        return load_builtin_rules(value)
    if isinstance(value, dict):
        # What is not JSON, or is nested too deep, is reported by its field when it is validated as it is.
        with suppress(TypeError, RecursionError):
            return _shared(json.dumps(value), stored=info.context is _STORED)
    return value


def _written(rules: Rules) -> str | dict[str, Any]:
    # The default by its name, as before there were others: most requests say no more than that.
    return RECIPE.name if rules == RECIPE else rules.as_json()


FAN_OUT_NEEDS_INLINE = "fan-out is for the dialect inline; profile-api asks for its profiles side by side as it is"

TRAIT_CLASS_NEEDS_PROFILE_API = (
    "only the dialect profile-api can ask for one class of traits; leave it out, or choose profile-api"
)

FAN_OUT_READS_ALL = (
    "a sample is not fanned out, for its pages would be read whole all the same; leave out one of the two"
)


def _chosen(strategy: Strategy) -> Strategy:
    """What `auto` stands for, so that whoever asks for the chain by name asks for the same."""
    return "chain" if strategy == "auto" else strategy


class SyncRequest(BaseModel):
    """What is asked for. Everything that shapes the result is here, so that any worker gives the same one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    space_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$", description="Segment space")
    dialect: Literal["auto", "inline", "profile-api"] = Field(
        default="auto",
        description="How Segment is asked. inline: traits in the list; profile-api: one call for each profile's; "
        "auto: as it answers",
    )
    strategy: Annotated[Strategy, AfterValidator(_chosen)] = Field(
        default="auto",
        validate_default=True,
        description="chain: page after page; fan-out (inline): list first, read pages on all workers; auto: the chain",
    )
    collection: Literal["users", "accounts"] = Field(default="users", description="Collection of profiles in the space")
    trait_class: Literal["computed_trait", "audience"] | None = Field(
        default=None, description="Read only traits of this class (profile-api)"
    )
    rules: Annotated[Rules, BeforeValidator(_as_rules), PlainSerializer(_written)] = Field(
        default=RECIPE, description="Traits and clusters, or the name of rules that ship with the program"
    )
    file: str | None = Field(
        default=None,
        max_length=4096,
        pattern=r"^\P{Cc}+$",
        description="Read this file in the place of the space, as the workers see it: a profile a line, maybe in gzip",
    )
    sample: float | None = Field(
        default=None, gt=0, lt=1, description="Read only this share of the profiles, picked by their identifiers"
    )
    max_profiles: int | None = Field(default=None, ge=1, description="Stop reading after this many profiles")
    min_cluster_size: int = Field(default=3, ge=1, description="A smaller cluster makes no persona")
    mode: Literal["upsert", "create"] = Field(
        default="upsert",
        description="upsert: update the cluster's persona if it has one; create: always make new ones",
    )
    allow_partial: bool | Literal["create"] = Field(
        default=False,
        description="Let a sync of a part of the space create personas, and overwrite those made from all of it; "
        "`create`: only the former",
    )
    plan_only: bool = Field(default=False, description="Plan the personas and change none; `apply` makes them")
    max_credits: int | None = Field(default=None, ge=0, description="Spend no more credits than these")

    @model_validator(mode="before")
    @classmethod
    def _dialect_follows(cls, data: Any) -> Any:
        """What only one dialect can do chooses it."""
        if not isinstance(data, dict) or data.get("dialect", "auto") != "auto" or data.get("file") is not None:
            return data
        if data.get("strategy") == "fan-out":
            return {**data, "dialect": "inline"}
        return {**data, "dialect": "profile-api"} if data.get("trait_class") else data

    @model_serializer(mode="wrap")
    def _leave_auto_out(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Leaves `auto` out of JSON: a version that does not know it reads its own default, and can go on."""
        data: dict[str, Any] = handler(self)
        if info.mode == "json" and self.dialect == "auto":
            del data["dialect"]
        return data

    @model_validator(mode="after")
    def _fits_a_file(self) -> Self:
        if self.file is not None and (self.trait_class or self.dialect == "profile-api" or self.fans_out):
            raise ValueError("a file has neither a dialect nor classes of traits, nor can it be fanned out")
        return self

    @classmethod
    def from_stored(cls, text: str) -> Self:
        """Reads a request as Redis holds it, also one that an earlier version accepted and this one does not."""
        return cls.model_validate_json(text, context=_STORED)

    @model_validator(mode="after")
    def _trait_class_fits(self, info: ValidationInfo) -> Self:
        if self.trait_class and self.dialect == "inline" and info.context is not _STORED:
            raise ValueError(TRAIT_CLASS_NEEDS_PROFILE_API)
        return self

    @model_validator(mode="after")
    def _strategy_fits(self) -> Self:
        if self.fans_out and self.dialect != "inline":
            raise ValueError(FAN_OUT_NEEDS_INLINE)
        if self.fans_out and self.sample is not None:
            raise ValueError(FAN_OUT_READS_ALL)
        return self

    @property
    def fans_out(self) -> bool:
        """Whether pages are listed first, and read on all workers."""
        return self.strategy == "fan-out"

    @property
    def identity(self) -> str:
        """What may run only once at a time: a digest of space, collection and name of the rules."""
        return identity(self.space_id, self.collection, self.rules.name)

    @property
    def counting_digest(self) -> str:
        """Digest of the rules and the class of traits; statistics can be compared only if it is the same."""
        text = json.dumps([self.rules.as_json(), self.trait_class], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def differences(self, other: SyncRequest) -> list[str]:
        """The options in which `other` differs: `max-profiles 5 instead of unset`; of rules only which parts."""
        mine, theirs = self.model_dump(exclude={"rules"}), other.model_dump(exclude={"rules"})
        found = [
            _difference(name, mine[name], theirs[name])
            for name in mine
            if mine[name] != theirs[name] and (name != "max_credits" or self.plan_only == other.plan_only)
        ]
        if parts := self.rules.differences(other.rules):
            found.append(f"rules: another {', '.join(parts)}")
        return found

    def with_budget(self, max_credits: int | None) -> SyncRequest:
        """The same with another budget."""
        return self.model_copy(update={"max_credits": max_credits})

    def applied_within(self, max_credits: int | None, *, allow_partial: bool = False) -> SyncRequest:
        """What a preview becomes when it is applied: it makes its personas, within a budget.

        allow_partial: also those that come from a part of the space, as the plan says.
        """
        allowed = self.allow_partial or ("create" if allow_partial else False)
        return self.model_copy(update={"plan_only": False, "max_credits": max_credits, "allow_partial": allowed})


def _difference(name: str, mine: object, theirs: object) -> str:
    """One option that two requests have set differently, in the words of the command line."""
    if name == "plan_only":
        acts = ("only plans", "changes personas")
        return f"this one {acts[not mine]}, that one {acts[not theirs]}"
    words = {None: "unset", True: "on", False: "off"}
    shown = [words[value] if value is None or isinstance(value, bool) else f"{value}" for value in (mine, theirs)]
    return f"{name.replace('_', '-')} {shown[0]} instead of {shown[1]}"


def identity(space_id: str, collection: str, rules_name: str) -> str:
    """A digest of space, collection and name of the rules: 24 characters."""
    text = "\0".join((space_id, collection, rules_name))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def new_sync_id() -> str:
    """A fresh sync id, 20 characters, safe in URLs and Redis keys."""
    return "syn_" + secrets.token_hex(8)


@dataclass(frozen=True)
class SyncFailure:
    """Why a sync failed. resumable: whether `resume` can go on from the checkpoint."""

    code: str
    message: str
    resumable: bool


@dataclass(frozen=True)
class PersonaOutcome:
    """What became of one cluster at Mavera.

    action: `created`, `updated`, `unchanged` (it is up to date: nothing was sent) or `skipped` (it stays as it was).
    credits: charged for it by this sync. ignored: fields that Mavera dropped. reason: of an update, in words; of what
    was skipped, a word: `empty`, `too_small`, `no_evidence`, `partial`. twins: ids of other personas at Mavera that
    carry the same reference, bought twice or copied by hand.
    """

    cluster: str
    persona_id: str
    action: str
    credits: int
    ignored: tuple[str, ...] = ()
    reason: str = ""
    twins: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The outcome as it is kept in Redis; without twins as earlier versions wrote it, and can read it."""
        fields = asdict(self)
        return fields if self.twins else {name: value for name, value in fields.items() if name != "twins"}

    @property
    def id(self) -> str:
        """The persona's id, by its name in JSON."""
        return self.persona_id

    @property
    def key(self) -> str:
        """The key of the cluster, by its name in JSON."""
        return self.cluster

    @property
    def skipped(self) -> bool:
        """Whether the persona does not say what the sync has found."""
        return self.action == "skipped"


@dataclass(frozen=True)
class BatchKey:
    """What tells one try at a batch of pages from every other.

    slot: where in the look-ahead of its sync it stands. number: of the batch, never used twice. attempt: from 1.
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
        """The try after this one."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class Sync:
    """A sync as it stood at one moment. Times are Unix seconds by the clock of Redis; None: not yet."""

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
    """What the sync waits for at the moment, in words; empty when it waits for nothing."""
    aggregate: bytes
    """The statistics so far, encoded by `worker.clusters.Aggregate`; empty before the first checkpoint."""
    outcomes: tuple[PersonaOutcome, ...]
    credits: int = 0
    """Charged for this sync so far, also before a restart."""
    pages_listed: int = 0
    """In fan-out: how many pages are known by now; `pages` of them are counted."""
    outstanding: tuple[BatchKey, ...] = ()
    """In fan-out: the batches that are listed and not yet counted."""
    plan: Plan | None = None
    """What a preview found that it would do; it stays with the sync when it is applied."""
    applied_at: float | None = None
    """When the plan was applied."""
    baseline: Snapshot | None = None
    """What the space was like at the complete sync before this one that counted alike; known when it has completed."""
    account: AccountBill | None = None
    """What the Mavera account counted while the sync made its changes; None if it made none, or that is not known."""
    owner: str = ""
    """The Mavera account that it belongs to, as `account_name` names it. Empty until a worker has taken its
    first job, if its client names none."""

    def __repr__(self) -> str:
        """What the sync is and how far it has come, without its statistics and rules."""
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
        """How many profiles are left out because Segment does not answer for them, so far."""
        return Aggregate.from_bytes(self.aggregate).unreadable if self.aggregate else 0

    @property
    def sync_id(self) -> str:
        """The id, by its name in JSON."""
        return self.id

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
        """What this sync has cost so far, in credits, by its name in JSON."""
        return self.credits

    @property
    def planned(self) -> Plan | None:
        """The plan of a preview that may still be applied."""
        return self.plan if self.waits_for_apply else None

    @property
    def plans_from_part(self) -> bool:
        """Whether its plan creates personas from a part of the space, which nobody has allowed yet."""
        return bool(self.planned and self.planned.creates and not self.complete and not self.request.allow_partial)

    def carries_out(self, preview: SyncRequest) -> bool:
        """Whether it makes, without being asked again, the personas that `preview` would only plan."""
        budget = preview.max_credits if self.applied_at is None else self.request.max_credits
        return self.request == preview.applied_within(budget, allow_partial=bool(self.request.allow_partial))

    @classmethod
    def from_fields(cls, fields: Mapping[str, str], outcomes: tuple[PersonaOutcome, ...] = ()) -> Self:
        """Reads the fields of a sync's Redis hash."""

        def seconds(name: str) -> float | None:
            value = fields.get(name)
            return int(value) / 1000 if value else None

        state = SyncState(fields["state"])
        error = None
        if state is SyncState.FAILED:
            error = SyncFailure(
                fields["error_code"], fields["error_message"], resumable=fields["error_resumable"] == "1"
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
            baseline=Snapshot.decode(fields.get("baseline", "")),
            owner=fields.get("owner", ""),
            pages_listed=int(fields.get("pages_listed") or 0),
            outstanding=_outstanding(fields),
            account=_account(fields.get("account", "")),
        )


def _account(text: str) -> AccountBill | None:
    """The bill that a sync's hash holds; None if there is none, or none that this version can read."""
    try:
        return AccountBill.model_validate_json(text) if text else None
    except ValidationError:
        return None


def _outstanding(fields: Mapping[str, str]) -> tuple[BatchKey, ...]:
    """The batches in the slots of a sync's hash, in the order of their pages."""
    slots = {name.removeprefix("slot:"): text for name, text in fields.items() if name.startswith("slot:") and text}
    found = (BatchKey.read(fields["id"], int(slot), text) for slot, text in slots.items())
    return tuple(sorted(found, key=lambda key: key.number))
