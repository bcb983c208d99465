"""All of Redis: the pool, the keys, the Lua scripts with their typed Python faces, and the rate limiter.

No other package speaks Redis. Everything of one sync lives in one Redis (a cluster is not supported: arq is not
either).
"""

from worker.store.batch_store import BatchStore
from worker.store.batch_work import BatchGrant, BatchWork, Counted, NewBatch, NextPayloads, StartedBatch
from worker.store.client_sync_store import ClientSyncStore
from worker.store.connection.pool import StorePool, embedded_pool, redis_pool
from worker.store.job_sync_store import JobSyncStore
from worker.store.personas import Claim, ClaimAnswer, PersonaRecord, PersonaStore, Sent
from worker.store.queue import JobPayload, JobQueue
from worker.store.ratelimit.limiter import Limiter
from worker.store.ratelimit.rate_scope import RateScope
from worker.store.sync_progress import Checkpoint, LeaseGrant, Listing, SilentSync, StartedJob, new_token
from worker.store.watchdog_store import WatchdogStore
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
    "Sent",
    "SilentSync",
    "StartedBatch",
    "StartedJob",
    "StorePool",
    "WatchdogStore",
    "WorkerPresence",
    "WorkerRegistry",
    "embedded_pool",
    "new_token",
    "redis_pool",
]
