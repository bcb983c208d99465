"""Outages: Redis or an API is away for a while. No worker ends, nothing is lost, and what was counted is kept.

Redis is away for more than twice `STALL_S`. A minute would show nothing else: waiting for Redis has no end, and no
other time of ours is longer but the retry budget of the APIs, which has tests of its own below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from producer.sandbox import Fault, SpaceSpec
from tests.support.scenarios.scenario import SOON_SETTLED, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.models.sync import SyncState
from worker.store import keys

OUTAGE_S = 2
TIMES = {**SOON_SETTLED, "HEARTBEAT_S": "0.3", "STALL_S": "0.8"}
SPACES = {f"spa_{i}": SpaceSpec(20 * 20, "mixed", seed=i) for i in range(2)}
PAGE_SIZE = 20
"""Of the spaces, which have twenty pages each."""
FAILING = {
    "RETRY_BUDGET_S": "0.5",
    "LEASE_S": "30",
    "STALL_S": "60",
    "MAVERA_TIMEOUT_S": "8",
    "MAVERA_SETTLE_S": "10",
}
"""A short budget, which no slow answer of Mavera uses up. No hand-over and no revival on the way, which would ask for a
page again that it had asked for and not yet counted."""


async def _killed(redis: RedisServer) -> None:
    await asyncio.to_thread(redis.kill)
    await asyncio.to_thread(redis.start)


async def _stopped(redis: RedisServer) -> None:
    await asyncio.to_thread(redis.stop)
    await asyncio.sleep(OUTAGE_S)
    await asyncio.to_thread(redis.start)


async def _hung(redis: RedisServer) -> None:
    redis.pause()
    await asyncio.sleep(OUTAGE_S)
    redis.go_on()


async def _out_of_memory(redis: RedisServer) -> None:
    with redis.client() as client:
        client.config_set("maxmemory", 1)
        await asyncio.sleep(OUTAGE_S)
        client.config_set("maxmemory", 0)


async def _read_only(redis: RedisServer) -> None:
    with redis.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        await asyncio.sleep(OUTAGE_S)
        client.execute_command("REPLICAOF", "NO", "ONE")


async def _loading(redis: RedisServer) -> None:
    # It answers `LOADING` between two thousands of commands; each takes a quarter of a millisecond.
    ballast = [f"ballast:{i}" for i in range(8000)]
    with redis.client() as client:
        pipeline = client.pipeline(transaction=False)
        for key in ballast:
            pipeline.set(key, "")
        pipeline.execute()
        await asyncio.to_thread(redis.stop)
        await asyncio.to_thread(redis.start, "--key-load-delay", "250")
        client.delete(*ballast)


@pytest.mark.parametrize("outage", [_killed, _stopped, _hung, _out_of_memory, _read_only, _loading])
async def test_an_outage_of_redis_costs_nothing_but_time(
    outage: Callable[[RedisServer], Awaitable[None]], redis_server: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(
        redis_server, start_worker, SPACES, page_size=PAGE_SIZE, settings=TIMES, latency_s=0.03
    ) as scenario:
        workers = [scenario.worker(), scenario.worker()]
        syncs = [await scenario.enqueue(space) for space in SPACES]
        await scenario.sandbox.journal.wait_answered("segment.page", 12)
        await outage(redis_server)
        assert not any(sync.state.is_final for sync in await scenario.client.list())
        for sync in syncs:
            await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert [worker.text() for worker in workers if not worker.alive] == []
        assert len(scenario.sandbox.personas) == 8


async def test_pages_that_fail_beyond_the_budget_fail_the_sync_and_keep_counts(
    session_redis: RedisServer, start_worker: Start
) -> None:
    broken = Fault("segment", "status", page=10, status=503)
    async with start_scenario(
        session_redis, start_worker, SPACES, page_size=PAGE_SIZE, settings=FAILING, faults=(broken,)
    ) as scenario:
        scenario.worker()
        sync = await scenario.sync("spa_0")
        assert (sync.state, sync.failed_in, sync.pages) == (SyncState.FAILED, SyncState.FETCHING, 10)
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("segment_unavailable", True)
        assert "page 11: 503" in sync.error.message
        assert "RETRY_BUDGET_S" in sync.error.message
        scenario.sandbox.clear_faults()
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync))
        assert scenario.sandbox.journal.count("segment.page", 200) == 20


async def test_segment_failing_for_less_than_the_budget_costs_nothing_but_time(
    session_redis: RedisServer, start_worker: Start
) -> None:
    broken = Fault("segment", "status", page=10, status=502, times=5, body="html")
    settings = {"RETRY_BASE_S": "0.1"}
    async with start_scenario(
        session_redis, start_worker, SPACES, page_size=PAGE_SIZE, settings=settings, faults=(broken,)
    ) as scenario:
        scenario.worker()
        await scenario.assert_bought_once(await scenario.sync("spa_0"))
        assert scenario.sandbox.journal.count("segment.page", 502) == 5


async def test_mavera_failing_from_the_start_fails_the_sync_before_a_page_is_read(
    session_redis: RedisServer, start_worker: Start
) -> None:
    broken = Fault("mavera", "drop")
    async with start_scenario(
        session_redis, start_worker, SPACES, page_size=PAGE_SIZE, settings=FAILING, faults=(broken,)
    ) as scenario:
        scenario.worker()
        sync = await scenario.sync("spa_0")
        assert sync.error
        assert (sync.state, sync.error.code, sync.error.resumable) == (SyncState.FAILED, "mavera_unavailable", True)
        assert scenario.sandbox.journal.arrived["segment.page"] == 0
        scenario.sandbox.clear_faults()
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync))


async def test_creates_that_fail_beyond_the_budget_fail_the_sync_and_keep_the_rest(
    session_redis: RedisServer, start_worker: Start
) -> None:
    # It lists personas, and answers every POST but the first with 503, which may or may not have made one.
    broken = Fault("mavera", "status", route="create", at=2, times=1000, status=503)
    # The second try, after the settle time, is beyond the budget; a slow answer of the list is not.
    settings = {**FAILING, "MAVERA_TIMEOUT_S": "2", "MAVERA_SETTLE_S": "4", "RETRY_BUDGET_S": "3"}
    async with start_scenario(
        session_redis, start_worker, SPACES, page_size=PAGE_SIZE, settings=settings, faults=(broken,)
    ) as scenario:
        scenario.worker()
        sync = await scenario.sync("spa_0")
        assert (sync.state, sync.failed_in, sync.pages) == (SyncState.FAILED, SyncState.FINALIZING, 20)
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("mavera_unavailable", True)
        assert [outcome.cluster for outcome in sync.outcomes] == ["high_value"]
        scenario.sandbox.clear_faults()
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert scenario.sandbox.journal.count("segment.page") == 20


async def test_updates_that_fail_beyond_the_budget_fail_the_sync_and_keep_the_rest(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, SPACES, page_size=PAGE_SIZE, settings=FAILING) as scenario:
        scenario.worker()
        await scenario.sync("spa_0")
        await scenario.pool.delete(keys.personas(scenario.account))  # what the personas say is not known any more
        scenario.sandbox.add_fault(Fault("mavera", "status", route="update", at=3, times=1000, status=500))
        sync = await scenario.sync("spa_0")
        assert sync.error
        assert (sync.state, sync.error.code, sync.error.resumable) == (SyncState.FAILED, "mavera_unavailable", True)
        assert len(sync.outcomes) == 2
        scenario.sandbox.clear_faults()
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync), credits_charged=0)
        assert len(scenario.sandbox.patches) == 4
