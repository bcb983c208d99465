"""All of Redis: the pool, the keys, the Lua scripts with their typed Python faces, and the rate limiter.

No other package speaks Redis. Everything of one sync lives in one Redis (a cluster is not supported: arq is not
either).
"""

from worker.store.batches import BatchGrant, BatchStore, BatchWork, BegunBatch, Counted, NewBatch, NextPayloads
from worker.store.connection.pool import StorePool, embedded_pool, redis_pool
from worker.store.personas import Claim, ClaimAnswer, PersonaRecord, PersonaStore, Sent
from worker.store.queue import JobPayload, JobQueue
from worker.store.ratelimit.limiter import Limiter
from worker.store.ratelimit.rate_scope import RateScope
from worker.store.syncs import Checkpoint, LeaseGrant, Listing, SilentSync, SyncStore
from worker.store.workers import WorkerPresence, WorkerRegistry

__all__ = [
    "BatchGrant",
    "BatchStore",
    "BatchWork",
    "BegunBatch",
    "Checkpoint",
    "Claim",
    "ClaimAnswer",
    "Counted",
    "JobPayload",
    "JobQueue",
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
    "StorePool",
    "SyncStore",
    "WorkerPresence",
    "WorkerRegistry",
    "embedded_pool",
    "redis_pool",
]
