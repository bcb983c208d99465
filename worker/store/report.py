"""The state of Redis that metrics show: its syncs, its workers and its set-up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from worker.models.sync import SyncState
from worker.store import keys
from worker.store.connection.health import RedisHealth, redis_health
from worker.store.connection.pool import StorePool
from worker.store.workers import WorkerRegistry


@dataclass(frozen=True)
class StoreReport:
    """The content of Redis, and its configuration.

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


MAX_SYNCS = 1000
"""Syncs that are counted: the newest, and of those that run as many again, those that are due first."""

MAX_SPACES = 200
"""Pairs of space and rules whose last complete sync is shown: those of the newest syncs."""


@dataclass(frozen=True)
class SyncCensus:
    """The counts of syncs.

    Attributes:
        by_state: Number of syncs in each state, all states named.
        oldest_waiting_s: Seconds since the oldest sync was asked for that no worker has begun; 0 if none waits.
        last_complete: Space to the time at which the reading of its last complete sync ended, in Unix seconds.
    """

    by_state: Mapping[SyncState, int]
    oldest_waiting_s: float
    last_complete: Mapping[str, float]


async def take_census(pool: StorePool) -> SyncCensus:
    """Counts syncs with three requests to Redis.

    Args:
        pool: Client of Redis.

    Raises:
        StoreUnavailable: Redis does not answer.
        StoreUnusable: Redis refuses this client, or a key has another type.
    """
    async with pool.pipeline(transaction=False) as pipe:
        pipe.zrevrangebyscore(keys.SYNCS, "+inf", "-inf", start=0, num=MAX_SYNCS)
        pipe.zrangebyscore(keys.DUE, "-inf", "+inf", start=0, num=MAX_SYNCS)
        pipe.time()
        newest, due, (seconds, _) = await pipe.execute()
    # An entry of a batch is the id of its sync, a blank and a number.
    ids = [one.decode(errors="replace") for one in dict.fromkeys([*newest, *(one for one in due if b" " not in one)])]
    async with pool.pipeline(transaction=False) as pipe:
        for sync_id in ids:
            pipe.hmget(keys.sync(sync_id), ["state", "created_at", "identity"])
        rows = await pipe.execute() if ids else []
    states: Counter[SyncState] = Counter()
    oldest_waiting_s = 0.0
    identities: dict[str, str] = {}
    for sync_id, (state_text, created_ms, identity) in zip(ids, rows, strict=True):
        try:
            state = SyncState((state_text or b"").decode())
            age_s = int(seconds) - int(created_ms) / 1000
        except (ValueError, TypeError):
            continue  # it has expired, or is not a sync of this version
        states[state] += 1
        if state is SyncState.QUEUED:
            oldest_waiting_s = max(oldest_waiting_s, age_s)
        if identity and len(identities) < MAX_SPACES:
            identities.setdefault(identity.decode(errors="replace"), sync_id)
    return SyncCensus(
        {state: states[state] for state in SyncState}, oldest_waiting_s, await _last_complete(pool, identities)
    )


async def _last_complete(pool: StorePool, identities: Mapping[str, str]) -> dict[str, float]:
    """Returns the newest entry of each history, by space.

    Args:
        pool: Client of Redis.
        identities: Each with the id of one of its syncs.
    """
    if not identities:
        return {}
    async with pool.pipeline(transaction=False) as pipe:
        for identity, sync_id in identities.items():
            pipe.lindex(keys.history(identity), 0)
            pipe.hget(keys.sync(sync_id), "request")
        found = await pipe.execute()
    latest: dict[str, float] = {}
    for space_id, read_to in _entries(found[::2], found[1::2]):
        latest[space_id] = max(read_to, latest.get(space_id, 0.0))
    return latest


def _entries(snapshots: Sequence[bytes | None], requests: Sequence[bytes | None]) -> Iterable[tuple[str, float]]:
    for snapshot, request in zip(snapshots, requests, strict=True):
        if snapshot is None or request is None:
            continue
        try:
            yield str(orjson.loads(request)["space_id"]), float(orjson.loads(snapshot)["read_to"])
        except (ValueError, TypeError, KeyError):
            continue  # of another version
