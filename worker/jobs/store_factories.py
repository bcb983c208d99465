"""The stores of a process, made from its settings.

This is what a client needs too: nothing here loads an HTTP client, a source of profiles or arq.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from worker.settings import ClientConfig, Settings
from worker.store import ClientSyncStore, PersonaStore, StorePool, WorkerRegistry, redis_pool
from worker.store.personas.account_name import account_name, former_account_name


def persona_store(pool: StorePool, settings: ClientConfig) -> PersonaStore:
    """Makes the store of the account's records and claims."""
    if (named := settings.named_account) is not None:
        return PersonaStore(pool, named.name, inherits=named.inherits, owns=named.owns)
    former = former_account_name(settings.mavera_base_url, _mavera_key(settings))
    return PersonaStore(pool, known_account(settings), former)


def store_pool(settings: Settings, *, max_wait_s: float = math.inf) -> StorePool:
    """Makes a client of the Redis of the settings.

    Args:
        settings: Of the process.
        max_wait_s: Seconds for which a command is repeated while Redis is away.

    Raises:
        ConfigurationError: `REDIS_URL` is not set, or is malformed.
    """
    settings.require("redis_url")
    assert settings.redis_url
    return redis_pool(settings.redis_url.get_secret_value(), max_wait_s=max_wait_s, prefix=settings.redis_prefix)


def mavera_account(settings: ClientConfig) -> str:
    """Returns the account's name in Redis; empty without an API key, because the account is then not known."""
    return known_account(settings) if settings.mavera_api_key or settings.named_account else ""


def known_account(settings: ClientConfig) -> str:
    """Returns the account's name in Redis; without an API key, that of a live key."""
    if settings.named_account is not None:
        return settings.named_account.name
    return account_name(settings.mavera_base_url, _mavera_key(settings))


def _mavera_key(settings: ClientConfig) -> str:
    return settings.mavera_api_key.get_secret_value() if settings.mavera_api_key else ""


def client_sync_store(
    pool: StorePool, settings: ClientConfig, account_of: Callable[[str], str] | None = None
) -> ClientSyncStore:
    """Makes the store of syncs for a client; `account_of` is that of `ClientSyncStore`."""
    return ClientSyncStore(
        pool,
        stall_ms=stall_ms(settings),
        retention_ms=settings.retention_ms,
        account=mavera_account(settings),
        account_of=account_of,
    )


def stall_ms(settings: ClientConfig) -> int:
    """Returns the milliseconds without a heartbeat after which a job counts as lost."""
    return int(settings.stall_s * 1000)


def worker_registry(
    pool: StorePool, settings: ClientConfig, accounts: Callable[[], Sequence[str]] | None = None
) -> WorkerRegistry:
    """Makes the registry of the account's workers, or of all without an API key. A worker may miss two heartbeats.

    Args:
        pool: Client of Redis.
        settings: Of the process.
        accounts: Returns its accounts, if it serves several.
    """
    account = mavera_account(settings)
    return WorkerRegistry(pool, lifetime_s=3 * settings.heartbeat_s, account=account, accounts=accounts)
