"""All of Redis: the pool, the keys, the Lua scripts with their typed Python faces, and the rate limiter.

No other package speaks Redis. Everything of one sync lives in one Redis (a cluster is not supported: arq is not
either).
"""

from worker.store.limiter import Limiter
from worker.store.personas import Claim, ClaimAnswer, PersonaRecord, PersonaStore, Sent
from worker.store.pool import StorePool, embedded_pool, redis_pool
from worker.store.queue import JobQueue, Ticket
from worker.store.rate_scope import RateScope
from worker.store.syncs import Checkpoint, LeaseGrant, SyncStore
from worker.store.workers import WorkerPresence, WorkerRegistry

__all__ = [
    "Checkpoint",
    "Claim",
    "ClaimAnswer",
    "JobQueue",
    "LeaseGrant",
    "Limiter",
    "PersonaRecord",
    "PersonaStore",
    "RateScope",
    "Sent",
    "StorePool",
    "SyncStore",
    "Ticket",
    "WorkerPresence",
    "WorkerRegistry",
    "embedded_pool",
    "redis_pool",
]
