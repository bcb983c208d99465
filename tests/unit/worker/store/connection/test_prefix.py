"""REDIS_PREFIX: it begins every key that leaves the process, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.servers.redis_server import RedisServer
from tests.support.syncs.syncs import Syncs
from worker.models.sync import SyncState
from worker.store import StorePool, redis_pool
from worker.store.connection.prefix import add_prefix
from worker.store.probe import check_store


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("GET", "a"), ("GET", "p:a")),
        (("get", b"a"), ("get", b"p:a")),
        (("ZADD", "a", 1, "a"), ("ZADD", "p:a", 1, "a")),
        (("DEL", "a", b"b"), ("DEL", "p:a", b"p:b")),
        (("BLPOP", "a", "b", 1), ("BLPOP", "p:a", "p:b", 1)),
        (("EVALSHA", "sha", 2, "a", "b", "c"), ("EVALSHA", "sha", 2, "p:a", "p:b", "c")),
        (("EVAL", "text", 0, "c"), ("EVAL", "text", 0, "c")),
        (("INFO", "server"), ("INFO", "server")),
        (("PING",), ("PING",)),
    ],
)
def test_the_prefix_begins_each_key_and_nothing_else(command: tuple[object, ...], expected: tuple[object, ...]) -> None:
    assert add_prefix("p:", command) == expected
    assert add_prefix("", command) == command


@pytest.fixture
async def prefixed_pool(session_redis: RedisServer) -> AsyncIterator[StorePool]:
    pool = redis_pool(session_redis.url, max_wait_s=5, prefix="staging:")
    await pool.flushall()
    yield pool
    await pool.aclose()


@pytest.mark.parametrize("state", list(SyncState))
async def test_a_sync_in_any_state_has_no_key_without_the_prefix(prefixed_pool: StorePool, state: SyncState) -> None:
    await check_store(prefixed_pool)
    syncs = Syncs(prefixed_pool)
    await syncs.bring(state)
    assert (await syncs.get()).state is state
    await syncs.create("another", idempotency_key="mine")
    [taken] = (await syncs.queue.take_jobs(5, 60)).jobs[-1:]
    await syncs.queue.give_back_job(taken)
    await syncs.watchdog.lock_watch(0.5)
    await syncs.watchdog.due()
    names = [key async for key in prefixed_pool.scan_iter(count=1000)]
    assert names
    assert [key for key in names if not key.startswith((b"staging:sp:", b"staging:arq:"))] == []
