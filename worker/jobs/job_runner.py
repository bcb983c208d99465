"""The frame of every job: take the lease, do the work, and end in one of the ways in which a job can end.

Whatever a job raises, its sync gets a next job or a reason. Unexpected errors are logged by type and place only: their
text might quote a profile.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from worker.concurrency import to_its_end
from worker.errors import ApiError, LeaseLost, PersonasError, StoreUnavailable, StoreUnusable
from worker.jobs.audit_log import log_end
from worker.jobs.lease import Grant, Lease
from worker.jobs.services import WorkerContext
from worker.models.sync import JobKind, SyncFailure, SyncState
from worker.store import LeaseGrant
from worker.store.syncs import Begun, new_token

log = logging.getLogger("segment_personas.jobs")

OUT_OF_MEMORY = (
    "the worker ran out of memory while it worked on this sync. Give workers more memory, or let each do less "
    "at a time (smaller WORKER_SLOTS, SEGMENT_PAGE_SIZE, SEGMENT_CONCURRENCY or MAX_BODY_MB), then resume the sync"
)

B = TypeVar("B")
G = TypeVar("G", bound=Grant)
Work = Callable[[WorkerContext, Begun, Lease[LeaseGrant]], Awaitable[None]]


async def run_epoch(context: WorkerContext, sync_id: str, epoch: int, kind: JobKind, work: Work) -> None:
    """Runs `work` under the lease of an epoch. Ends quietly if the epoch is not ours to begin."""

    async def fail(begun: Begun, failure: SyncFailure) -> None:
        await context.syncs.fail(begun.lease, failure, new_token())
        await log_end(context, sync_id)

    is_lost = await run(
        f"{sync_id}: {kind} of epoch {epoch}",
        begin=lambda: context.syncs.begin(sync_id, epoch, kind, new_token()),
        lease=lambda begun: Lease(context.syncs, begun.lease, context.settings.heartbeat_s, begun.note),
        work=lambda begun, lease: work(context, begun, lease),
        fail=fail,
    )
    if is_lost:
        await log_end(context, sync_id, only=SyncState.CANCELLED)


async def run(
    name: str,
    *,
    begin: Callable[[], Coroutine[Any, Any, B]],
    lease: Callable[[B], Lease[G]],
    work: Callable[[B, Lease[G]], Awaitable[None]],
    fail: Callable[[B, SyncFailure], Coroutine[Any, Any, None]],
) -> bool:
    """Runs `work` on what `begin` took, under its lease. name: of the job, for the log.

    begin, fail: raise LeaseLost if the job is no longer the sync's. Returns whether it is not.
    """
    try:
        # Begun is begun, once: a cancellation that comes meanwhile must find the work, which knows how to hand over.
        begun = await to_its_end(begin())
    except LeaseLost as error:
        log.info("%s is over before it began: %s", name, error)
        return True
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - what stands in Redis is no sync; the watcher deals with it
        log.warning("%s cannot begin: %s", name, _what_went_wrong(error))
        return False
    failure, is_lost = None, False
    try:
        async with lease(begun) as held:
            await work(begun, held)
    except LeaseLost as error:
        log.info("%s stops: %s", name, error)
        is_lost = True
    except ApiError as error:
        failure = SyncFailure(error.code, str(error), error.resumable)
    except StoreUnavailable as error:
        log.warning("%s leaves it to the watcher: %s", name, error)
    except StoreUnusable as error:
        failure = SyncFailure("redis_unusable", str(error), resumable=True)
    except MemoryError:
        failure = SyncFailure("out_of_memory", OUT_OF_MEMORY, resumable=True)
    except Exception as error:  # noqa: BLE001 - the sync must end with a reason, whatever our own mistake is
        failure = SyncFailure("internal_error", _what_went_wrong(error), resumable=True)
    if failure is None:
        return is_lost
    log.warning("%s fails the sync, %s: %s", name, failure.code, failure.message)
    try:
        await to_its_end(fail(begun, failure))  # nobody else would tell the reason
    except (LeaseLost, StoreUnavailable, StoreUnusable) as error:
        log.info("%s: the failure comes too late: %s", name, error)
    return False


def _what_went_wrong(error: Exception) -> str:
    if isinstance(error, PersonasError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {place.name}, line {place.lineno}; this is a defect of segment-personas"
