"""A schedule: which sync starts at which ticks of a cron expression, and what is known of its last tick.

Pure data. `Schedule.as_stored` is kept in Redis as JSON, so its field names are part of the storage format.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from worker.models.cron import CronTimes
from worker.models.request import SyncRequest
from worker.models.versions import NewerVersion, check_version

Missed = Literal["run-once", "skip"]
TickResult = Literal["started", "followed", "waiting", "skipped"]

VERSION = 1
"""Version of the stored JSON."""


class Schedule(BaseModel):
    """A sync that starts at every tick of a cron expression."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: SyncRequest = Field(description="The sync that starts at each tick")
    cron: str = Field(description="Five fields: minute, hour, day of month, month, day of week")
    timezone: str = Field(default="UTC", description="IANA name of the time zone in which `cron` is read")
    missed: Missed = Field(
        default="run-once",
        description="What happens to ticks that no worker could start: one sync for all of them, or none",
    )
    alert_after_s: float | None = Field(
        default=None,
        ge=3600,
        le=366 * 86_400,
        description="Seconds without a complete sync of the space after which `sync.overdue` is sent; None: never",
    )
    account: str = Field(
        default="", description="The Mavera account of the syncs; empty: that of the first free worker"
    )

    @model_validator(mode="after")
    def _can_complete(self) -> Self:
        request = self.request
        part = request.plan_only or request.sample is not None or request.max_profiles is not None
        if self.alert_after_s is not None and part:
            raise ValueError("an alert needs a schedule whose syncs read the whole space and make personas")
        return self

    @model_validator(mode="after")
    def _has_ticks(self) -> Self:
        if self.times.latest_until(4102444800.0) is None:  # in the year 2100
            raise ValueError(f"the cron expression {self.cron!r} never matches a date")
        return self

    @cached_property
    def times(self) -> CronTimes:
        """The times of its ticks. Raises ValueError if the expression or the time zone cannot be used."""
        return CronTimes(self.cron, self.timezone)

    @cached_property
    def id(self) -> str:
        """Names what is synced and when, so that adding the same schedule again changes its options only."""
        text = "\0".join((self.request.identity, " ".join(self.cron.split()), self.timezone, self.account))
        return "sch_" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def account_by(self, account_of: Callable[[str], str] | None) -> str:
        """Returns the account of its syncs: that of the space if `account_of` is given, else its own."""
        return self.account if account_of is None else account_of(self.request.space_id)

    def sync_id(self, tick: float) -> str:
        """Returns the id of the sync of a tick (Unix seconds): the same however often the tick is handled."""
        return "syn_" + hashlib.blake2b(f"{self.id}\0{tick:.0f}".encode(), digest_size=8).hexdigest()

    def as_stored(self) -> bytes:
        """Returns the JSON that Redis keeps."""
        return orjson.dumps({"version": VERSION, **self.model_dump(mode="json")})

    @classmethod
    def from_stored(cls, text: str | bytes) -> Self:
        """Reads what `as_stored` returned.

        Raises:
            NewerVersion: A newer version of the program wrote it.
            ValueError: It is damaged.
        """
        fields = orjson.loads(text)
        check_version("a schedule", fields.get("version"), VERSION)
        request = SyncRequest.from_stored(orjson.dumps(fields.get("request")).decode())
        known = {name: value for name, value in fields.items() if name in cls.model_fields}
        try:
            return cls.model_validate({**known, "request": request})
        except ValidationError as error:
            if any(problem["type"] == "literal_error" for problem in error.errors()):
                raise NewerVersion("a schedule", VERSION + 1, VERSION) from error
            raise


@dataclass(frozen=True)
class ScheduleStatus:
    """A schedule with what Redis knows of it. Times are Unix seconds by the clock of Redis.

    Attributes:
        schedule: What was asked for.
        paused: Whether its ticks pass without a sync.
        created_at: When it was added.
        next_tick: The tick that comes next, or that waits for a worker; None if it is paused or has no further tick.
        last_tick: The last tick that was handled; None: there was none.
        last_result: What became of that tick: a sync was `started`; the sync under way was `followed`; the tick is
            `waiting` for a sync with other options to end; or it was `skipped` because it was missed.
        last_sync_id: The sync of that tick; empty if there is none.
        overdue: Whether the space had no complete sync for longer than `alert_after_s`.
    """

    schedule: Schedule
    paused: bool
    created_at: float
    next_tick: float | None
    last_tick: float | None
    last_result: TickResult | None
    last_sync_id: str
    overdue: bool = False

    @property
    def id(self) -> str:
        """The id of the schedule."""
        return self.schedule.id

    def upcoming(self, now: float, count: int = 3) -> list[float]:
        """Its next ticks after `now`; none if it is paused."""
        return [] if self.paused else self.schedule.times.upcoming(now, count)

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Self:
        """Reads a schedule's hash. Raises NewerVersion or ValueError as `Schedule.from_stored` does."""

        def seconds(name: str) -> float | None:
            value = fields.get(name)
            return int(value) / 1000 if value else None

        result: Any = fields.get("last_result") or None
        return cls(
            schedule=Schedule.from_stored(fields["document"]),
            paused=fields.get("paused") == "1",
            created_at=seconds("created_at") or 0.0,
            next_tick=seconds("next"),
            last_tick=seconds("last_tick"),
            last_result=result,
            last_sync_id=fields.get("last_sync", ""),
            overdue=fields.get("overdue") == "1",
        )


@dataclass(frozen=True)
class UnreadableSchedule:
    """A schedule that this version cannot read. It is left alone.

    Attributes:
        id: Its id.
        newer: Whether a newer version of the program reads it. Otherwise it is damaged.
        reason: Why it cannot be read, in a sentence.
    """

    id: str
    newer: bool
    reason: str

    @property
    def code(self) -> str:
        """A short machine-readable name of the reason."""
        return "newer_version" if self.newer else "schedule_unreadable"

    @classmethod
    def of(cls, schedule_id: str, error: Exception) -> Self:
        """Returns the row for a schedule that could not be read because of `error`."""
        if isinstance(error, NewerVersion):
            return cls(
                schedule_id,
                True,
                f"{schedule_id} was written by a newer version of segment-personas ({error}). Upgrade this one to see "
                "it; newer workers run it",
            )
        return cls(
            schedule_id,
            False,
            f"{schedule_id} is damaged in Redis ({type(error).__name__}) and cannot be read. Remove it and add "
            "it again",
        )
