"""Who is alive: a worker is, for as long as it says so."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.clocks.virtual_time import run_in_virtual_time
from worker.store import StorePool, WorkerRegistry, embedded_pool, keys
from worker.store.connection.pool import closing


def names(workers: list) -> list[str]:
    return sorted(worker.name for worker in workers)


async def test_workers_are_known_by_host_and_process(pool: StorePool) -> None:
    registry = WorkerRegistry(pool, lifetime_s=60)
    assert await registry.living_workers() == []
    await registry.heartbeat("a", 1)
    await registry.heartbeat("a", 2)
    await registry.heartbeat("b:c", 3)
    await registry.heartbeat("a", 1)
    assert names(await registry.living_workers()) == ["a:1", "a:2", "b:c:3"]
    assert names(await registry.living_workers("a")) == ["a:1", "a:2"]
    assert names(await registry.living_workers("b:c")) == ["b:c:3"]
    assert await registry.living_workers("b") == []
    assert all(0 <= worker.seen_s < 60 for worker in await registry.living_workers())


async def test_who_leaves_is_gone_at_once(pool: StorePool) -> None:
    registry = WorkerRegistry(pool, lifetime_s=60)
    await registry.heartbeat("a", 1)
    await registry.heartbeat("a", 2)
    await registry.remove("a", 1)
    await registry.remove("a", 9)
    assert names(await registry.living_workers()) == ["a:2"]
    await registry.remove("a", 2)
    assert await pool.exists(keys.WORKERS) == 0


def test_who_falls_silent_is_gone_after_a_while() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            registry = WorkerRegistry(pool, lifetime_s=15)
            await registry.heartbeat("a", 1)
            await asyncio.sleep(10)
            await registry.heartbeat("a", 2)
            assert [worker.seen_s for worker in await registry.living_workers()] == [10, 0]
            await asyncio.sleep(6)
            assert names(await registry.living_workers()) == ["a:2"]
            assert await pool.zcard(keys.WORKERS) == 2
            await registry.heartbeat("a", 2)
            assert await pool.zcard(keys.WORKERS) == 1

    run_in_virtual_time(body)


async def test_the_sign_of_a_host_is_one_of_its_workers_and_ends_by_itself(pool: StorePool) -> None:
    registry = WorkerRegistry(pool, lifetime_s=60)
    await registry.heartbeat("a", 1)
    assert await pool.get(keys.host("a")) == b"1"
    assert 0 < await pool.pttl(keys.host("a")) <= 60_000


@pytest.mark.parametrize("host", ["", "host", "2001:db8::1"])
async def test_any_host_name_will_do(pool: StorePool, host: str) -> None:
    registry = WorkerRegistry(pool, lifetime_s=60)
    await registry.heartbeat(host, 7)
    assert names(await registry.living_workers(host)) == [f"{host}:7"]
