"""The watcher: finds running syncs, and batches of their pages, that fell silent, and gives each its next job.

A supervised task in every worker, not an arq job, which would wait for a free slot. A short lock in Redis lets one
watcher look at a time; the epoch in its script lets one revival count, however many look.
"""

from __future__ import annotations

import asyncio
import logging
import random

from worker.errors import PersonasError, StoreUnavailable
from worker.jobs.job_payloads import batch_payload, sync_payload
from worker.jobs.services import WorkerContext, job_timeout_s
from worker.models.sync import BatchKey, SyncState, job_kind
from worker.store.syncs import SilentSync

log = logging.getLogger("segment_personas.watcher")

_LOOK = "Look into the workers' logs and memory"


async def watch(context: WorkerContext) -> None:
    """Looks for silent syncs until cancelled, about once a second (more often if `STALL_S` is short)."""
    settings = context.settings
    every_s = min(1.0, settings.stall_s / 10)
    furthest_s = job_timeout_s(settings) + settings.retry_after_max_s + settings.stall_s
    while True:
        await asyncio.sleep(every_s * random.uniform(0.8, 1.2))
        if await context.syncs.lock_watch(every_s * 0.7, furthest_s):
            await check_due(context)


async def check_due(context: WorkerContext) -> None:
    """Gives every sync and every batch that is due its next job, or fails the sync if that was tried too often."""
    for silent in await context.syncs.due():
        try:
            await _look_at(context, silent)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - what is wrong with one must not keep the others from being looked at
            what = str(error) if isinstance(error, PersonasError) else type(error).__name__
            log.warning("%s: silent, and cannot be revived: %s", silent.sync_id, what)
            await context.syncs.look_later(silent)


async def _look_at(context: WorkerContext, silent: SilentSync | BatchKey) -> None:
    if isinstance(silent, BatchKey):
        await _revive_batch(context, silent)
    elif silent.state is None:
        await context.syncs.forget_due(silent.sync_id)
    else:
        await _revive_sync(context, silent.sync_id, silent.state, silent.epoch)


async def _revive_sync(context: WorkerContext, sync_id: str, state: SyncState, epoch: int) -> None:
    most = context.settings.max_revivals
    done = await context.syncs.revive(
        sync_id,
        state,
        epoch,
        sync_payload(sync_id, job_kind(state), epoch + 1),
        max_revivals=most,
        message=(
            f"The sync's job was lost {most + 1} times in a row without progress, in state {state.value}. {_LOOK}"
        ),
    )
    if done in {"revived", "failed"}:
        log.warning("%s: silent in %s, epoch %d: %s", sync_id, state.value, epoch, done)


async def _revive_batch(context: WorkerContext, key: BatchKey) -> None:
    most = context.settings.max_revivals
    done = await context.batches.revive(
        key,
        batch_payload(key.next_attempt()),
        max_lost=most,
        message=f"The job that reads batch {key.number} of the sync's pages was lost {most + 1} times. {_LOOK}",
    )
    if done in {"revived", "failed"}:
        log.warning("%s: silent in batch %d, try %d: %s", key.sync_id, key.number, key.attempt, done)
