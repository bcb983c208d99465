"""All of Redis: the pool, the keys, the Lua scripts with their typed Python faces, and the rate limiter.

No other package speaks Redis. Everything of one sync lives in one Redis (a cluster is not supported: arq is not
either).

A name is loaded when it is first used, so that a client does not load what only workers need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.store.connection.pool import StorePool, embedded_pool, redis_pool
    from worker.store.personas.persona_record import Claim, ClaimAnswer, PersonaRecord, SentPersona
    from worker.store.personas.persona_records import PersonaRecords
    from worker.store.personas.persona_store import PersonaStore
    from worker.store.progress.batch_work import BatchGrant, BatchWork, Counted, NewBatch, NextPayloads, StartedBatch
    from worker.store.progress.sync_progress import (
        Checkpoint,
        JobPayload,
        LeaseGrant,
        Listing,
        SilentSync,
        StartedJob,
        new_token,
    )
    from worker.store.queue import JobQueue
    from worker.store.ratelimit.limiter import Limiter
    from worker.store.ratelimit.rate_scope import RateScope
    from worker.store.syncs.batch_store import BatchStore
    from worker.store.syncs.client_sync_store import ClientSyncStore
    from worker.store.syncs.job_sync_store import JobSyncStore
    from worker.store.syncs.sync_listing import SyncPage, SyncPlace
    from worker.store.syncs.watchdog_store import WatchdogStore
    from worker.store.workers import WorkerPresence, WorkerRegistry

_HOMES = {
    "BatchGrant": "progress.batch_work",
    "BatchStore": "syncs.batch_store",
    "BatchWork": "progress.batch_work",
    "Checkpoint": "progress.sync_progress",
    "Claim": "personas.persona_record",
    "ClaimAnswer": "personas.persona_record",
    "ClientSyncStore": "syncs.client_sync_store",
    "Counted": "progress.batch_work",
    "JobPayload": "progress.job_payload",
    "JobQueue": "queue",
    "JobSyncStore": "syncs.job_sync_store",
    "LeaseGrant": "progress.sync_progress",
    "Limiter": "ratelimit.limiter",
    "Listing": "progress.sync_progress",
    "NewBatch": "progress.batch_work",
    "NextPayloads": "progress.batch_work",
    "PersonaRecord": "personas.persona_record",
    "PersonaRecords": "personas.persona_records",
    "PersonaStore": "personas.persona_store",
    "RateScope": "ratelimit.rate_scope",
    "SentPersona": "personas.persona_record",
    "SilentSync": "progress.sync_progress",
    "StartedBatch": "progress.batch_work",
    "StartedJob": "progress.sync_progress",
    "StorePool": "connection.pool",
    "SyncPage": "syncs.sync_listing",
    "SyncPlace": "syncs.sync_listing",
    "WatchdogStore": "syncs.watchdog_store",
    "WorkerPresence": "workers",
    "WorkerRegistry": "workers",
    "embedded_pool": "connection.pool",
    "new_token": "progress.sync_progress",
    "redis_pool": "connection.pool",
}
"""Name → module in this package."""

__all__ = [
    "BatchGrant",
    "BatchStore",
    "BatchWork",
    "Checkpoint",
    "Claim",
    "ClaimAnswer",
    "ClientSyncStore",
    "Counted",
    "JobPayload",
    "JobQueue",
    "JobSyncStore",
    "LeaseGrant",
    "Limiter",
    "Listing",
    "NewBatch",
    "NextPayloads",
    "PersonaRecord",
    "PersonaRecords",
    "PersonaStore",
    "RateScope",
    "SentPersona",
    "SilentSync",
    "StartedBatch",
    "StartedJob",
    "StorePool",
    "SyncPage",
    "SyncPlace",
    "WatchdogStore",
    "WorkerPresence",
    "WorkerRegistry",
    "embedded_pool",
    "new_token",
    "redis_pool",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
