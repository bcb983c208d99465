"""The services of one worker: its stores, rate limiters, HTTP clients and retry policy, made once from its settings.

`composition` hands each job the ones that it uses; no job gets all of them. With `SPACES_FILE`, each space has services
of its own (`for_request`), which share what belongs to the process.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import aiohttp

from worker.errors import ResumableStop
from worker.jobs.api_caller import ApiCaller, NoLimit, RetryPolicy
from worker.jobs.api_factories import dialect_urls, mavera_client, mavera_limiter, segment_limiter, segment_source
from worker.jobs.fetch.fan_out import ActiveListings
from worker.jobs.lease import Lease
from worker.jobs.personas.lookup.settle_watch import SettleWatch
from worker.jobs.personas.lookup.shared_list import SharedList
from worker.jobs.space_directory import SpaceDirectory
from worker.jobs.store_factories import mavera_account, persona_store, stall_ms, worker_registry
from worker.mavera import MaveraClient
from worker.metrics.worker_metrics import WorkerMetrics
from worker.models.request import SyncRequest
from worker.segment import (
    SampledSource,
    Source,
)
from worker.segment.export_file import FileSource, Opener, OpenFiles, folder_opener
from worker.segment.file_shards import EngineLimits, FileAccess, ShardEngine
from worker.settings import Settings
from worker.store import BatchStore, JobQueue, JobSyncStore, Limiter, PersonaStore, StorePool, WatchdogStore, keys
from worker.store.dialects import DialectStore
from worker.store.schedules.alert_store import AlertStore
from worker.store.schedules.schedule_store import TickStore
from worker.store.webhooks.outbox_store import OutboxStore
from worker.tracing.job_tracer import JobTracer

MOST_SPACES = 1000
"""Spaces whose limiters and services a worker keeps."""

SUSPECT_AFTER = 2
"""Lost jobs without progress after which the next job of a sync runs alone; fewer if `MAX_REVIVALS` is lower."""


@dataclass
class _Shared:
    """The objects that the services of all spaces of a worker share.

    Attributes:
        lists: Account → its list at Mavera.
        limiters: Scope and rates → limiter, so that the callers of a process are served in order.
        by_space: Account and space → services, made from `version` of the spaces file.
    """

    settle_watch: SettleWatch
    files: OpenFiles
    shard_engine: ShardEngine
    listings: ActiveListings = field(default_factory=ActiveListings)
    lists: defaultdict[str, SharedList] = field(default_factory=lambda: defaultdict(SharedList))
    limiters: dict[tuple[object, ...], Limiter] = field(default_factory=dict)
    by_space: dict[tuple[str, str], WorkerServices] = field(default_factory=dict)
    version: int = 0


@dataclass
class WorkerServices:
    """The services that the jobs of one worker use.

    Attributes:
        settings: Of the worker, or of a space.
        pool: Its Redis.
        session: Its HTTP session.
        clock: Returns monotonic seconds.
        sleep: Sleeps for the given number of seconds.
        opener: Opens the files that requests name; None: those under `FILES_DIR`.
        own_syncs: The ids of the syncs that the worker works on, which may change; None: all.
        skips_pipes: As of `JobQueue`.
        metrics: Counts what its jobs do.
        tracer: Records its jobs and their requests as spans.
        spaces: The spaces and accounts of `SPACES_FILE`; None: the settings are for every space.
        owner: Name in Redis of the account whose syncs the stores handle; None: that of the settings.
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
    spaces: SpaceDirectory[Settings] | None = None
    owner: str | None = None
    _shared: _Shared | None = None

    def __post_init__(self) -> None:
        settings = self.settings
        if self.spaces is None:
            settings.require("mavera_api_key")
        if self._shared is None:
            files = OpenFiles(self.opener or folder_opener(settings.files_dir))
            engine = ShardEngine(
                FileAccess(settings.files_dir, url=settings.files_url, anywhere=self.opener is not None),
                EngineLimits(settings.duckdb_memory, settings.threads),
            )
            self._shared = _Shared(SettleWatch(self.clock), files, engine)
        self.settle_watch = self._shared.settle_watch
        self.files = self._shared.files
        self.shard_engine = self._shared.shard_engine
        self.listings = self._shared.listings

        self.retry_policy = RetryPolicy(
            base_s=settings.retry_base_s,
            budget_s=settings.retry_budget_s,
            retry_after_max_s=settings.retry_after_max_s,
            clock=self.clock,
            sleep=self.sleep,
        )
        account = mavera_account(settings) if self.owner is None else self.owner
        accounts = self.spaces.accounts if self.spaces and self.owner is None else lambda: (account,)
        account_of = self.spaces.account_of if self.spaces else None
        retention_ms, stall = settings.retention_ms, stall_ms(settings)
        self.queue = JobQueue(
            self.pool,
            account,
            stall_ms=stall,
            account_map=self.spaces,
            suspect_after=max(1, min(SUSPECT_AFTER, settings.max_revivals)),
            own_syncs=self.own_syncs,
            skips_pipes=self.skips_pipes,
        )
        self.syncs = JobSyncStore(self.pool, stall_ms=stall, retention_ms=retention_ms, account=account)
        self.batches = BatchStore(self.pool, stall_ms=stall, retention_ms=retention_ms, account=account)
        self.watchdog = WatchdogStore(self.pool, stall_ms=stall, retention_ms=retention_ms, accounts=accounts)
        self.outbox = OutboxStore(self.pool, account, accounts=accounts)
        self.alerts = AlertStore(self.pool, account_of)
        self.ticks = TickStore(self.pool, stall_ms=stall, retention_ms=retention_ms, account_of=account_of)
        self.registry = worker_registry(self.pool, settings, accounts)

    @cached_property
    def personas(self) -> PersonaStore:
        """The records and claims of the account."""
        return persona_store(self.pool, self.settings)

    @property
    def shared_list(self) -> SharedList:
        """The account's list at Mavera, which the jobs of this worker share."""
        assert self._shared is not None
        return self._shared.lists[mavera_account(self.settings)]

    @cached_property
    def mavera_limiter(self) -> Limiter:
        """The limiter of the account, which all jobs of this worker share."""
        settings = self.settings
        return self._limiter(
            (mavera_account(settings), settings.mavera_rate, settings.mavera_gap_s),
            lambda: mavera_limiter(self.pool, settings, clock=self.clock, sleep=self.sleep),
        )

    @cached_property
    def mavera(self) -> MaveraClient:
        """The client of the account."""
        return mavera_client(
            self.settings,
            self.session,
            on_allowance=self.mavera_limiter.learn_limit,
            on_answer=partial(self._note_request, "mavera"),
        )

    async def for_sync(self, sync_id: str) -> WorkerServices:
        """Returns the services whose stores handle the account of a sync."""
        if self.spaces is None:
            return self
        owner = await self.pool.hash_field(keys.sync(sync_id), "owner") or b""
        return replace(self, owner=owner.decode(errors="replace"))

    def for_request(self, request: SyncRequest) -> WorkerServices:
        """Returns the services of the space of a request, for a sync of the account `owner`.

        Raises:
            ResumableStop: `SPACES_FILE` has no account, no key or no token for it.
        """
        if self.spaces is None:
            if request.reads_segment and self.settings.segment_token is None:
                raise ResumableStop(
                    "space_not_configured",
                    f"The worker has no SEGMENT_TOKEN, so it cannot read the space {request.space_id}",
                    hint="Set SEGMENT_TOKEN in the environment of every worker.",
                )
            return self
        shared, key = self._shared, (self.owner or "", request.space_id)
        assert shared is not None
        if shared.version != self.spaces.version or len(shared.by_space) >= MOST_SPACES:
            shared.by_space.clear()
            shared.version = self.spaces.version
        if key not in shared.by_space:
            settings = self.spaces.settings_of(request.space_id, self.owner or "")
            shared.by_space[key] = replace(self, settings=settings)
        found = shared.by_space[key]
        if request.reads_segment and found.settings.segment_token is None:
            raise ResumableStop(
                "space_not_configured",
                f"SPACES_FILE has no token for the space {request.space_id}",
                hint=f"Add a table [spaces.{request.space_id}] with token_file to SPACES_FILE.",
            )
        return found

    def segment_caller(self, space_id: str, trouble_ms: int = 0, *, lease: Lease[Any] | None = None) -> ApiCaller:
        """Returns a caller of Segment for one job; the arguments are those of `ApiCaller`."""
        limiter = self.segment_limiter(space_id)
        return ApiCaller(limiter, "Segment", self.retry_policy, trouble_ms, lease=lease, metrics=self.metrics)

    def source_caller(self, request: SyncRequest, trouble_ms: int = 0, *, lease: Lease[Any] | None = None) -> ApiCaller:
        """Returns a caller of what a sync reads, Segment or a warehouse; the arguments are those of `ApiCaller`."""
        if request.warehouse is None:
            return self.segment_caller(request.space_id, trouble_ms, lease=lease)
        return ApiCaller(
            NoLimit(),
            "The warehouse",
            self.retry_policy,
            trouble_ms,
            lease=lease,
            metrics=self.metrics,
            long_requests=True,
        )

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
            if request.dialect == "auto" and self.spaces and self.spaces.has_dialect(request.space_id):
                request = request.model_copy(update={"dialect": self.settings.segment_dialect})
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
        return self._limiter(
            (space_id, self.settings.segment_rate),
            lambda: segment_limiter(self.pool, self.settings, space_id, clock=self.clock, sleep=self.sleep),
        )

    def _limiter(self, key: tuple[object, ...], make: Callable[[], Limiter]) -> Limiter:
        assert self._shared is not None
        limiters = self._shared.limiters
        if key not in limiters:
            if len(limiters) >= MOST_SPACES:
                limiters.clear()
            limiters[key] = make()
        return limiters[key]


def job_timeout_s(settings: Settings) -> float:
    """Returns the longest time in seconds that a job may run: a last resort, above a lease with its longest retries."""
    return settings.lease_s + settings.retry_budget_s + settings.segment_timeout_s + settings.mavera_settle_s + 60
