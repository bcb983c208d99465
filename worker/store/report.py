"""The state of Redis that metrics show: its syncs, its workers and its set-up."""

from __future__ import annotations

from dataclasses import dataclass

from worker.store.connection.health import RedisHealth, redis_health
from worker.store.connection.pool import StorePool
from worker.store.syncs.sync_census import SyncCensus, take_census
from worker.store.workers import WorkerRegistry


@dataclass(frozen=True)
class StoreReport:
    """What Redis holds, and how it is set up.

    Attributes:
        census: Of the syncs.
        workers: Number of living workers of the account.
        health: The set-up of Redis.
    """

    census: SyncCensus
    workers: int
    health: RedisHealth


async def read_report(pool: StorePool, registry: WorkerRegistry) -> StoreReport:
    """Reads the report. The errors are those of `take_census`."""
    return StoreReport(await take_census(pool), len(await registry.living_workers()), await redis_health(pool))
