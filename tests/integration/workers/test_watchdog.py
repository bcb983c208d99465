"""A sync whose job is lost continues, or fails with a reason; a sync that only waits is not changed."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time

import aiohttp

from producer.sandbox import Fault, SpaceSpec
from tests.support.scenarios.checks import assert_exact, until
from tests.support.scenarios.scenario import Scenario, Start, client_settings, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.jobs.composition.background import build_watchdog
from worker.jobs.services import WorkerServices
from worker.models.sync import Sync, SyncState
from worker.settings import load_settings
from worker.store import keys, redis_pool

#: Jobs count as lost after a second of silence.
IMPATIENT = {"HEARTBEAT_S": "0.3", "STALL_S": "1"}
LONG = {"spa": SpaceSpec(400, "mixed", seed=11)}
PAGE_SIZE = 20
"""Of that space, which has twenty pages."""


async def _dropped(scenario: Scenario, job: bytes) -> None:
    await scenario.pool.zrem(scenario.queue, job)


async def _expired(scenario: Scenario, job: bytes) -> None:
    await scenario.pool.delete(b"arq:job:" + job)


async def _another_type(scenario: Scenario, job: bytes) -> None:
    await scenario.pool.delete(b"arq:job:" + job)
    await scenario.pool.lpush(b"arq:job:" + job, b"what?")


async def _tried_too_often(scenario: Scenario, job: bytes) -> None:
    await scenario.pool.set(b"arq:retry:" + job, 2_000_000_000)


async def _taken_and_never_begun(scenario: Scenario, job: bytes) -> None:
    await scenario.pool.set(b"arq:in-progress:" + job, b"1", ex=3600)


async def test_syncs_whose_next_job_is_lost_continue_however_it_was_lost(
    session_redis: RedisServer, start_worker: Start
) -> None:
    ways = [_dropped, _expired, _another_type, _tried_too_often, _taken_and_never_begun]
    spaces = {f"spa_{i}": SpaceSpec(200, "mixed", seed=i) for i in range(len(ways))}
    async with start_scenario(
        session_redis, start_worker, spaces, page_size=PAGE_SIZE, settings=IMPATIENT, latency_s=0.1
    ) as scenario:
        first = scenario.worker()
        syncs = [await scenario.enqueue(space) for space in spaces]
        await scenario.sandbox.journal.wait_answered("segment.page", 2 * len(syncs))
        assert first.terminate() == 0, first.text()
        jobs = sorted(await scenario.pool.zrange(scenario.queue, 0, -1))
        assert len(jobs) == len(ways)
        for lose, job in zip(ways, jobs, strict=True):
            await lose(scenario, job)
        scenario.worker()
        for sync in syncs:
            await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()


async def test_a_sync_whose_jobs_all_time_out_continues_from_each_of_them(
    session_redis: RedisServer, start_worker: Start
) -> None:
    settings = {**IMPATIENT, "LEASE_S": "30"}
    async with start_scenario(
        session_redis, start_worker, LONG, page_size=PAGE_SIZE, settings=settings, latency_s=0.1
    ) as scenario:
        scenario.worker(command=(sys.executable, "-m", "tests.support.processes.timed_out_worker", "0.5"))
        sync = await scenario.sync()
        await scenario.assert_bought_once(sync)
        assert sync.epoch > 4


async def test_a_killed_worker_is_replaced_within_5_s_after_the_stall_time(
    session_redis: RedisServer, start_worker: Start
) -> None:
    """By default within 20 s: the stall time is 15 s then."""
    defaults = load_settings()
    assert (defaults.heartbeat_s, defaults.stall_s, defaults.lease_s) == (5, 15, 20)
    scaled = {"HEARTBEAT_S": "0.5", "STALL_S": "1.5", "LEASE_S": "20"}
    async with start_scenario(
        session_redis, start_worker, LONG, page_size=PAGE_SIZE, settings=scaled, latency_s=0.05
    ) as scenario:
        first = scenario.worker()
        sync = await scenario.enqueue()
        await scenario.sandbox.journal.wait_answered("segment.page", 5)
        second = scenario.worker()
        first.kill()
        killed_at, arrived = time.monotonic(), scenario.sandbox.journal.arrived["segment.page"]
        waited_s = second.processor_wait_s()
        await scenario.sandbox.journal.wait_arrived("segment.page", arrived + 1)
        # The time in which it waits for a processor, because the machine is busy, does not count.
        assert time.monotonic() - killed_at - (second.processor_wait_s() - waited_s) <= 1.5 + 5
        await scenario.assert_bought_once(await scenario.ended(sync))


async def test_fifty_watchdogs_make_one_revival_and_one_job(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker) as scenario, aiohttp.ClientSession() as session:
        sync = await scenario.enqueue()
        await scenario.pool.delete(keys.QUEUE)
        await scenario.pool.zadd(keys.DUE, {sync.id: 0})
        settings = client_settings(scenario.environment())
        pools = [redis_pool(session_redis.url) for _ in range(50)]
        try:
            await asyncio.gather(*(pool.ping() for pool in pools))
            watchdogs = [build_watchdog(WorkerServices(settings, pool, session)) for pool in pools]
            await asyncio.gather(*(watchdog.check_due() for watchdog in watchdogs))
        finally:
            await asyncio.gather(*(pool.aclose() for pool in pools))
        sync = await scenario.client.get(sync.id)
        assert (sync.state, sync.epoch, sync.revivals) == (SyncState.QUEUED, 2, 1)
        assert await scenario.pool.zrange(keys.QUEUE, 0, -1) == [f"{sync.id}:walk:2".encode()]
        assert len(await scenario.pool.keys("arq:job:*")) == 1
        scenario.worker()
        await scenario.assert_bought_once(await scenario.ended(sync))


async def test_a_wait_that_an_api_ordered_is_not_counted_as_a_lost_job(
    session_redis: RedisServer, start_worker: Start
) -> None:
    fault = Fault("segment", "status", page=10, times=1, status=429, retry_after="6")
    settings = {"LEASE_S": "30", "STALL_S": "4"}
    async with start_scenario(
        session_redis, start_worker, LONG, page_size=PAGE_SIZE, settings=settings, faults=(fault,)
    ) as scenario:
        workers = [scenario.worker(), scenario.worker()]
        sync = await scenario.sync()
        await scenario.assert_bought_once(sync)
        times = scenario.sandbox.journal.times("segment.page")
        assert max(later - earlier for earlier, later in itertools.pairwise(times)) > 5.5
        # A walk that waited, the walk after it, the finalizer, the end: no job was revived.
        assert sync.epoch == 4
        assert [worker.text() for worker in workers if "silent in" in worker.text()] == []


async def test_a_page_that_always_kills_its_worker_fails_the_sync_resumable(
    session_redis: RedisServer, start_worker: Start
) -> None:
    settings = {"STALL_S": "3", "MAX_REVIVALS": "2"}  # no job counts as lost before its worker dies
    async with start_scenario(session_redis, start_worker, LONG, page_size=PAGE_SIZE, settings=settings) as scenario:
        sync = await scenario.enqueue()
        killed = 0
        dying = [scenario.worker("after_fetch:1:kill", ready=False) for _ in range(2)]
        while not (sync := await scenario.client.get(sync.id)).state.is_final:
            for i, worker in enumerate(dying):
                if not worker.alive:
                    killed += 1
                    dying[i] = scenario.worker("after_fetch:1:kill", ready=False)
            await asyncio.sleep(0.05)
        assert sync.error
        assert (sync.state, sync.error.code, sync.error.resumable) == (SyncState.FAILED, "worker_lost", True)
        assert killed + sum(not worker.alive for worker in dying) >= 3
        assert scenario.sandbox.journal.count("segment.page") == 3
        assert "3 times in a row" in sync.error.message
        for worker in dying:
            worker.kill()
        scenario.worker()
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync))


async def test_a_sync_that_waits_for_a_free_slot_is_left_alone(session_redis: RedisServer, start_worker: Start) -> None:
    spaces = {"spa": SpaceSpec(60, "recipe"), "spa_busy": SpaceSpec(60, "recipe")}
    settings = {"WORKER_SLOTS": "1"}
    hold = Fault("segment", "hold", space="spa_busy")
    async with start_scenario(session_redis, start_worker, spaces, settings=settings, faults=(hold,)) as scenario:
        worker = scenario.worker()
        busy = await scenario.enqueue("spa_busy")
        await scenario.sandbox.journal.wait_arrived("segment.page")
        waiting = await scenario.enqueue("spa")
        # Looked at when its time had come, and left for another time, twice.
        for _ in range(2):
            due = await scenario.pool.zscore(keys.DUE, waiting.id)
            await until(lambda due=due: _moved(scenario, waiting, due))  # type: ignore[misc]
        scenario.sandbox.clear_faults()
        for sync in (await scenario.ended(busy), await scenario.ended(waiting)):
            await scenario.assert_bought_once(sync)
        assert "silent in" not in worker.text()


async def test_a_sync_without_any_worker_waits_as_long_as_it_takes(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario, aiohttp.ClientSession() as session:
        sync = await scenario.enqueue()
        services = WorkerServices(client_settings(scenario.environment()), scenario.pool, session)
        for _ in range(services.settings.max_revivals + 2):
            await scenario.pool.zadd(keys.DUE, {sync.id: 0})
            await build_watchdog(services).check_due()
        sync = await scenario.client.get(sync.id)
        assert (sync.state, sync.epoch, sync.revivals) == (SyncState.QUEUED, 1, 0)
        scenario.worker()
        assert_exact(await scenario.ended(sync), scenario.expected())


async def _moved(scenario: Scenario, sync: Sync, due: float | None) -> bool:
    return await scenario.pool.zscore(keys.DUE, sync.id) != due
