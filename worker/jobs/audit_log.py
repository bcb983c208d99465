"""Logs every purchase, update and refusal, and the end of each sync, with the credits charged: one line each.

The log outlives the syncs in Redis. Its lines name space, cluster, persona and credits, never a value of a profile.
"""

from __future__ import annotations

import logging
from collections import Counter

from worker.errors import ApiError, PersonasError
from worker.models.outcome import PersonaOutcome
from worker.models.sync import SyncState
from worker.store import JobSyncStore
from worker.store.progress.sync_progress import StartedJob

log = logging.getLogger("segment_personas.jobs")


def log_outcome(started: StartedJob, outcome: PersonaOutcome) -> None:
    """Logs that a persona was created or updated, and recorded."""
    log.info(
        "persona %s: space %s, cluster %s, persona %s, %d credits, sync %s%s",
        *(outcome.action, started.request.space_id, outcome.cluster, outcome.persona_id, outcome.credits),
        started.lease.sync_id,
        f" ({outcome.reason})" if outcome.reason else "",
    )


def log_refusal(started: StartedJob, cluster: str, error: ApiError) -> None:
    """Logs that Mavera refused to create a persona, so that nothing was charged."""
    log.info(
        "persona refused: space %s, cluster %s, %s, 0 credits, sync %s",
        *(started.request.space_id, cluster, error.code, started.lease.sync_id),
    )


async def log_end(syncs: JobSyncStore, sync_id: str, *, only: SyncState | None = None) -> None:
    """Logs the end of a sync, unless it has not ended or Redis cannot be reached.

    Args:
        syncs: Store of syncs.
        sync_id: Id of the sync.
        only: Logs nothing if the sync ended in another state; None logs any end.
    """
    try:
        sync = await syncs.get(sync_id)
    except PersonasError:
        return  # without Redis the outcome is not known
    if sync is None or not sync.state.is_final or only not in (None, sync.state):
        return
    actions = Counter(outcome.action for outcome in sync.outcomes)
    counts = ", ".join(f"{count} {action}" for action, count in sorted(actions.items())) or "no persona changed"
    reason = f", {sync.error.code}" if sync.error else ""
    log.info(
        "sync %s: space %s, sync %s%s, %s, %d credits",
        *("planned" if sync.planned else sync.state.value, sync.request.space_id, sync_id, reason, counts),
        sync.credits,
    )
