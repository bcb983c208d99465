"""One line in the log for every purchase, update and refusal, and for the end of a sync: who was charged what.

The lines outlive the syncs in Redis. They name space, cluster, persona and credits, and nothing of a profile.
"""

from __future__ import annotations

import logging
from collections import Counter

from worker.errors import ApiError, PersonasError
from worker.jobs.services import WorkerContext
from worker.models.sync import PersonaOutcome, SyncState
from worker.store.syncs import Begun

log = logging.getLogger("segment_personas.jobs")


def log_outcome(begun: Begun, outcome: PersonaOutcome) -> None:
    """A persona was created or updated, and recorded."""
    log.info(
        "persona %s: space %s, cluster %s, persona %s, %d credits, sync %s%s",
        *(outcome.action, begun.request.space_id, outcome.cluster, outcome.persona_id, outcome.credits),
        begun.lease.sync_id,
        f" ({outcome.reason})" if outcome.reason else "",
    )


def log_refusal(begun: Begun, cluster: str, error: ApiError) -> None:
    """Mavera refused to create a persona: nothing was charged."""
    log.info(
        "persona refused: space %s, cluster %s, %s, 0 credits, sync %s",
        *(begun.request.space_id, cluster, error.code, begun.lease.sync_id),
    )


async def log_end(context: WorkerContext, sync_id: str, *, only: SyncState | None = None) -> None:
    """A sync has ended. only: says nothing unless it ended in this state."""
    try:
        sync = await context.syncs.get(sync_id)
    except PersonasError:
        return  # without Redis there is nothing to tell
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
