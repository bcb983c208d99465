"""Fan-out by real workers on a real Redis: every page counts once, whatever happens to its reader."""

from __future__ import annotations

import asyncio

import pytest

from producer.sandbox import Fault, SpaceSpec
from tests.support.scenarios.checks import same_statistics, until
from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.models.sync import Sync, SyncState
from worker.store import keys

LONG = {"spa": SpaceSpec(7990, "mixed", seed=31)}
"""Forty pages: five batches."""
IMPATIENT = {"HEARTBEAT_S": "0.3", "STALL_S": "1"}
"""Jobs count as lost after a second of silence."""


async def pages_read(scenario: Scenario, more: int) -> None:
    """Returns once so many more pages were answered with their traits."""
    read = scenario.sandbox.journal.count("segment.page", 200)
    await scenario.sandbox.journal.wait_answered("segment.page", read + more, 200)


async def listed(scenario: Scenario, pages: int = 40) -> None:
    """Returns once so many pages were listed."""
    await scenario.sandbox.journal.wait_answered("segment.listing", pages, 200)


async def fan_out(scenario: Scenario) -> Sync:
    return await scenario.enqueue(strategy="fan-out")


async def test_two_workers_find_what_the_chain_finds(session_redis: RedisServer, start_worker: Start) -> None:
    delays = {"latency_s": 0.02, "listing_latency_s": 0.002}
    async with start_scenario(session_redis, start_worker, LONG, settings={"STALL_S": "60"}, **delays) as scenario:
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
    async with start_scenario(
        session_redis, start_worker, LONG, settings={"STALL_S": "6"}, latency_s=0.15, listing_latency_s=0.05
    ) as scenario:
        sync = await fan_out(scenario)
        for _ in range(3):
            fleet = [scenario.worker(), scenario.worker()]
            await pages_read(scenario, 2)
            for worker in fleet:
                worker.ask_to_stop()
            for worker in fleet:
                assert await asyncio.to_thread(worker.process.wait) == 0, worker.text()
        scenario.sandbox.set_options(latency_s=0)
        scenario.worker()
        await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert [worker.text() for worker in scenario.workers if "silent in" in worker.text()] == []


async def test_a_batch_that_always_kills_its_worker_fails_the_sync_resumable(
    session_redis: RedisServer, start_worker: Start
) -> None:
    settings = {"HEARTBEAT_S": "0.2", "STALL_S": "0.5", "MAX_REVIVALS": "2"}
    spaces = {"spa": SpaceSpec(1000, "mixed", seed=8)}
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
    settings = {"WORKER_SLOTS": "1", "LEASE_S": "30"}
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
    fault = Fault("segment", "status", route="page", page=10, times=1, status=429, retry_after="6")
    async with start_scenario(session_redis, start_worker, LONG, settings=IMPATIENT, faults=(fault,)) as scenario:
        workers = [scenario.worker(), scenario.worker()]
        await scenario.assert_bought_once(await scenario.ended(await fan_out(scenario)))
        await scenario.assert_clean()
        assert [worker.text() for worker in workers if "silent in" in worker.text()] == []


async def test_a_listing_ahead_of_its_readers_waits_without_a_slot(
    session_redis: RedisServer, start_worker: Start
) -> None:
    """Three hundred pages of two profiles, of which 256 fit into the look-ahead."""
    spaces = {"spa": SpaceSpec(600, "wide")}
    settings = {"SEGMENT_PAGE_SIZE": "2", "WORKER_SLOTS": "1", "LEASE_S": "60"}
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
