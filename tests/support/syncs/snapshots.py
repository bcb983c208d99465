"""Snapshots of syncs as the store would give them, made without a store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from producer.sandbox import SpaceSpec, profiles
from worker.clusters import Aggregate, fold
from worker.models.outcome import PersonaOutcome
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState

START = 1_700_000_000.0

OUTCOMES = (
    PersonaOutcome("high_value", "per_hv", "created", 300),
    PersonaOutcome("growth", "per_gr", "created", 300),
    PersonaOutcome("at_risk", "per_ar", "updated", 0),
)


def counted(spec: SpaceSpec) -> bytes:
    """The statistics of a whole space, encoded."""
    aggregate = Aggregate()
    fold(aggregate, list(profiles(spec)))
    return aggregate.to_bytes()


def queued(**changes: Any) -> Sync:
    """A sync of `spa_1` that no worker has begun."""
    sync = Sync(
        id="syn_1",
        request=SyncRequest(space_id="spa_1"),
        state=SyncState.QUEUED,
        epoch=1,
        pages=0,
        profiles=0,
        complete=False,
        revivals=0,
        created_at=START,
        started_at=None,
        fetched_at=None,
        finished_at=None,
        failed_in=None,
        error=None,
        note="",
        aggregate=b"",
        outcomes=(),
        credits=0,
    )
    return replace(sync, **changes)


def fetching(**changes: Any) -> Sync:
    """The same, with the recipe's sixty profiles counted."""
    sync = queued(
        state=SyncState.FETCHING,
        started_at=START + 0.5,
        pages=1,
        profiles=60,
        aggregate=counted(SpaceSpec(60, "recipe")),
    )
    return replace(sync, **changes)


def finalizing(**changes: Any) -> Sync:
    """The same, read to its end."""
    sync = fetching(state=SyncState.FINALIZING, fetched_at=START + 2.5, complete=True)
    return replace(sync, **changes)


def completed(**changes: Any) -> Sync:
    """The same, with its personas."""
    sync = finalizing(state=SyncState.COMPLETED, finished_at=START + 3.75, outcomes=OUTCOMES, credits=600)
    return replace(sync, **changes)
