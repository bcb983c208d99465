"""Runs a job: takes its lease, does its work, and ends in one of the ways in which a job can end.

Whatever a job raises, its sync gets a next job or a reason why it failed. Unexpected errors are logged by type and
place only, because their text might quote a profile.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Protocol, TypeVar

from worker.concurrency import run_to_completion
from worker.errors import ApiError, LeaseLost, OverBudget, PersonasError, StoreUnavailable, StoreUnusable
from worker.jobs.audit_log import log_end
from worker.jobs.job_payloads import sync_payload
from worker.jobs.lease import Grant, Lease
from worker.log_format import log_about
from worker.metrics.worker_metrics import WorkerMetrics
from worker.models.outcome import SyncFailure
from worker.models.request import SyncRequest
from worker.models.sync import JobKind, SyncState
from worker.models.versions import NewerVersion
from worker.store import JobSyncStore, LeaseGrant
from worker.store.progress.sync_progress import StartedJob, new_token

log = logging.getLogger("segment_personas.jobs")

OUT_OF_MEMORY = "the worker ran out of memory while it worked on this sync"
LESS_MEMORY = (
    "Give workers more memory, or let each do less at a time: smaller WORKER_SLOTS, SEGMENT_PAGE_SIZE, "
    "SEGMENT_CONCURRENCY or MAX_BODY_MB."
)

_KIND_NAMES: dict[JobKind, str] = {"walk": "fetch job", "finalize": "finalize job"}
"""Names of the kinds for the log; those in Redis are part of the storage format."""

S = TypeVar("S", bound="Started")
G = TypeVar("G", bound=Grant)


class Started(Protocol):
    """The state of the sync when the job took its lease."""

    @property
    def request(self) -> SyncRequest:
        """The request of the sync."""


class Work(Protocol):
    """The work of a job while it holds its lease, such as `FetchJob`."""

    async def run(self) -> None:
        """Does the work.

        Raises:
            ApiError: The sync cannot continue; the job fails it.
            LeaseLost: The job no longer owns the sync.
        """


class Job(Protocol[S, G]):
    """One job as `run_job` runs it. S is what `begin` returns, G the job's right to work on a sync.

    Attributes:
        name: Of the job, for the log.
    """

    name: str

    async def begin(self) -> S:
        """Takes the lease. Raises LeaseLost if the job is no longer the sync's."""

    def lease(self, started: S) -> Lease[G]:
        """Returns the lease that `begin` took."""

    def work(self, started: S, lease: Lease[G]) -> Work:
        """Returns the work that the job does while it holds the lease."""

    async def fail(self, started: S, failure: SyncFailure) -> None:
        """Fails the sync. Raises LeaseLost if the job is no longer the sync's."""

    async def leave_to_newer_workers(self, version: int) -> None:
        """Leaves the job to workers that read documents of `version`. Raises LeaseLost as `fail` does."""

    async def on_lease_lost(self) -> None:
        """Called when the job is no longer the sync's."""


class SyncJob:
    """The job of one epoch of a sync: it fetches, or it finalizes.

    Args:
        syncs: Where syncs are kept.
        sync_id: Of the sync.
        epoch: The epoch that this job may work in.
        kind: Of the job.
        heartbeat_s: Seconds between two heartbeats.
        build: Makes the work from what `begin` took.
    """

    def __init__(
        self,
        syncs: JobSyncStore,
        sync_id: str,
        epoch: int,
        kind: JobKind,
        *,
        heartbeat_s: float,
        build: Callable[[StartedJob, Lease[LeaseGrant]], Work],
    ) -> None:
        self.name = f"{sync_id}: {_KIND_NAMES[kind]} of epoch {epoch}"
        self.work = build
        self._syncs = syncs
        self._sync_id = sync_id
        self._epoch = epoch
        self._kind = kind
        self._heartbeat_s = heartbeat_s
        self._holder = new_token()

    async def begin(self) -> StartedJob:
        """Takes the lease of the epoch."""
        return await self._syncs.begin(self._sync_id, self._epoch, self._kind, self._holder)

    def lease(self, started: StartedJob) -> Lease[LeaseGrant]:
        """Returns the lease, with the note of the job before."""
        return Lease(self._syncs, started.lease, self._heartbeat_s, started.note)

    async def fail(self, started: StartedJob, failure: SyncFailure) -> None:
        """Fails the sync and logs its end."""
        await self._syncs.fail(started.lease, failure, new_token())
        await log_end(self._syncs, self._sync_id)

    async def leave_to_newer_workers(self, version: int) -> None:
        """Enqueues the next job of the sync, for workers that read `version`."""
        state = SyncState.FINALIZING if self._kind == "finalize" else SyncState.FETCHING
        await self._syncs.require_format(self._sync_id, version)
        following = sync_payload(self._sync_id, self._kind, self._epoch + 1)
        lease = LeaseGrant(self._sync_id, state, self._epoch, self._holder)
        await self._syncs.hand_over(lease, following, new_token())

    async def on_lease_lost(self) -> None:
        """Logs the end of the sync if it was cancelled."""
        await log_end(self._syncs, self._sync_id, only=SyncState.CANCELLED)


async def run_job(job: Job[S, G], metrics: WorkerMetrics) -> None:
    """Runs a job to completion. Returns early, without an error, if the job is no longer the sync's.

    Args:
        job: What to run.
        metrics: Counts failures and refused commits.

    Raises:
        StoreUnavailable: Redis cannot be reached at the beginning; arq starts the job again.
        CancelledError: The worker stops; the job has handed its sync over.
    """
    try:
        # Shield begin(): after the lease is taken, a cancellation must reach the work so that it hands over.
        started = await run_to_completion(job.begin())
    except LeaseLost as error:
        log.info("%s does not start: %s", job.name, error)
        await job.on_lease_lost()
        return
    except StoreUnavailable:
        raise
    except NewerVersion as error:
        await _leave(job, error)
        return
    except Exception as error:  # noqa: BLE001 - the data in Redis is not a sync; the watchdog handles it
        log.warning("%s cannot start: %s", job.name, _describe(error))
        return
    with log_about(space=started.request.space_id):
        await _work(job, started, metrics)


async def _work(job: Job[S, G], started: S, metrics: WorkerMetrics) -> None:
    """Does the work of a job that has its lease."""
    failure, defect = None, None
    try:
        async with job.lease(started) as lease:
            await job.work(started, lease).run()
    except LeaseLost as error:
        log.info("%s stops: %s", job.name, error)
        metrics.count_refused_commit()
        await job.on_lease_lost()
    except OverBudget as error:
        failure = SyncFailure(
            error.code, str(error), error.resumable, error.hint, error.needed_credits, error.credit_limit
        )
    except ApiError as error:
        failure = SyncFailure(error.code, str(error), error.resumable, error.hint)
    except StoreUnavailable as error:
        log.warning("%s leaves its sync to the watchdog: %s", job.name, error)
    except StoreUnusable as error:
        failure = SyncFailure("redis_unusable", str(error), resumable=True, hint=error.hint)
    except NewerVersion as error:
        await _leave(job, error)
    except MemoryError:
        failure = SyncFailure("out_of_memory", OUT_OF_MEMORY, resumable=True, hint=LESS_MEMORY)
    except Exception as error:  # noqa: BLE001 - the sync must end with a reason, whatever our own mistake is
        failure, defect = SyncFailure("internal_error", _describe(error), resumable=True), error
    if failure is not None:
        await _fail(job, started, failure, metrics, defect)


async def _fail(
    job: Job[S, G], started: S, failure: SyncFailure, metrics: WorkerMetrics, defect: Exception | None
) -> None:
    """Fails the sync.

    Args:
        job: The job, which has the lease of the sync.
        started: What the job found when it took its lease.
        failure: The reason, as users see it.
        metrics: Counts the failure.
        defect: The unexpected error, if that is the reason.
    """
    advice = f". {failure.hint}" if failure.hint else ""
    extra = {"error": defect}
    log.warning("%s fails the sync, %s: %s%s", job.name, failure.code, failure.message, advice, extra=extra)
    try:
        await run_to_completion(job.fail(started, failure))  # only this job knows the reason
    except (LeaseLost, StoreUnavailable, StoreUnusable) as error:
        log.info("%s: the failure is not recorded: %s", job.name, error)
    else:
        metrics.count_failure(failure.code)


async def _leave(job: Job[S, G], error: NewerVersion) -> None:
    log.warning("%s is left to newer workers: %s", job.name, error)
    try:
        await run_to_completion(job.leave_to_newer_workers(error.version))
    except (LeaseLost, StoreUnavailable, StoreUnusable) as late:
        log.info("%s: the sync ended or was taken over meanwhile: %s", job.name, late)


def _describe(error: Exception) -> str:
    if isinstance(error, PersonasError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {place.name}, line {place.lineno}; this is a bug in segment-personas"
