"""Checks whether a Redis can be used. Workers check it before they take jobs, and so does `doctor`.

A script runs every command that the scripts need on temporary keys, and reads a key of each kind. So a missing right, a
cluster and a replica are found before a sync depends on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_hex

from worker.errors import StoreUnusable
from worker.store import keys
from worker.store.connection.errors import cluster_error, foreign_key_error, replica_error, sentinel_error
from worker.store.connection.health import RedisHealth, redis_health
from worker.store.connection.pool import StorePool
from worker.store.scripts import connection as connection_scripts
from worker.store.scripts.connection import DeniedCommand

RIGHTS = 'Grant them: docs/deployment.md, "What Redis needs", lists the rights.'

_TYPES = {
    keys.DUE: b"zset",
    keys.SYNCS: b"zset",
    keys.WORKERS: b"zset",
    keys.RUN: b"hash",
}
"""The keys with fixed names that are not repaired. Workers repair queue, wake list, lock and clock."""


async def check_store(pool: StorePool) -> RedisHealth:
    """Checks whether a Redis can be used, and leaves nothing in it.

    Returns:
        Its set-up.

    Raises:
        StoreUnusable: It cannot be used; a sentence says why.
        StoreUnavailable: It does not answer.
    """
    health = await redis_health(pool)
    if health.mode == "cluster":
        raise cluster_error()
    if health.mode == "sentinel":
        raise sentinel_error()
    if health.role in {"slave", "replica"}:
        raise replica_error()
    await _try_commands(pool)
    for key, kind in _TYPES.items():
        found = await pool.type(key)
        if found not in (kind, b"none"):
            raise foreign_key_error(f"{pool.prefix}{key} holds a {found.decode()}, not a {kind.decode()}")
    return health


async def _try_commands(pool: StorePool) -> None:
    """Raises StoreUnusable that names the commands or keys which this user may not use."""
    name = f"probe-{token_hex(8)}"
    own = {kind: f"{keys.sync(name)}:{kind}" for kind in ("hash", "zset", "list", "string")}
    kinds = [
        *(keys.sync(name), keys.outcomes(name), keys.active(name), keys.history(name), keys.request(name)),
        *(keys.limit(name), keys.limit_log(name), keys.personas(name), keys.claim(name, name), keys.host(name)),
        *(keys.queue(name), keys.wake(name), keys.workers(name)),
        *(f"{fixed}:{name}" for fixed in (keys.DUE, keys.SYNCS, keys.RUN, keys.WATCH, keys.CLOCK)),
        *(f"arq:{kind}:{name}" for kind in ("job", "in-progress", "retry")),
    ]
    try:
        found = await connection_scripts.probe(
            pool,
            hash=keys.HashKey(own["hash"]),
            sorted_set=keys.SortedSetKey(own["zset"]),
            list=keys.ListKey(own["list"]),
            text=keys.StringKey(own["string"]),
            kinds=tuple(map(keys.StringKey, kinds)),
        )
    except StoreUnusable as error:
        denied = [key for key in kinds if "key" in str(error) and not await _may_read(pool, key)]
        if not denied:
            raise
        raise StoreUnusable(_describe_keys(pool.prefix, name, denied), hint=RIGHTS) from None
    if found.denied:
        raise StoreUnusable(_describe(name, found.denied), hint=RIGHTS)
    async with pool.pipeline(transaction=True) as pipe:
        pipe.hgetall(keys.sync(name))
        pipe.time()
        await pipe.execute()
    await pool.execute_command("BLPOP", keys.wake(name), 0.01)


def _describe(name: str, rows: Sequence[DeniedCommand]) -> str:
    about_keys = [row for row in rows if "key" in row.error.replace(row.key, "")]
    denied = [row.key for row in about_keys]
    commands = [row.command for row in rows if row not in about_keys]
    if commands:
        return f"The user of REDIS_URL may not run {', '.join(dict.fromkeys(commands))} in scripts"
    return _describe_keys("", name, denied)


def _describe_keys(prefix: str, name: str, denied: list[str]) -> str:
    patterns = dict.fromkeys(f"{prefix}{key.partition(name)[0]}*" for key in denied)
    return f"The user of REDIS_URL may not use the keys {', '.join(patterns)}"


async def _may_read(pool: StorePool, key: str) -> bool:
    try:
        await pool.type(key)
    except StoreUnusable:
        return False
    return True
