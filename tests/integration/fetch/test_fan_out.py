"""Fan-out by real workers on a real Redis: every page counts once, whatever happens to its reader."""

from __future__ import annotations

import asyncio
import time

import pytest

from producer.sandbox import Fault, SpaceSpec
from tests.support.scenarios.checks import same_statistics, until
from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.models.sync import Sync, SyncState
from worker.store import keys

LONG = {"spa": SpaceSpec(1590, "mixed", seed=31)}
SMALL_PAGES = {"SEGMENT_PAGE_SIZE": "40"}
"""With these, `LONG` has forty pages: five batches."""
IMPATIENT = {**SMALL_PAGES, "HEARTBEAT_S": "0.3", "STALL_S": "1"}
"""Jobs count as lost after a second of silence."""
PATIENT = {**SMALL_PAGES, "STALL_S": "60"}
"""No job of a worker that lives counts as lost, however slow the machine is."""


async def pages_read(scenario: Scenario, more: int) -> None:
    """Returns once so many more pages were answered with their traits."""
    read = scenario.sandbox.journal.count("segment.page", 200)
    await scenario.sandbox.journal.wait_answered("segment.page", read + more, 200)


async def fan_out(scenario: Scenario) -> Sync:
    return await scenario.enqueue(strategy="fan-out")


async def test_two_workers_find_what_the_chain_finds(session_redis: RedisServer, start_worker: Start) -> None:
    delays = {"latency_s": 0.02, "listing_latency_s": 0.002}
    async with start_scenario(session_redis, start_worker, LONG, settings=PATIENT, **delays) as scenario:
        workers = [scenario.worker(), scenario.worker()]
        sync = await scenario.ended(await fan_out(scenario))
        await scenario.assert_bought_once(sync)
        await scenario.assert_clean()
        assert scenario.sandbox.journal.count("segment.listing", 200) == 40
        assert scenario.sandbox.journal.count("segment.page", 200) == 40
        assert (sync.pages, sync.pages_listed) == (40, 40)
        chain = await scenario.sync(strategy="chain")
        assert chain.pages == 40
        assert same_statistics(chain.aggregate, sync.aggregate)
        assert [worker.text() for worker in workers if "silent in" in worker.text()] == []


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_a_worker_that_is_lost_with_its_batches_costs_nothing_but_time(
    session_redis: RedisServer, start_worker: Start, how: str
) -> None:
    async with start_scenario(
        session_redis, start_worker, LONG, settings=IMPATIENT, latency_s=0.2, listing_latency_s=0
    ) as scenario:
        lost = scenario.worker()
        sync = await fan_out(scenario)
        await pages_read(scenario, 1)
        if how == "kill":
            lost.kill()
        else:
            lost.pause()
        other = scenario.worker()
        sync = await scenario.ended(sync)
        await scenario.assert_bought_once(sync)
        assert "silent in batch" in other.text()
        if how == "freeze":
            lost.go_on()
            assert lost.terminate() == 0, lost.text()
            assert (await scenario.client.get(sync.id)).aggregate == sync.aggregate
        await scenario.assert_clean()


async def test_deploys_in_the_middle_hand_batches_over(session_redis: RedisServer, start_worker: Start) -> None:
    two_pages = Fault("segment", "hold", route="page", at=3, times=0)
    async with start_scenario(session_redis, start_worker, LONG, settings=PATIENT) as scenario:
        sync = await fan_out(scenario)
        for deploy in range(1, 4):
            scenario.sandbox.clear_faults()
            scenario.sandbox.add_fault(two_pages)
            fleet = [scenario.worker(), scenario.worker()]
            await scenario.sandbox.journal.wait_answered("segment.page", 2 * deploy, 200)
            for worker in fleet:
                worker.ask_to_stop()
            for worker in fleet:
                assert await asyncio.to_thread(worker.process.wait) == 0, worker.text()
        scenario.sandbox.clear_faults()
        scenario.worker()
        await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert [worker.text() for worker in scenario.workers if "silent in" in worker.text()] == []


async def test_a_batch_that_always_kills_its_worker_fails_the_sync_resumable(
    session_redis: RedisServer, start_worker: Start
) -> None:
    settings = {"STALL_S": "3", "MAX_REVIVALS": "2"}  # no job counts as lost before its worker dies
    spaces = {"spa": SpaceSpec(200, "mixed", seed=8)}  # one page: of several, a slow listing makes several batches
    async with start_scenario(session_redis, start_worker, spaces, settings=settings) as scenario:
        sync = await fan_out(scenario)
        killed = 0
        while not (sync := await scenario.client.get(sync.id)).state.is_final:
            if not scenario.workers or not scenario.workers[-1].alive:
                killed += bool(scenario.workers)
                scenario.worker("after_begin_batch:1:kill", ready=False)
            await asyncio.sleep(0.05)
        assert sync.error
        assert (sync.error.code, sync.error.resumable, sync.pages) == ("worker_lost", True, 0)
        assert killed == 3
        assert "batch 1 of the sync's pages was lost 3 times" in sync.error.message
        scenario.workers[-1].kill()
        scenario.worker()
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()


async def test_resume_after_a_wrong_token_reads_nothing_that_was_counted(
    session_redis: RedisServer, start_worker: Start
) -> None:
    refused = Fault("segment", "status", route="page", page=20, times=1, status=401)
    # One slot: the walk lists all, then one batch comes after the other.
    settings = {**PATIENT, "WORKER_SLOTS": "1", "LEASE_S": "30"}
    async with start_scenario(session_redis, start_worker, LONG, settings=settings, faults=(refused,)) as scenario:
        scenario.worker()
        sync = await scenario.ended(await fan_out(scenario))
        assert sync.error
        assert (sync.state, sync.error.code, sync.pages) == (SyncState.FAILED, "segment_unauthorized", 16)
        assert "page 21" in sync.error.message
        assert await scenario.pool.zcard(keys.DUE) == await scenario.pool.zcard(scenario.queue) == 0
        read = scenario.sandbox.journal.count("segment.page", 200)
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync))
        assert scenario.sandbox.journal.count("segment.page", 200) == read + 24
        assert scenario.sandbox.journal.count("segment.listing", 200) == 40


async def test_cancel_ends_the_batches_too(session_redis: RedisServer, start_worker: Start) -> None:
    hold = Fault("segment", "hold", route="page")
    async with start_scenario(session_redis, start_worker, LONG, settings=IMPATIENT, faults=(hold,)) as scenario:
        worker = scenario.worker()
        sync = await fan_out(scenario)
        await scenario.sandbox.journal.wait_arrived("segment.page", 20)
        cancelled = await scenario.client.cancel(sync.id)
        assert (cancelled.state, cancelled.pages) == (SyncState.CANCELLED, 0)

        async def all_stopped() -> bool:
            # At least: a batch that a slow machine let fall silent was taken over, and its first job says so too.
            return worker.text().count("was cancelled, ended or taken over") >= 5

        await until(all_stopped)
        await scenario.assert_clean()
        assert scenario.sandbox.posts == []


async def test_a_restart_of_redis_costs_nothing_but_time(redis_server: RedisServer, start_worker: Start) -> None:
    async with start_scenario(redis_server, start_worker, LONG, settings=IMPATIENT, latency_s=0.1) as scenario:
        scenario.worker()
        scenario.worker()
        sync = await fan_out(scenario)
        await pages_read(scenario, 5)
        await asyncio.to_thread(redis_server.stop)
        await asyncio.to_thread(redis_server.start)
        await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()


async def test_a_wait_that_segment_orders_is_not_counted_as_a_lost_batch(
    session_redis: RedisServer, start_worker: Start
) -> None:
    fault = Fault("segment", "status", route="page", page=10, times=1, status=429, retry_after="200")
    settings = {**SMALL_PAGES, "STALL_S": "5"}
    async with start_scenario(session_redis, start_worker, LONG, settings=settings, faults=(fault,)) as scenario:
        workers = [scenario.worker(), scenario.worker()]
        sync = await fan_out(scenario)
        await scenario.sandbox.journal.wait_answered("segment.page", 1, 429)

        async def all_wait() -> bool:
            jobs, batches = await scenario.pool.zcard(scenario.queue), await scenario.pool.zcard(keys.DUE)
            now_ms = time.time() * 1000  # a job that is being done has a much later score
            return jobs == batches == await scenario.pool.zcount(scenario.queue, now_ms, now_ms + 300_000)

        await until(all_wait)
        starts = dict(await scenario.pool.zrange(scenario.queue, 0, -1, withscores=True))
        due = dict(await scenario.pool.zrange(keys.DUE, 0, -1, withscores=True))
        assert min(due.values()) > max(starts.values())
        for worker in workers:
            assert worker.terminate() == 0, worker.text()
        # The ordered time passes.
        await scenario.pool.delete(*[key async for key in scenario.pool.scan_iter("sp:limit:*")])
        await scenario.pool.zadd(scenario.queue, dict.fromkeys(starts, 1))
        scenario.worker()
        await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()


async def test_a_listing_ahead_of_its_readers_waits_without_a_slot(
    session_redis: RedisServer, start_worker: Start
) -> None:
    """265 pages of two profiles, of which 256 fit into the look-ahead."""
    spaces = {"spa": SpaceSpec(530, "wide")}
    settings = {**PATIENT, "SEGMENT_PAGE_SIZE": "2", "WORKER_SLOTS": "1", "LEASE_S": "60"}
    hold = Fault("segment", "hold", route="page")
    async with start_scenario(session_redis, start_worker, spaces, settings=settings, faults=(hold,)) as scenario:
        worker = scenario.worker()
        sync = await fan_out(scenario)
        # The one slot is free for a batch: the walk has left.
        await scenario.sandbox.journal.wait_arrived("segment.page")
        sync = await scenario.client.get(sync.id)
        assert (sync.epoch, sync.pages_listed, len(sync.outstanding)) == (2, 8 * keys.SLOTS, keys.SLOTS)
        scenario.sandbox.clear_faults()
        await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert worker.text().count("fetch job of epoch") == 2
