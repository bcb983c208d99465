"""The watcher: finds running syncs that fell silent, and gives each its next job.

A supervised task in every worker, not an arq job, which would wait for a free slot. A short lock in Redis lets one
watcher look at a time; the epoch in its script lets one revival count, however many look.
"""

from __future__ import annotations

import asyncio
import logging
import random

from worker.jobs.context import WorkerContext
from worker.jobs.tickets import ticket
from worker.sync import job_kind

log = logging.getLogger("segment_personas.watcher")


async def watch(context: WorkerContext) -> None:
    """Looks for silent syncs until cancelled, about once a second (more often if `STALL_S` is short)."""
    every_s = min(1.0, context.settings.stall_s / 10)
    while True:
        await asyncio.sleep(every_s * random.uniform(0.8, 1.2))
        if await context.syncs.lock_watch(every_s * 0.7):
            await look_once(context)


async def look_once(context: WorkerContext) -> None:
    """Revives every sync that is due, or fails it if that has been tried too often."""
    for sync_id, state, epoch in await context.syncs.due():
        if state is None:
            await context.syncs.forget_due(sync_id)
            continue
        most = context.settings.max_revivals
        done = await context.syncs.revive(
            sync_id,
            state,
            epoch,
            ticket(sync_id, job_kind(state), epoch + 1),
            max_revivals=most,
            message=(
                f"The sync's job was lost {most + 1} times in a row without progress, in state {state.value}. "
                "Look into the workers' logs and memory, then resume the sync"
            ),
        )
        if done in {"revived", "failed"}:
            log.warning("%s: silent in %s, epoch %d: %s", sync_id, state.value, epoch, done)
