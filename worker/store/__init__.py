"""All of Redis: the pool, the keys, the Lua scripts with their typed Python faces, and the rate limiter.

No other package speaks Redis. Everything of one sync lives in one Redis (a cluster is not supported: arq is not
either).

A name is loaded when it is first used, so that a client does not load what only workers need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.lazy_names import import_on_use

if TYPE_CHECKING:
    from worker.store.connection.pool import StorePool, embedded_pool, redis_pool
    from worker.store.personas.persona_record import Claim, ClaimAnswer, PersonaRecord, SentPersona
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

__getattr__ = import_on_use(
    __name__,
    {
        "connection.pool": "StorePool embedded_pool redis_pool",
        "personas.persona_record": "Claim ClaimAnswer PersonaRecord SentPersona",
        "personas.persona_store": "PersonaStore",
        "progress.batch_work": "BatchGrant BatchWork Counted NewBatch NextPayloads StartedBatch",
        "progress.sync_progress": "Checkpoint JobPayload LeaseGrant Listing SilentSync StartedJob new_token",
        "queue": "JobQueue",
        "ratelimit.limiter": "Limiter",
        "ratelimit.rate_scope": "RateScope",
        "syncs.batch_store": "BatchStore",
        "syncs.client_sync_store": "ClientSyncStore",
        "syncs.job_sync_store": "JobSyncStore",
        "syncs.sync_listing": "SyncPage SyncPlace",
        "syncs.watchdog_store": "WatchdogStore",
        "workers": "WorkerPresence WorkerRegistry",
    },
)
