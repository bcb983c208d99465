"""Builds the jobs that read a space, a file or a table: fetch jobs and batch jobs."""

from __future__ import annotations

from functools import partial

from worker.jobs.api_factories import warehouse_access
from worker.jobs.composition.finalize_jobs import persona_lister
from worker.jobs.fetch.batch_job import BatchJob, BatchReader
from worker.jobs.fetch.chain import ChainStrategy, WarehouseStrategy
from worker.jobs.fetch.fan_out import FanOutStrategy
from worker.jobs.fetch.fetch_job import FetchJob
from worker.jobs.fetch.fetch_strategy import FetchStrategy
from worker.jobs.fetch.page_batch_reader import PageBatchReader
from worker.jobs.fetch.shard_batches import ShardBatchReader, ShardFanOutStrategy
from worker.jobs.lease import Lease
from worker.jobs.services import WorkerServices
from worker.models.sync import SyncState
from worker.segment.export_file import is_of_one_process
from worker.segment.file_shards import ShardSource
from worker.segment.warehouse import WarehouseSource
from worker.store import BatchGrant, LeaseGrant, StartedBatch
from worker.store.progress.sync_progress import StartedJob


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
    """Returns whether DuckDB reads a file. It cannot read a pipe, and a sync of an earlier version continues without
    it.
    """
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
