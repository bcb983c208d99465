"""The frame of every job: take the lease, do the work, and end in one of the ways in which a job can end.

Whatever a job raises, its sync gets a next job or a reason. Unexpected errors are logged by type and place only: their
text might quote a profile.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable

from worker.errors import ApiError, LeaseLost, PersonasError, StoreUnavailable
from worker.jobs.context import WorkerContext
from worker.jobs.lease import Lease
from worker.store.syncs import Begun, new_token
from worker.sync import JobKind, SyncFailure

log = logging.getLogger("segment_personas.jobs")

Work = Callable[[WorkerContext, Begun, Lease], Awaitable[None]]


async def run(context: WorkerContext, sync_id: str, epoch: int, kind: JobKind, work: Work) -> None:
    """Runs `work` under the lease of an epoch. Ends quietly if the epoch is not ours to begin."""
    try:
        begun = await context.syncs.begin(sync_id, epoch, kind, new_token())
    except LeaseLost as error:
        log.info("%s: %s of epoch %d is over before it began: %s", sync_id, kind, epoch, error)
        return
    lease = Lease(context.syncs, begun.lease, context.settings.heartbeat_s)
    try:
        async with lease:
            await work(context, begun, lease)
    except LeaseLost as error:
        log.info("%s: %s of epoch %d stops: %s", sync_id, kind, epoch, error)
    except ApiError as error:
        await _fail(context, begun, SyncFailure(error.code, str(error), error.resumable))
    except StoreUnavailable as error:
        log.warning("%s: %s of epoch %d leaves it to the watcher: %s", sync_id, kind, epoch, error)
    except Exception as error:  # noqa: BLE001 - the sync must end with a reason, whatever our own mistake is
        if isinstance(error, PersonasError):
            message = str(error)
        else:
            place = traceback.extract_tb(error.__traceback__)[-1]
            message = (
                f"{type(error).__name__} in {place.name}, line {place.lineno}; this is a defect of segment-personas"
            )
        log.warning("%s: %s of epoch %d: %s", sync_id, kind, epoch, message)
        await _fail(context, begun, SyncFailure("internal_error", message, resumable=True))


async def _fail(context: WorkerContext, begun: Begun, failure: SyncFailure) -> None:
    sync_id = begun.lease.sync_id
    log.warning("%s: failed, %s: %s", sync_id, failure.code, failure.message)
    try:
        await context.syncs.fail(begun.lease, failure, new_token())
    except (LeaseLost, StoreUnavailable) as error:
        log.info("%s: the failure comes too late: %s", sync_id, error)
