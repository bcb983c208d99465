"""The services of one worker: its stores, rate limiters, HTTP clients and retry policy, made once from its settings.

`composition` hands each job the ones that it uses; no job gets all of them.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp

from worker.http.client import HttpClient, HttpLimits, OnAllowance, OnAnswer
from worker.jobs.api_caller import ApiCaller, RetryPolicy
from worker.jobs.fetch.fan_out import ActiveListings
from worker.jobs.lease import Lease
from worker.jobs.personas.lookup.settle_watch import SettleWatch
from worker.jobs.store_factories import (
    mavera_account,
    mavera_limiter,
    persona_store,
    segment_limiter,
    stall_ms,
    worker_registry,
)
from worker.mavera import MaveraClient
from worker.metrics.worker_metrics import WorkerMetrics
from worker.models.request import SyncRequest
from worker.segment import (
    AutoSource,
    DialectMemory,
    DialectVariant,
    InlineApi,
    NoDialectMemory,
    ProfileApi,
    SampledSource,
    Source,
)
from worker.segment.export_file import FileSource, Opener, OpenFiles, folder_opener
from worker.segment.profile_api import MAX_PAGE_SIZE
from worker.settings import FixedDialect, Settings
from worker.store import BatchStore, JobQueue, JobSyncStore, Limiter, StorePool, WatchdogStore
from worker.store.dialects import DialectStore
from worker.store.schedules.alert_store import AlertStore
from worker.store.schedules.schedule_store import TickStore
from worker.store.webhooks.outbox_store import OutboxStore
from worker.tracing.job_tracer import JobTracer

SUSPECT_AFTER = 2
"""Lost jobs without progress after which the next job of a sync runs alone; fewer if `MAX_REVIVALS` is lower."""


@dataclass
class WorkerServices:
    """What the jobs of one worker use.

    Attributes:
        settings: Of the worker.
        pool: Its Redis.
        session: Its HTTP session.
        clock: Returns monotonic seconds.
        sleep: Sleeps for so many seconds.
        opener: Opens the files that requests name; None: those under `FILES_DIR`.
        own_syncs: The ids of the syncs that the worker works on, which may change; None: all.
        skips_pipes: As of `JobQueue`.
        metrics: Counts what its jobs do.
        tracer: Records its jobs and their requests as spans.
    """

    settings: Settings
    pool: StorePool
    session: aiohttp.ClientSession
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    opener: Opener | None = None
    own_syncs: Collection[str] | None = None
    skips_pipes: bool = False
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)
    tracer: JobTracer = field(default_factory=JobTracer)
    _space_limiters: dict[str, Limiter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = self.settings
        settings.require("mavera_api_key")

        self.retry_policy = RetryPolicy(
            base_s=settings.retry_base_s,
            budget_s=settings.retry_budget_s,
            retry_after_max_s=settings.retry_after_max_s,
            clock=self.clock,
            sleep=self.sleep,
        )
        self.settle_watch = SettleWatch(self.clock)
        self.listings = ActiveListings()
        suspect_after = max(1, min(SUSPECT_AFTER, settings.max_revivals))
        self.queue = JobQueue(
            self.pool,
            mavera_account(settings),
            suspect_after=suspect_after,
            own_syncs=self.own_syncs,
            skips_pipes=self.skips_pipes,
        )
        account, retention_ms, stall = mavera_account(settings), settings.retention_ms, stall_ms(settings)
        self.syncs = JobSyncStore(self.pool, stall_ms=stall, retention_ms=retention_ms, account=account)
        self.batches = BatchStore(self.pool, stall_ms=stall, retention_ms=retention_ms, account=account)
        self.watchdog = WatchdogStore(self.pool, stall_ms=stall, retention_ms=retention_ms, account=account)
        self.outbox = OutboxStore(self.pool, account)
        self.alerts = AlertStore(self.pool)
        self.ticks = TickStore(self.pool, stall_ms=stall, retention_ms=retention_ms)
        self.registry = worker_registry(self.pool, settings)
        self.personas = persona_store(self.pool, settings)
        self.mavera_limiter = mavera_limiter(self.pool, settings, clock=self.clock, sleep=self.sleep)
        self.mavera = mavera_client(
            settings,
            self.session,
            on_allowance=self.mavera_limiter.learn_limit,
            on_answer=partial(self._note_request, "mavera"),
        )
        self.files = OpenFiles(self.opener or folder_opener(settings.files_dir))

    def segment_caller(self, space_id: str, trouble_ms: int = 0, *, lease: Lease[Any] | None = None) -> ApiCaller:
        """Returns a caller of Segment for one job; the arguments are those of `ApiCaller`."""
        limiter = self.segment_limiter(space_id)
        return ApiCaller(limiter, "Segment", self.retry_policy, trouble_ms, lease=lease, metrics=self.metrics)

    def mavera_caller(self, trouble_ms: int = 0, *, lease: Lease[Any] | None = None) -> ApiCaller:
        """Returns a caller of Mavera for one job; the arguments are those of `ApiCaller`."""
        limiter = self.mavera_limiter
        return ApiCaller(limiter, "Mavera", self.retry_policy, trouble_ms, lease=lease, metrics=self.metrics)

    def source(self, request: SyncRequest, *, traits: bool = True) -> Source:
        """Returns the source of a request: its file, or its space in its dialect; all of it or a sample.

        Args:
            request: Of the sync.
            traits: As of `segment_source`.
        """
        if request.file is None:
            on_allowance = self.segment_limiter(request.space_id).learn_limit
            memory = DialectStore(self.pool, request.space_id, tuple(dialect_urls(self.settings).values()))
            source = segment_source(
                self.settings,
                self.session,
                request,
                traits=traits,
                on_allowance=on_allowance,
                on_answer=partial(self._note_request, "segment"),
                memory=memory,
            )
        else:
            source = FileSource(self.files, request.file)
        return source if request.sample is None else SampledSource(source, request.sample)

    def _note_request(self, api: str, status: str, seconds: float) -> None:
        self.metrics.count_request(api, status, seconds)
        self.tracer.add_request(api, status, seconds)

    def segment_limiter(self, space_id: str) -> Limiter:
        """Returns the limiter of a space, which all jobs of this worker share."""
        if space_id not in self._space_limiters:
            if len(self._space_limiters) >= 1000:
                self._space_limiters.clear()
            self._space_limiters[space_id] = segment_limiter(
                self.pool, self.settings, space_id, clock=self.clock, sleep=self.sleep
            )
        return self._space_limiters[space_id]


def segment_source(
    settings: Settings,
    session: aiohttp.ClientSession,
    request: SyncRequest,
    *,
    traits: bool = True,
    every_trait: bool = False,
    on_allowance: OnAllowance | None = None,
    on_answer: OnAnswer | None = None,
    memory: DialectMemory | None = None,
) -> Source:
    """Returns the source that reads the space of a request, in its dialect or, with `auto`, in the one that answers.

    Args:
        settings: Of the worker.
        session: HTTP session of the worker.
        request: Names the space, the dialect and the rules.
        traits: Whether profiles are read with their traits; a listing without them is cheaper (`inline`).
        every_trait: Whether all traits are read, not only those of the rules (`profile-api`; `inline` always does).
        on_allowance: Called with the rate limit that an answer states.
        on_answer: Called after each request, for metrics.
        memory: Keeps the dialect that answered; None forgets it.

    Raises:
        ConfigurationError: `SEGMENT_TOKEN` is not set.
    """
    settings.require("segment_token")

    def make_source(dialect: FixedDialect, *, other_scheme: bool = False) -> Source:
        http = _segment_http(settings, session, dialect, on_allowance, on_answer, other_scheme=other_scheme)
        if dialect == "inline":
            return InlineApi(http, request, settings.segment_page_size, traits=traits)
        return ProfileApi(
            http,
            request,
            () if every_trait else request.rules.keys,
            page_size=min(settings.segment_page_size, MAX_PAGE_SIZE),
            concurrent_requests=settings.segment_concurrency,
            ages=request.rules.needs_ages,
        )

    if request.dialect != "auto":
        return make_source(request.dialect)
    urls = dialect_urls(settings)
    variants = [DialectVariant(dialect, other_scheme) for other_scheme in (False, True) for dialect in urls]
    sources = {variant: make_source(variant.dialect, other_scheme=variant.other_scheme) for variant in variants}
    return AutoSource(sources, urls, memory or NoDialectMemory())


def dialect_urls(settings: Settings) -> dict[FixedDialect, str]:
    """Returns the base URL of each dialect, in the order in which `auto` asks them."""
    dialects: tuple[FixedDialect, ...] = ("inline", "profile-api")
    return {dialect: settings.segment_url(dialect) for dialect in dialects}


def _segment_http(
    settings: Settings,
    session: aiohttp.ClientSession,
    dialect: FixedDialect,
    on_allowance: OnAllowance | None,
    on_answer: OnAnswer | None,
    *,
    other_scheme: bool = False,
) -> HttpClient:
    assert settings.segment_token
    token = settings.segment_token.get_secret_value()
    basic = b64encode(f"{token}:".encode()).decode()
    is_bearer = (dialect == "inline") != other_scheme
    headers = {"Authorization": f"Bearer {token}" if is_bearer else f"Basic {basic}"}
    limits = _limits(settings, settings.segment_timeout_s)
    return HttpClient(
        session, settings.segment_url(dialect), headers, limits, on_allowance=on_allowance, on_answer=on_answer
    )


def mavera_client(
    settings: Settings,
    session: aiohttp.ClientSession,
    *,
    on_allowance: OnAllowance | None = None,
    on_answer: OnAnswer | None = None,
) -> MaveraClient:
    """Makes a client of the Mavera account.

    Args:
        settings: Of the worker.
        session: HTTP session of the worker.
        on_allowance: Called with the rate limit that an answer states.
        on_answer: Called after each request, for metrics.

    Raises:
        ConfigurationError: `MAVERA_API_KEY` is not set.
    """
    settings.require("mavera_api_key")
    assert settings.mavera_api_key
    headers = {"Authorization": f"Bearer {settings.mavera_api_key.get_secret_value()}"}
    limits = _limits(settings, settings.mavera_timeout_s)
    return MaveraClient(
        HttpClient(session, settings.mavera_base_url, headers, limits, on_allowance=on_allowance, on_answer=on_answer)
    )


def job_timeout_s(settings: Settings) -> float:
    """Returns the longest time in seconds that a job may run: a last resort, above a lease with its longest retries."""
    return settings.lease_s + settings.retry_budget_s + settings.segment_timeout_s + settings.mavera_settle_s + 60


def _limits(settings: Settings, total_s: float) -> HttpLimits:
    return HttpLimits(min(10.0, total_s), total_s, int(settings.max_body_mb * (1 << 20)))
