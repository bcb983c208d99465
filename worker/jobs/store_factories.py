"""The stores and rate limiters of a process, made from its settings.

This is what a client needs too: nothing here loads an HTTP client, a source of profiles or arq.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

from worker.settings import ClientConfig, Settings
from worker.store import (
    ClientSyncStore,
    Limiter,
    PersonaStore,
    RateScope,
    StorePool,
    WorkerRegistry,
    redis_pool,
)
from worker.store.claims.claim_file import ClaimFile, state_folder
from worker.store.claims.written_claims import WrittenClaims
from worker.store.personas.account_name import account_name, former_account_name


def segment_limiter(
    pool: StorePool,
    settings: Settings,
    space_id: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Limiter:
    """The limiter of a space, which every process that asks Segment about it shares. clock, sleep: as of
    `WorkerServices`."""
    scope = RateScope.per_second(f"segment:{space_id}", settings.segment_rate)
    return Limiter(pool, scope, longest_pause_s=settings.retry_after_max_s, clock=clock, sleep=sleep)


def mavera_limiter(
    pool: StorePool,
    settings: Settings,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Limiter:
    """The limiter of the account, which everybody who asks Mavera shares. clock, sleep: as of `WorkerServices`."""
    scope = RateScope.per_minute(f"mavera:{_mavera_account(settings)}", settings.mavera_rate, settings.mavera_gap_s)
    return Limiter(pool, scope, longest_pause_s=settings.retry_after_max_s, clock=clock, sleep=sleep)


def persona_store(pool: StorePool, settings: Settings, claims: ClaimFile | None = None) -> PersonaStore:
    """The records and claims of the account. claims: as of `WorkerServices`."""
    if claims is None:
        return recorded_personas(pool, settings)
    return WrittenClaims(pool, _mavera_account(settings), claims, settings.mavera_settle_s)


def recorded_personas(pool: StorePool, settings: ClientConfig) -> PersonaStore:
    """The records and claims of the account that are in Redis."""
    former = former_account_name(settings.mavera_base_url, _mavera_key(settings))
    return PersonaStore(pool, _mavera_account(settings), former)


def claim_file(settings: Settings) -> ClaimFile:
    """The account's claim file in the user's state directory. Raises StateUnusable if it cannot be used."""
    return ClaimFile(state_folder(), _mavera_account(settings))


def store_pool(settings: Settings, *, max_wait_s: float = math.inf) -> StorePool:
    """A client for the Redis of the settings; max_wait_s: as of `redis_pool`.

    Raises ConfigurationError if REDIS_URL is not set.
    """
    settings.require("redis_url")
    assert settings.redis_url
    return redis_pool(settings.redis_url.get_secret_value(), max_wait_s=max_wait_s, prefix=settings.redis_prefix)


def mavera_account(settings: ClientConfig) -> str:
    """The account's name in Redis; empty without a key: then it is not known which account is meant."""
    return _mavera_account(settings) if settings.mavera_api_key else ""


def _mavera_account(settings: ClientConfig) -> str:
    """The account's name in Redis; without a key that of live keys."""
    return account_name(settings.mavera_base_url, _mavera_key(settings))


def _mavera_key(settings: ClientConfig) -> str:
    return settings.mavera_api_key.get_secret_value() if settings.mavera_api_key else ""


def client_sync_store(pool: StorePool, settings: ClientConfig) -> ClientSyncStore:
    """The syncs for a client."""
    return ClientSyncStore(
        pool, stall_ms=stall_ms(settings), retention_ms=settings.retention_ms, account=mavera_account(settings)
    )


def stall_ms(settings: ClientConfig) -> int:
    """Milliseconds without a heartbeat after which a job counts as lost."""
    return int(settings.stall_s * 1000)


def worker_registry(pool: StorePool, settings: ClientConfig) -> WorkerRegistry:
    """The living workers of the account, without a key all; three missed heartbeats are one too many."""
    return WorkerRegistry(pool, lifetime_s=3 * settings.heartbeat_s, account=mavera_account(settings))
