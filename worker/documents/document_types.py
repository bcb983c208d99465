"""The shapes of the JSON documents, with what each key means: for the OpenAPI document, and for tests.

Keys that a document may leave out are `NotRequired`. A later version may add keys, so a reader ignores unknown ones.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, Json
from typing_extensions import TypedDict

Time = Annotated[
    str, Field(description="ISO 8601, UTC, to the millisecond", examples=["2026-11-24T13:53:58.703Z"], max_length=40)
]
Seconds = Annotated[float, Field(description="Seconds", ge=0)]
Share = Annotated[float, Field(description="Share of all profiles, 0 to 1", ge=0, le=1)]
Interval = Annotated[
    list[float], Field(min_length=2, max_length=2, description="Lower and upper bound, 95 % confidence")
]
Status = Literal["queued", "fetching", "finalizing", "completed", "planned", "failed", "cancelled"]
Label = Annotated[str, Field(description="Label of the cluster, which may change", examples=["High Value"])]
Key = Annotated[str, Field(description="Key of the cluster, which identifies it", examples=["high_value"])]
PersonaId = Annotated[str, Field(description="Id of the persona at Mavera", examples=["per_1"])]
SyncId = Annotated[str, Field(examples=["syn_9f2b6c1d0e4a7f83"])]
Twins = Annotated[list[str], Field(description="Other personas at Mavera with the same reference")]
Traits = Annotated[dict[str, int], Field(description="By trait")]


class SyncError(TypedDict):
    """The error of a failed sync."""

    code: Annotated[str, Field(description="Short name of the reason", examples=["segment_unauthorized"])]
    message: Annotated[str, Field(description="What happened, and where")]
    resumable: NotRequired[Annotated[bool, Field(description="Whether `resume` continues where it stopped")]]
    hint: NotRequired[Annotated[str, Field(description="What to do about it")]]


class Shards(TypedDict):
    """The progress of a sync of files."""

    read: Annotated[int, Field(ge=0, description="Files that are counted")]
    of: Annotated[int, Field(ge=0, description="Files in all")]


class Timings(TypedDict):
    """Seconds in each part of the sync's life; null if it has not begun."""

    queued_s: Seconds | None
    fetching_s: Seconds | None
    finalizing_s: Seconds | None


class ClusterSize(TypedDict):
    """The number of profiles of a cluster so far."""

    cluster: Label
    key: Key
    n: Annotated[int, Field(description="Profiles that are counted in it", ge=0)]
    n_estimated: NotRequired[Annotated[float, Field(description="Of a sample: estimate for the whole space")]]
    share: NotRequired[Annotated[Share | None, Field(description="Of a sample: its share")]]
    share_95: NotRequired[Interval]


class SyncPersona(ClusterSize):
    """The persona of a cluster, and what the sync did with it."""

    id: PersonaId
    persona_id: PersonaId
    avg_ltv: Annotated[float | None, Field(description="Mean lifetime value; null: no profile has one")]
    avg_churn: Annotated[str, Field(description="Mean churn risk", examples=["5%", "n/a"])]
    means: NotRequired[dict[str, float | None]]
    action: Literal["created", "updated", "unchanged"]
    intervals_95: NotRequired[dict[str, dict[str, Interval]]]
    reason: NotRequired[Annotated[str, Field(description="Why it was updated")]]
    ignored: NotRequired[Annotated[list[str], Field(description="Fields that Mavera dropped")]]
    twins: NotRequired[Twins]


class SkippedCluster(ClusterSize):
    """A cluster whose persona the sync leaves alone."""

    reason: Annotated[str, Field(description="`empty`, `too_small`, `no_evidence` or `partial`")]
    persona_id: NotRequired[PersonaId]
    twins: NotRequired[Twins]


class PreviousSync(TypedDict):
    """The complete sync before this one."""

    sync_id: SyncId
    read_to: Time | None
    profiles: int


class ClusterDrift(TypedDict):
    """The changes of a cluster since the previous complete sync."""

    cluster: Label
    key: Key
    status: Literal["new", "vanished", "kept"]
    n_before: int
    n: int
    points: Annotated[float, Field(description="Change of its share, in percentage points")]
    means: Annotated[dict[str, float], Field(description="Change of each mean, in standard deviations")]


class FieldChange(TypedDict):
    """A field of a persona that would change."""

    field: Annotated[str, Field(description="Name; `outer.inner` if it is nested")]
    before: Any
    after: Any


class PlannedPersona(TypedDict):
    """The persona of a cluster, and what applying the plan would do with it."""

    cluster: Label
    key: Key
    action: Literal["create", "update", "leave", "skip"]
    reason: str
    persona_id: PersonaId | None
    credits: Annotated[int, Field(ge=0, description="Credits that it would cost")]
    changes: list[FieldChange]
    payload: Annotated[dict[str, Any], Field(description="The fields that would be sent to Mavera")]


class Account(TypedDict):
    """The credits of the Mavera account; null: the account did not report it."""

    text: Annotated[str, Field(description="The credits in a phrase")]
    used: NotRequired[int | None]
    included: int | None
    remaining: int | None
    available: Annotated[int | None, Field(description="Credits that can be spent before Mavera refuses")]
    period_start: Annotated[str | None, Field(examples=["2026-11-01"])]
    period_end: Annotated[str | None, Field(examples=["2026-11-30"])]
    auto_recharge: bool | None
    usage_limit: int | None
    used_before: NotRequired[int | None]
    used_after: NotRequired[int | None]
    charged: NotRequired[Annotated[int, Field(description="Credits that this sync was charged meanwhile")]]
    difference: NotRequired[Annotated[int | None, Field(description="Credits that the account counted beyond these")]]


class Orphan(TypedDict):
    """A persona whose cluster is no longer in the rules."""

    persona_id: PersonaId
    cluster: Key


class _SyncHead(TypedDict):
    """The first keys of every document of a sync."""

    sync_id: SyncId
    status: Annotated[Status, Field(description="`planned`: a preview whose plan waits to be applied")]
    space_id: str
    rules: NotRequired[Annotated[str, Field(description="Name of the rules, if they are not the default ones")]]
    profiles_fetched: Annotated[int, Field(ge=0, description="Profiles that are counted")]
    pages_fetched: Annotated[int, Field(ge=0, description="Pages that are counted")]
    complete: Annotated[bool, Field(description="Whether every profile of the space is counted")]
    file: NotRequired[Annotated[str, Field(description="The file that is read instead of the space")]]
    table: NotRequired[Annotated[str, Field(description="The table of a warehouse that is read instead")]]
    shards: NotRequired[Annotated[Shards, Field(description="Of files: how many are counted, of how many")]]
    plan_only: Annotated[bool, Field(description="Whether it plans personas and changes none")]
    applied_at: Annotated[Time | None, Field(description="When its plan was applied")]


class SyncSummary(_SyncHead):
    """A sync in a list."""

    credits_charged: Annotated[int, Field(ge=0, description="Credits that it has cost so far")]
    created_at: Time
    started_at: Time | None
    duration_s: Seconds | None
    waiting_for: NotRequired[Annotated[str | None, Field(description="While it runs: what it waits for")]]
    error: NotRequired[SyncError]


class UnreadableSync(TypedDict):
    """A sync that this version of the program cannot read."""

    sync_id: SyncId
    status: Literal["unreadable"]
    space_id: str | None
    created_at: Time | None
    error: SyncError


class Sync(_SyncHead):
    """A sync, with all that is known of it so far."""

    sample: NotRequired[Annotated[float, Field(description="The share of the profiles that it reads")]]
    sampled: NotRequired[Annotated[int, Field(description="Profiles in the sample")]]
    unclassified: Annotated[int, Field(ge=0, description="Profiles without any deciding trait")]
    personas: list[SyncPersona]
    skipped: list[SkippedCluster]
    credits_charged: Annotated[int, Field(ge=0, description="Credits that it has cost so far")]
    trait_errors: Annotated[Traits, Field(description="Values that cannot be used, by trait")]
    trait_error_shapes: NotRequired[Annotated[dict[str, Any], Field(description="What such values look like")]]
    profile_errors: Annotated[int, Field(ge=0, description="Entries that are not profiles")]
    merged: NotRequired[Annotated[int, Field(description="Rows of a file or table that were merged into one profile")]]
    profiles_unreadable: Annotated[int, Field(ge=0, description="Profiles whose traits Segment did not return")]
    vanished: NotRequired[Annotated[int, Field(description="Profiles that were deleted before their traits were read")]]
    timings: Timings
    started_at: Time | None
    duration_s: Seconds | None
    source: Annotated[Literal["segment", "file", "warehouse"], Field(description="Where the profiles come from")]
    engine: NotRequired[Annotated[str, Field(description="Of a warehouse: the product", examples=["PostgreSQL"])]]
    rows: NotRequired[Annotated[int, Field(ge=0, description="Of files and tables: profiles, with those left out")]]
    bytes: NotRequired[Annotated[int, Field(ge=0, description="Of files: their size; of a warehouse: what it scanned")]]
    read_from: Time | None
    read_to: Time | None
    clusters: NotRequired[Annotated[list[ClusterSize], Field(description="While it runs: clusters so far")]]
    waiting_for: NotRequired[Annotated[str | None, Field(description="While it runs: what it waits for")]]
    revivals: NotRequired[Annotated[int, Field(description="While it runs: jobs lost since the last progress")]]
    epoch: NotRequired[Annotated[int, Field(description="While it runs: number of its job")]]
    compared_with: NotRequired[PreviousSync]
    drift: NotRequired[list[ClusterDrift]]
    account: NotRequired[Account]
    planned: NotRequired[Annotated[list[PlannedPersona], Field(description="The plan, while it may be applied")]]
    credits_planned: NotRequired[Annotated[int, Field(ge=0, description="Credits that applying the plan costs")]]
    max_credits: NotRequired[Annotated[int | None, Field(description="The budget of the plan")]]
    alarms: NotRequired[Annotated[list[str], Field(description="Why a guard would stop the sync")]]
    orphans: NotRequired[list[Orphan]]
    error: NotRequired[SyncError]


class ClusterShare(TypedDict):
    """The size of a cluster in a complete sync."""

    n: Annotated[int, Field(ge=0)]
    share: Share


class HistoryEntry(TypedDict):
    """A complete sync of a space."""

    sync_id: SyncId
    read_from: Time | None
    read_to: Time | None
    counted: Annotated[str, Field(description="Sizes of entries with the same value can be compared")]
    profiles: Annotated[int, Field(ge=0)]
    unclassified: Annotated[int, Field(ge=0)]
    clusters: Annotated[dict[str, ClusterShare], Field(description="By the key of the cluster")]


class Schedule(TypedDict):
    """Syncs at set times."""

    schedule_id: Annotated[str, Field(examples=["sch_0123456789abcdef"])]
    space_id: str
    cron: Annotated[str, Field(description="Five fields: minute, hour, day of month, month, day of week")]
    timezone: Annotated[str, Field(description="Time zone of the times", examples=["Europe/Vienna"])]
    missed: Annotated[
        Literal["run-once", "skip"], Field(description="What happens to ticks that no worker could start")
    ]
    alert_after_s: Annotated[float | None, Field(description="Seconds without a complete sync until `sync.overdue`")]
    overdue: Annotated[bool, Field(description="Whether the space had no complete sync for that long")]
    paused: bool
    next: Annotated[list[Time], Field(max_length=3, description="Its next ticks; none while it is paused")]
    last_tick: Time | None
    last_result: Annotated[
        Literal["started", "followed", "waiting", "skipped"] | None, Field(description="What became of the last tick")
    ]
    last_sync_id: Annotated[str | None, Field(description="The sync of the last tick")]
    created_at: Time
    options: Annotated[dict[str, Any], Field(description="Options of its syncs that differ from the default")]


class UnreadableSchedule(TypedDict):
    """A schedule that this version cannot read."""

    schedule_id: str
    error: SyncError


class PersonaEntry(TypedDict):
    """Which persona belongs to a cluster."""

    persona_id: PersonaId
    space_id: str
    collection: Literal["users", "accounts"]
    rules: Annotated[str, Field(description="Name of the rules")]
    cluster: Label
    key: Key
    n: Annotated[int, Field(ge=0, description="Profiles of the cluster when the persona was last sent")]
    complete: Annotated[bool, Field(description="Whether these were from the whole space")]
    sync_id: SyncId | None
    updated_at: Time | None
    reference: Annotated[str, Field(description="The text in its description at Mavera that identifies it")]
    twins: NotRequired[
        Annotated[list[str] | None, Field(description="Other personas with this reference; null: unknown")]
    ]
    orphan: NotRequired[Annotated[bool, Field(description="Whether its cluster is no longer in the rules")]]


class StreamEvent(TypedDict):
    """A server-sent event."""

    id: Annotated[str, Field(description="Version of the sync, for `Last-Event-ID`")]
    event: Annotated[Literal["sync", "end"], Field(description="`end`: the sync has ended, and so does the stream")]
    data: Annotated[Json[Sync], Field(description="The sync")]
