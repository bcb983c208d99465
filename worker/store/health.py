"""How a Redis is set up, as far as it tells: a managed one may forbid `CONFIG`, so everything is read from `INFO`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis.exceptions as redis_errors

from worker.errors import ConfigurationError
from worker.store.pool import StorePool


@dataclass(frozen=True)
class RedisHealth:
    """What `INFO` says; None: it does not say. max_bytes: the limit of its memory, 0 for none."""

    version: str | None
    mode: str | None
    append_only: bool | None
    eviction_policy: str | None
    max_bytes: int | None


async def redis_health(pool: StorePool) -> RedisHealth:
    """Asks Redis. Raises StoreUnavailable if it does not answer, ConfigurationError if it refuses this client."""
    await pool.ping()
    server = await _section(pool, "server")
    persistence = await _section(pool, "persistence")
    memory = await _section(pool, "memory")
    append_only = persistence.get("aof_enabled")
    return RedisHealth(
        version=_text(server.get("redis_version")),
        mode=_text(server.get("redis_mode")),
        append_only=None if append_only is None else append_only == 1,
        eviction_policy=_text(memory.get("maxmemory_policy")),
        max_bytes=memory.get("maxmemory"),
    )


async def _section(pool: StorePool, name: str) -> dict[str, Any]:
    """One section of `INFO`; empty if this user may not ask for it."""
    try:
        found: dict[str, Any] = await pool.info(name)
    except (ConfigurationError, redis_errors.ResponseError):
        return {}
    return found


def _text(value: object) -> str | None:
    return None if value is None else str(value)
