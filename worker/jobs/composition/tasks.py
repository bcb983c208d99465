"""The functions that arq calls: each builds a job from the services of its sync, and runs it.

Their names are written in the payloads of queued jobs, like those of `JobKind`, so they are part of the storage format
and do not change.
"""

from __future__ import annotations

from functools import partial

from worker.jobs.composition.fetch_jobs import build_batch_job, build_fetch_job
from worker.jobs.composition.finalize_jobs import build_finalize_job
from worker.jobs.fetch.batch_job import BatchAttempt
from worker.jobs.job_runner import SyncJob, run_job
from worker.jobs.services import WorkerServices
from worker.models.sync import BatchKey


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
