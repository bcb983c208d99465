"""Every setting of the program, read from the environment.

What shapes a result (space, dialect, limits) travels in the request; what is here belongs to the process: secrets,
URLs, rates and times. Each field is read from the environment variable of the same name in capitals. The table
in docs/settings.md is tested against this model.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    model_validator,
)

from worker.errors import ConfigurationError
from worker.input_values import Expected
from worker.models.event_type import read_event_types
from worker.secret_masking import keep_secret
from worker.settings.value_types import (
    BaseUrl,
    Count,
    Days,
    LogLevel,
    LowerCase,
    Mebibytes,
    Percent,
    RatePerMinute,
    RatePerSecond,
    Seconds,
    SecondsOrZero,
    Share,
    StrippedSecret,
    Token,
    WarehouseSecret,
    WebhookSecret,
    WebhookUrl,
    is_unprotected,
)
from worker.warehouse_url import WarehouseUrl

CLAIM_DEADLINE_S = 2.0
"""Seconds after taking a claim within which its holder may still send the `POST` that the claim permits."""


FixedDialect = Literal["inline", "profile-api"]
Dialect = Literal["auto", "inline", "profile-api"]
_INLINE_URLS = {"us": "https://api.segmentapis.com", "eu": "https://eu1.api.segmentapis.com"}
_PROFILE_API_URLS = {"us": "https://profiles.segment.com/v1", "eu": "https://profiles.euw1.segment.com/v1"}


def _event_types(text: str) -> str:
    read_event_types(text)
    return text.strip()


@dataclass(frozen=True)
class NamedAccount:
    """A Mavera account as `SPACES_FILE` names it.

    Attributes:
        name: Its name in the keys of Redis.
        inherits: The name under which the records of its spaces were kept before they were in the file; empty if none.
        owns: Returns whether a space belongs to the account.
    """

    name: str
    inherits: str = ""
    owns: Callable[[str], bool] = lambda _: False


class ClientConfig(BaseModel):
    """The settings of a client: how to find its keys in Redis, and the times that it shares with workers.

    The account is optional: with it, only workers of the same Mavera account take the client's syncs.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, validate_default=False)

    mavera_api_key: Token | None = Field(None, description="Mavera API key; workers need it")
    mavera_base_url: BaseUrl = Field("https://app.mavera.io/api/v1", description="Base URL of Mavera")
    redis_url: StrippedSecret | None = Field(
        None, description="redis:// or rediss://, with user, password, database and TLS options"
    )
    redis_prefix: Annotated[str, Expected("at most 64 letters, digits and characters of _ . : -", "staging:")] = Field(
        "",
        max_length=64,
        pattern=r"^[A-Za-z0-9_.:-]*$",
        description="Prefix of every key, so that deployments can share a Redis; the same for workers and clients",
    )
    retention_days: Days = Field(7, gt=0, le=3650, description="Days for which an ended sync is kept in Redis")
    heartbeat_s: Seconds = Field(5, description="Seconds between two heartbeats of a job")
    stall_s: Seconds = Field(15, description="Seconds without a heartbeat after which a sync's job counts as lost")
    spaces_file: Path | None = Field(
        None, description="TOML file of spaces and Mavera accounts, each with its secrets and rates; if unset, none"
    )

    _named_account: NamedAccount | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _heartbeats_fit(self) -> Self:
        if self.stall_s < 2 * self.heartbeat_s:
            raise ValueError("STALL_S must be at least twice HEARTBEAT_S, otherwise a running job counts as lost")
        return self

    @property
    def named_account(self) -> NamedAccount | None:
        """The account of `SPACES_FILE` that these settings are for; None: that of the base URL and the key."""
        return self._named_account

    def with_account(self, account: NamedAccount | None, **changes: object) -> Self:
        """Returns a copy for an account of `SPACES_FILE`, with other, checked values for some settings."""
        known = {name: value for name, value in changes.items() if name in type(self).model_fields}
        changed = self.model_copy(update=known)
        changed._named_account = account
        return changed

    @property
    def retention_ms(self) -> int:
        """The milliseconds for which an ended sync is kept."""
        return int(self.retention_days * 86_400_000)


class Settings(ClientConfig):
    """The process's settings. Times are in seconds; a rate says per what in its description."""

    segment_token: Token | None = Field(None, description="Segment access token; workers need it")
    segment_space_id: str | None = Field(None, description="Space to sync if a command names none")
    segment_dialect: Annotated[Dialect, LowerCase] = Field(
        "auto",
        description="Dialect if a request names none: inline, profile-api, or auto (the one that answers)",
    )
    segment_region: Annotated[Literal["us", "eu"], LowerCase] = Field("us", description="Region of Segment: us or eu")
    segment_base_url: BaseUrl | None = Field(
        None, description="Base URL of Segment; if unset, the public one of the dialect and region"
    )
    segment_rate: RatePerSecond = Field(
        50, gt=0, le=1e6, description="Requests a second for one space, over all workers"
    )
    segment_page_size: Count = Field(200, ge=1, le=200, description="Profiles asked for in one page")
    segment_concurrency: Count = Field(
        32, ge=1, le=1000, description="Concurrent requests for traits in one fetch job of profile-api"
    )
    segment_timeout_s: Seconds = Field(30, description="Seconds after which a request for a page is given up")

    files_dir: Path | None = Field(
        None, description="Directory whose files workers may read for `sync --from-file`; if unset, none"
    )
    files_url: Annotated[str | None, Expected("s3://, gs:// or az:// with a bucket", "s3://exports/")] = Field(
        None,
        pattern=r"^(s3|gs|az)://[^/]+",
        description="Beginning of URLs in object storage that workers may read, such as s3://exports/; if unset, none",
    )
    files_timeout_s: Seconds = Field(14_400, description="Most seconds that reading the files of one batch may take")
    warehouse_url: WarehouseSecret | None = Field(
        None,
        description="Warehouse that `sync --from-warehouse` reads, such as postgresql://user:password@host/database",
    )
    warehouse_where: str | None = Field(
        None,
        max_length=4096,
        description="SQL condition on the rows that are read, the same for every worker; if unset, all rows",
    )
    warehouse_timeout_s: Seconds = Field(14_400, description="Most seconds that a statement may take at the warehouse")
    clusters_file: str | None = Field(
        None, description="Clusters file if the command names none; if unset, the default rules"
    )

    segment_personas_home: Path | None = Field(
        None,
        description="Directory that keeps the state of syncs without REDIS_URL; if unset, the platform's usual one",
    )
    api_tokens_file: Path | None = Field(
        None, description="TOML file of bearer tokens for `serve`; if unset, it serves this machine only"
    )

    mavera_rate: RatePerMinute = Field(
        60, ge=1, le=1_000_000, description="Requests a minute for the account: 60, 120, 240 or 600 by tier"
    )
    mavera_gap_s: SecondsOrZero = Field(0.3, description="Least time between two Mavera requests, in seconds")
    mavera_timeout_s: Seconds = Field(15, description="Seconds after which a request to Mavera is given up")
    mavera_settle_s: Seconds = Field(
        25, description="Seconds after a claim before a persona that Mavera does not list counts as not created"
    )
    guard_profiles: Share = Field(
        0.5,
        description="Stop a sync that reads at most this share of the profiles of the previous complete one; 0: never",
    )
    guard_coverage: Share = Field(
        0.5,
        description="Stop a sync if a deciding trait has at most this share of its previous coverage; 0: never",
    )
    guard_trait_errors: Share = Field(
        0.2, description="Stop a sync if more than this share of a trait's values cannot be used; 1: never"
    )
    guard_profile_errors: Share = Field(
        0.2,
        description="Stop a sync if more than this share of the entries cannot be read as profiles; 1: only if all",
    )
    guard_personas: Share = Field(
        0.5,
        description="Stop a sync if at most this share of its recorded personas still exists at Mavera, and at least "
        "two are missing; 0: never",
    )
    max_credits: Count | None = Field(
        None, ge=0, description="Most credits that one sync may spend, whatever its own budget is; if unset, no limit"
    )

    persona_share_points: Percent = Field(
        1, ge=0, le=100, description="Percentage points by which a share must move before its persona is updated"
    )
    persona_mean_percent: Percent = Field(
        2, ge=0, le=1e6, description="Percent by which a mean must move before its persona is updated"
    )

    webhook_url: WebhookUrl | None = Field(
        None, description="Where workers send events, such as the end of each sync; if unset, nowhere"
    )
    webhook_secret: WebhookSecret | None = Field(
        None,
        description="Secret of the signatures: whsec_ and base64; during a change several, separated by spaces",
    )
    webhook_format: Annotated[Literal["standard", "slack"], LowerCase] = Field(
        "standard",
        description="standard: signed JSON (Standard Webhooks); slack: a text for Slack's incoming webhooks",
    )
    webhook_events: Annotated[str, AfterValidator(_event_types)] | None = Field(
        None, description="Types of the events that are sent, separated by commas; if unset, all"
    )
    credits_low: Count = Field(
        1500, ge=0, description="Send credits.low if the account can spend fewer credits than this; 0: never"
    )

    duckdb_memory: Count = Field(
        1024,
        ge=256,
        le=1_048_576,
        description="Memory in MiB that one worker uses to read files by DuckDB; what does not fit is written to disk",
    )
    worker_threads: Count | None = Field(
        None, ge=1, le=1024, description="Threads with which one worker reads files; if unset, one for each core"
    )

    worker_slots: Count = Field(10, ge=1, le=1000, description="Jobs that one worker runs at a time")
    lease_s: Seconds = Field(20, description="Seconds that a fetch job runs before it hands over to the next one")
    max_revivals: Count = Field(
        5, ge=0, le=1_000_000, description="Revivals without progress before a sync fails, resumable"
    )
    commit_interval_s: SecondsOrZero = Field(0.25, description="Seconds between two checkpoints of a fetch job")
    poll_s: Seconds = Field(0.5, description="Seconds between two polls of the queue if nothing wakes the worker")

    retry_budget_s: SecondsOrZero = Field(
        300, description="Seconds that an API may fail before the sync fails, resumable"
    )
    retry_base_s: Seconds = Field(0.25, description="First back-off after a failed request, in seconds; it doubles")
    retry_after_max_s: Seconds = Field(120, description="Longest Retry-After that is obeyed, in seconds")
    max_body_mb: Mebibytes = Field(
        32, gt=0, le=1024, description="Largest response body that is read, in MiB, decompressed"
    )
    max_empty_pages: Count = Field(
        100, ge=1, le=1_000_000, description="Empty pages in a row before the listing counts as broken"
    )
    metrics_port: Annotated[Count, Field(ge=0, le=65_535)] | None = Field(
        None, description="Port on which a worker serves its metrics; 0: any free one; if unset, none"
    )
    metrics_host: str = Field(
        "127.0.0.1", description="Address on which a worker serves its metrics; 0.0.0.0 in a container"
    )
    log_level: LogLevel = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: Annotated[Literal["text", "json"], LowerCase] = Field(
        "text", description="Log lines of workers and of `serve`: text, or json with one object a line"
    )

    @model_validator(mode="after")
    def _secrets_are_masked(self) -> Self:
        for secret in (self.segment_token, self.mavera_api_key):
            if secret:
                keep_secret(secret.get_secret_value())
        if self.warehouse_url:
            for part in WarehouseUrl.parse(self.warehouse_url.get_secret_value()).secrets:
                keep_secret(part)
        if self.webhook_url:
            keep_secret(self.webhook_url.get_secret_value())
        for part in self.webhook_secret.get_secret_value().split() if self.webhook_secret else ():
            keep_secret(part)
        if self.redis_url:
            with suppress(ValueError):  # a malformed URL is reported where it is used
                password = urlsplit(self.redis_url.get_secret_value()).password or ""
                for form in (password, unquote(password)):
                    keep_secret(form)
        return self

    @model_validator(mode="after")
    def _webhooks_are_signed(self) -> Self:
        if self.webhook_url and self.webhook_format == "standard" and self.webhook_secret is None:
            raise ValueError("WEBHOOK_SECRET must be set with WEBHOOK_URL, unless WEBHOOK_FORMAT is slack")
        return self

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        if self.mavera_settle_s < self.mavera_timeout_s + CLAIM_DEADLINE_S:
            raise ValueError(
                f"MAVERA_SETTLE_S must be at least MAVERA_TIMEOUT_S + {CLAIM_DEADLINE_S:g}, "
                "otherwise a POST that is still under way could count as lost and be sent twice"
            )
        return self

    @property
    def threads(self) -> int:
        """Threads with which one worker reads files."""
        return self.worker_threads or os.cpu_count() or 1

    def segment_url(self, dialect: FixedDialect) -> str:
        """Returns the base URL of Segment for a dialect."""
        if self.segment_base_url:
            return self.segment_base_url
        return (_INLINE_URLS if dialect == "inline" else _PROFILE_API_URLS)[self.segment_region]

    @property
    def unprotected_urls(self) -> tuple[str, ...]:
        """The settings whose URL sends a token to another machine without TLS."""
        urls = {"SEGMENT_BASE_URL": self.segment_base_url, "MAVERA_BASE_URL": self.mavera_base_url}
        return tuple(name for name, url in urls.items() if url and is_unprotected(url))

    @property
    def unprotected_warning(self) -> str:
        """A warning about `unprotected_urls`; empty if there are none."""
        names = " and ".join(self.unprotected_urls)
        return f"{names}: http:// to another machine sends the token unencrypted; use https://" if names else ""

    def require(self, *names: str) -> None:
        """Raises ConfigurationError naming the environment variables of `names` that are not set."""
        missing = [name.upper() for name in names if getattr(self, name) is None]
        if missing:
            verb, what = ("is", "it") if len(missing) == 1 else ("are", "them")
            raise ConfigurationError(
                f"{', '.join(missing)} {verb} not set.", hint=f"Export {what} in the environment and try again."
            )
