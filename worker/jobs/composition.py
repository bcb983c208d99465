"""Builds each job from the services that it uses, and runs it.

`walk`, `finalize` and `batch` are the functions that arq calls. Their names are written in the payloads of queued jobs,
like those of `JobKind`, so they are part of the storage format and do not change.
"""

from __future__ import annotations

from functools import partial

from worker.clusters.analysis.change_detection import ChangeThreshold
from worker.clusters.analysis.quality_guards import GuardThresholds
from worker.input_values import read_webhook_secrets
from worker.jobs.api_caller import ApiCaller
from worker.jobs.api_factories import warehouse_access
from worker.jobs.background.inbox_reader import InboxReader
from worker.jobs.background.watchdog import Watchdog
from worker.jobs.background.webhook_deliverer import WebhookDeliverer
from worker.jobs.fetch.batch_job import BatchAttempt, BatchJob, BatchReader
from worker.jobs.fetch.chain import ChainStrategy
from worker.jobs.fetch.fan_out import FanOutStrategy
from worker.jobs.fetch.fetch_job import FetchJob
from worker.jobs.fetch.fetch_strategy import FetchStrategy
from worker.jobs.fetch.page_batches import PageBatchReader
from worker.jobs.fetch.shard_batches import ShardBatchReader, ShardFanOutStrategy
from worker.jobs.fetch.warehouse import WarehouseStrategy
from worker.jobs.job_runner import SyncJob, run_job
from worker.jobs.lease import Lease
from worker.jobs.personas.account import Account, UsageReader, note_credits
from worker.jobs.personas.budget import Budget, credit_limit
from worker.jobs.personas.claim_resolver import ClaimResolver
from worker.jobs.personas.create_persona import PersonaCreator
from worker.jobs.personas.ensure_persona import PersonaEnsurer
from worker.jobs.personas.finalize_job import FinalizeJob
from worker.jobs.personas.lookup.persona_finder import PersonaFinder
from worker.jobs.personas.lookup.persona_guard import missing_personas
from worker.jobs.personas.lookup.persona_list import PersonaLister
from worker.jobs.personas.persona_recorder import PersonaRecorder
from worker.jobs.personas.planner import Planner
from worker.jobs.personas.update_persona import PersonaUpdater
from worker.jobs.schedules.overdue_watch import OverdueWatch
from worker.jobs.schedules.scheduler import Scheduler
from worker.jobs.services import WorkerServices, job_timeout_s
from worker.jobs.store_factories import stall_ms
from worker.models.event_type import EVENT_TYPES, read_event_types
from worker.models.request import SyncRequest
from worker.models.sync import BatchKey, SyncState
from worker.segment.export_file import is_of_one_process
from worker.segment.file_shards import ShardSource
from worker.segment.warehouse import WarehouseSource
from worker.settings import Settings
from worker.store import BatchGrant, ClientSyncStore, LeaseGrant, StartedBatch
from worker.store.inbox import InboxStore
from worker.store.progress.sync_progress import StartedJob
from worker.store.scripts.watchdog import Duty
from worker.store.syncs.sync_reader import storable_ms
from worker.webhooks.sender import Receiver, WebhookSender


async def walk(ctx: dict[str, WorkerServices], sync_id: str, epoch: int) -> None:
    """Runs a fetch job: its sync ends, moves to `finalizing`, or gets a next fetch job or batches."""
    services = await ctx["worker"].for_sync(sync_id)
    build = partial(build_fetch_job, services)
    heartbeat_s = services.settings.heartbeat_s
    job = SyncJob(services.syncs, sync_id, epoch, "walk", heartbeat_s=heartbeat_s, build=build)
    await run_job(job, services.metrics)


async def finalize(ctx: dict[str, WorkerServices], sync_id: str, epoch: int) -> None:
    """Runs a finalize job: its sync is completed or failed, or gets a next finalize job."""
    services = await ctx["worker"].for_sync(sync_id)
    build = partial(build_finalize_job, services)
    heartbeat_s = services.settings.heartbeat_s
    job = SyncJob(services.syncs, sync_id, epoch, "finalize", heartbeat_s=heartbeat_s, build=build)
    await run_job(job, services.metrics)


async def batch(ctx: dict[str, WorkerServices], sync_id: str, slot: int, number: int, attempt: int) -> None:
    """Runs a batch job: its pages are counted, or it gets a next attempt, or its sync ends."""
    services = await ctx["worker"].for_sync(sync_id)
    build = partial(build_batch_job, services)
    key, heartbeat_s = BatchKey(sync_id, slot, number, attempt), services.settings.heartbeat_s
    job = BatchAttempt(services.batches, key, heartbeat_s=heartbeat_s, build=build)
    await run_job(job, services.metrics)


def build_fetch_job(services: WorkerServices, started: StartedJob, lease: Lease[LeaseGrant]) -> FetchJob:
    """Builds a fetch job of one sync. Raises ResumableStop if `SPACES_FILE` lacks what its space needs."""
    services = services.for_request(started.request)
    request, trouble_ms = started.request, started.listing.trouble_ms
    # The trouble of an earlier job was with the API that this job calls first.
    segment_trouble_ms, mavera_trouble_ms = (trouble_ms, 0) if started.lookup else (0, trouble_ms)
    mavera = services.mavera_caller(mavera_trouble_ms, lease=lease)
    return FetchJob(
        started,
        lease,
        strategy=_fetch_strategy(services, started, lease),
        source=services.source_caller(request, segment_trouble_ms, lease=lease),
        mavera=mavera,
        lister=persona_lister(services, mavera),
        syncs=services.syncs,
        listings=services.listings,
        lease_s=services.settings.lease_s,
        clock=services.clock,
        metrics=services.metrics,
    )


def _fetch_strategy(services: WorkerServices, started: StartedJob, lease: Lease[LeaseGrant]) -> FetchStrategy:
    request, settings = started.request, services.settings
    if request.warehouse is not None:
        return WarehouseStrategy(
            started,
            _warehouse_source(services, started, lease),
            services.syncs,
            max_empty_pages=settings.max_empty_pages,
            commit_interval_s=settings.commit_interval_s,
            clock=services.clock,
        )
    if request.file is not None and _reads_shards(services, started, request.file):
        shards = ShardSource(
            services.shard_engine,
            request.file,
            request.rules.keys,
            limit=request.max_profiles,
            on_listed=partial(services.syncs.store_shards, started.lease),
        )
        return ShardFanOutStrategy(started, shards, services.syncs, max_empty_pages=settings.max_empty_pages)
    if request.fans_out:
        source = services.source(request, traits=False)
        return FanOutStrategy(started, source, services.syncs, max_empty_pages=settings.max_empty_pages)
    return ChainStrategy(
        started,
        services.source(request),
        services.syncs,
        max_empty_pages=settings.max_empty_pages,
        commit_interval_s=settings.commit_interval_s,
        clock=services.clock,
    )


def _warehouse_source(services: WorkerServices, started: StartedJob, lease: Lease[LeaseGrant]) -> WarehouseSource:
    sync_id = started.lease.sync_id

    async def is_cancelled() -> bool:
        found = await services.syncs.get(sync_id) if lease.lost else None
        return found is not None and found.state is SyncState.CANCELLED

    return WarehouseSource(
        warehouse_access(services.settings, started.request.space_id),
        started.request,
        sync_id,
        as_of=started.started_at,
        earlier=started.warehouse_read,
        store=partial(services.syncs.store_warehouse_read, started.lease),
        is_cancelled=is_cancelled,
    )


def _reads_shards(services: WorkerServices, started: StartedJob, file: str) -> bool:
    """Whether DuckDB reads a file. It cannot read a pipe, and a sync of an earlier version continues without it."""
    if started.listing.pages or started.checkpoint.pages:
        return bool(started.listing.pages)
    return not (is_of_one_process(file) or services.shard_engine.access.is_pipe(file))


def build_batch_job(services: WorkerServices, started: StartedBatch, lease: Lease[BatchGrant]) -> BatchJob:
    """Builds a job that reads and counts one batch of pages or shards. Raises as `build_fetch_job` does."""
    services = services.for_request(started.request)
    caller = services.segment_caller(started.request.space_id, started.trouble_ms, lease=lease)
    reader: BatchReader
    if started.work.expected is None:
        reader = PageBatchReader(services.source(started.request), caller.call, metrics=services.metrics)
    else:
        reader = ShardBatchReader(
            services.shard_engine,
            services.listings,
            timeout_s=services.settings.files_timeout_s,
            metrics=services.metrics,
        )
    return BatchJob(started, lease, reader, caller, services.batches)


def build_finalize_job(services: WorkerServices, started: StartedJob, lease: Lease[LeaseGrant]) -> FinalizeJob:
    """Builds a job that gives the clusters of one sync their personas, or plans them. Raises as `build_fetch_job`."""
    services = services.for_request(started.request)
    settings, trouble_ms = services.settings, started.checkpoint.trouble_ms
    caller = services.mavera_caller(trouble_ms, lease=lease)
    finder = persona_finder(services, caller, started.request, started.lease.sync_id)
    planner = persona_planner(services, started, caller, finder)
    budget = Budget(started, credit_limit(started.request, settings.max_credits), services.syncs, services.personas)
    account = Account(
        started,
        lease.grant,
        usage_reader(services, services.mavera_caller()),
        services.syncs,
        services.personas,
        planner.creations,
    )
    ensurer = persona_ensurer(services, started, lease, caller=caller, finder=finder, budget=budget, account=account)
    return FinalizeJob(
        started,
        lease,
        caller=caller,
        finder=finder,
        planner=planner,
        ensurer=ensurer,
        budget=budget,
        account=account,
        syncs=services.syncs,
        check_personas=partial(
            missing_personas,
            started,
            finder,
            services.personas,
            least=settings.guard_personas,
            settle_s=settings.mavera_settle_s,
        ),
        thresholds=GuardThresholds(
            settings.guard_profiles,
            settings.guard_coverage,
            settings.guard_trait_errors,
            settings.guard_profile_errors,
        ),
        metrics=services.metrics,
    )


def persona_lister(services: WorkerServices, caller: ApiCaller) -> PersonaLister:
    """Builds the reader of Mavera's list for one job."""
    return PersonaLister(
        services.mavera, caller, services.personas, services.settle_watch, services.settings.mavera_settle_s
    )


def persona_finder(services: WorkerServices, caller: ApiCaller, request: SyncRequest, sync_id: str) -> PersonaFinder:
    """Builds what finds the personas of one sync at Mavera."""
    return PersonaFinder(
        request,
        sync_id,
        mavera=services.mavera,
        caller=caller,
        lister=persona_lister(services, caller),
        shared=services.shared_list,
        personas=services.personas,
        settle_s=services.settings.mavera_settle_s,
    )


def persona_planner(services: WorkerServices, started: StartedJob, caller: ApiCaller, finder: PersonaFinder) -> Planner:
    """Builds what plans the personas of one sync."""
    return Planner(
        started,
        caller=caller,
        finder=finder,
        usage=usage_reader(services, caller),
        mavera=services.mavera,
        personas=services.personas,
        syncs=services.syncs,
        threshold=_update_threshold(services.settings),
        credit_limit=credit_limit(started.request, services.settings.max_credits),
    )


def persona_ensurer(
    services: WorkerServices,
    started: StartedJob,
    lease: Lease[LeaseGrant],
    *,
    caller: ApiCaller,
    finder: PersonaFinder,
    budget: Budget,
    account: Account,
) -> PersonaEnsurer:
    """Builds what creates and updates the personas of one sync."""
    settle_s = services.settings.mavera_settle_s
    mavera, personas = services.mavera, services.personas
    post_caller = services.mavera_caller(started.checkpoint.trouble_ms, lease=lease)
    recorder = PersonaRecorder(
        started,
        lease,
        finder=finder,
        personas=personas,
        syncs=services.syncs,
        on_recorded=post_caller.note_success,
        metrics=services.metrics,
    )
    resolver = ClaimResolver(
        lease,
        finder=finder,
        personas=personas,
        recorder=recorder,
        settle_watch=services.settle_watch,
        settle_s=settle_s,
        sleep=post_caller.policy.sleep,
    )
    return PersonaEnsurer(
        started,
        caller=caller,
        post_caller=post_caller,
        finder=finder,
        personas=personas,
        recorder=recorder,
        resolver=resolver,
        creator=PersonaCreator(
            started,
            lease,
            mavera=mavera,
            caller=caller,
            post_caller=post_caller,
            finder=finder,
            personas=personas,
            recorder=recorder,
            resolver=resolver,
            budget=budget,
            account=account,
            settle_s=settle_s,
        ),
        updater=PersonaUpdater(
            mavera=mavera, caller=caller, finder=finder, personas=personas, recorder=recorder, account=account
        ),
        threshold=_update_threshold(services.settings),
    )


def usage_reader(services: WorkerServices, caller: ApiCaller) -> UsageReader:
    """Builds the reader of the account's usage for one job."""
    may_raise_rate = "mavera_rate" not in services.settings.model_fields_set
    on_usage = partial(note_credits, services.outbox, services.settings.credits_low)
    named = services.settings.named_account
    return UsageReader(
        services.mavera,
        caller,
        may_raise_rate=may_raise_rate,
        on_usage=on_usage,
        account=named.name if named else "",
    )


def build_inbox_reader(services: WorkerServices) -> InboxReader:
    """Builds the reader of what other programs ask for."""
    retention_ms = services.settings.retention_ms
    syncs = ClientSyncStore(services.pool, stall_ms=stall_ms(services.settings), retention_ms=retention_ms)
    return InboxReader(InboxStore(services.pool, retention_ms=storable_ms(retention_ms)), syncs)


def build_watchdog(services: WorkerServices) -> Watchdog:
    """Builds the watchdog of one worker."""
    settings = services.settings
    duties = {Duty.ALERTS: OverdueWatch(services.alerts).check_due, Duty.INBOX: build_inbox_reader(services).check_due}
    if services.own_syncs is None:  # or else nothing would work on the syncs that a tick starts
        duties[Duty.TICKS] = Scheduler(services.ticks).check_due
    return Watchdog(
        services.watchdog,
        every_s=min(1.0, settings.stall_s / 10),
        max_revivals=settings.max_revivals,
        furthest_s=job_timeout_s(settings) + settings.retry_after_max_s + settings.stall_s,
        spread_s=settings.stall_s / 3,
        duties=duties,
        metrics=services.metrics,
    )


def build_deliverer(services: WorkerServices) -> WebhookDeliverer | None:
    """The deliverer of one worker; None without `WEBHOOK_URL`."""
    settings = services.settings
    if settings.webhook_url is None:
        return None
    secrets = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    receiver = Receiver(
        settings.webhook_url.get_secret_value(),
        read_webhook_secrets(secrets) if secrets else (),
        settings.webhook_format,
    )
    types = EVENT_TYPES if settings.webhook_events is None else read_event_types(settings.webhook_events)
    return WebhookDeliverer(services.outbox, WebhookSender(services.session, receiver), types)


def _update_threshold(settings: Settings) -> ChangeThreshold:
    return ChangeThreshold(settings.persona_share_points, settings.persona_mean_percent)
