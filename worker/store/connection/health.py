"""Reads the configuration of a Redis, and judges it for syncs.

Everything is read from `INFO`, because a managed Redis may forbid `CONFIG`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from worker.store.connection.pool import StorePool


@dataclass(frozen=True)
class RedisHealth:
    """The set-up of a Redis. A field is None if `INFO` does not show it.

    Attributes:
        version: Version of the server, not of the Redis that it is compatible with.
        mode: `standalone`, `cluster` or `sentinel`.
        append_only: Whether the append-only file is on.
        eviction_policy: The `maxmemory-policy`.
        max_bytes: Limit of its memory in bytes; 0 if there is none.
        name: `Redis`, `Valkey` or `Dragonfly`.
        role: `master` or `slave`.
        has_run_id: Whether it has a run id, by which a restart is detected.
    """

    version: str | None
    mode: str | None
    append_only: bool | None
    eviction_policy: str | None
    max_bytes: int | None
    name: str = "Redis"
    role: str | None = None
    has_run_id: bool = True

    @property
    def server(self) -> str:
        """Name and version of the server."""
        return f"{self.name} {self.version or ''}".rstrip()


@dataclass(frozen=True)
class HealthRemark:
    """A remark on one part of the set-up.

    Attributes:
        verdict: `fail` if syncs will be lost, `warn` if they may be lost.
        found: What was found.
        advice: What to do; empty if nothing needs to be done.
        code: The part: `persistence`, `eviction` or `run_id`.
    """

    verdict: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""
    code: str = field(kw_only=True)


async def redis_health(pool: StorePool) -> RedisHealth:
    """Reads the set-up of a Redis.

    Raises:
        StoreUnavailable: It does not answer.
        StoreUnusable: It refuses this client.
    """
    await pool.ping()
    server = await pool.server_info("server")
    persistence = await pool.server_info("persistence")
    memory = await pool.server_info("memory")
    replication = await pool.server_info("replication")
    cluster = await pool.server_info("cluster")
    append_only = persistence.get("aof_enabled")
    name, version = "Redis", server.get("redis_version")
    for other, version_field in (("Valkey", "valkey_version"), ("Dragonfly", "dragonfly_version")):
        if version_field in server:
            name, version = other, server[version_field]
    mode = server.get("redis_mode", server.get("server_mode"))
    if cluster.get("cluster_enabled") == 1:
        mode = "cluster"
    return RedisHealth(
        version=_text(version),
        mode=_text(mode),
        append_only=None if append_only is None else append_only == 1,
        eviction_policy=_text(memory.get("maxmemory_policy")),
        max_bytes=memory.get("maxmemory"),
        name=name,
        role=_text(replication.get("role")),
        has_run_id="run_id" in server,
    )


def review_health(health: RedisHealth) -> list[HealthRemark]:
    """Returns one remark for each part of the set-up of a usable Redis."""
    found = [_of_append_only(health), _of_eviction(health)]
    if not health.has_run_id:
        why = "INFO is not allowed or names no run id"
        text = f"{why}: each worker waits until it has watched Redis for MAVERA_SETTLE_S before it buys"
        found.append(HealthRemark("warn", text, "Allow INFO, if the provider lets you.", code="run_id"))
    return found


def _of_append_only(health: RedisHealth) -> HealthRemark:
    if health.append_only:
        return HealthRemark("ok", "its append-only file is on", code="persistence")
    found = (
        "it is not known whether its append-only file is on (INFO is restricted)"
        if health.append_only is None
        else "its append-only file is off: a restart loses syncs, and which persona belongs to which cluster"
    )
    return HealthRemark(
        "warn", found, "Set `appendonly yes`, or what your provider calls persistence.", code="persistence"
    )


def _of_eviction(health: RedisHealth) -> HealthRemark:
    policy = health.eviction_policy
    if policy == "noeviction":
        return HealthRemark("ok", "it evicts nothing (noeviction)", code="eviction")
    if policy is None:
        text = "its maxmemory-policy is not known (INFO is restricted)"
        return HealthRemark("warn", text, "Use `noeviction`.", code="eviction")
    found = f"its maxmemory-policy is {policy}: when memory is full, it deletes syncs"
    return HealthRemark(
        "fail" if health.max_bytes else "warn", found, "Set `maxmemory-policy noeviction`.", code="eviction"
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
