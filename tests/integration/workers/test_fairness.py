"""Many syncs at once: those that began first finish first, and a space that kills workers harms no other."""

from __future__ import annotations

import asyncio

from producer.sandbox import SpaceSpec
from tests.support.scenarios.scenario import RECIPE, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.scripted_segment import Call, people, scripted
from worker.models.sync import SyncState

MANY = 20


async def test_syncs_that_began_first_finish_before_the_last_ones_begin(
    session_redis: RedisServer, start_worker: Start
) -> None:
    """Shown by the order of what happened, not by how long it took: one worker, one job at a time."""
    spaces = {f"spa{number}": SpaceSpec(60, "recipe") for number in range(MANY)}
    settings = {"WORKER_SLOTS": "1"}
    async with start_scenario(session_redis, start_worker, {**spaces, "first": RECIPE}, settings=settings) as scenario:
        # A purchase waits while Redis is young, and so would the finalizers of all syncs.
        earlier = scenario.worker()
        await scenario.sync("first")
        earlier.terminate()
        asked = [await scenario.enqueue(space) for space in spaces]
        asked.sort(key=lambda sync: (sync.created_at, sync.id))  # as the queue orders those of the same millisecond
        scenario.worker()
        syncs = [await scenario.ended(sync) for sync in asked]
        for sync in syncs:
            await scenario.assert_bought_once(sync)
        begun = [sync.started_at for sync in syncs]
        finished = [sync.finished_at for sync in syncs]
        assert begun == sorted(begun)
        # When half of them had finished, at most a few more had begun: reads do not run ahead of the purchases.
        half = sorted(finished)[MANY // 2]
        assert sum(start < half for start in begun) <= MANY // 2 + 3
        assert finished == sorted(finished)


HEALTHY = ("spa_1", "spa_2", "spa_3")


async def test_a_space_that_kills_its_workers_fails_alone(session_redis: RedisServer, start_worker: Start) -> None:
    """A worker dies by SIGKILL when a request of one space has arrived, before its neighbours' first page has."""
    fatal = asyncio.Event()

    def respond(call: Call) -> object:
        stop = min(call.start + 20, 60)
        if "/poison/" in call.path:
            fatal.set()
        more = stop < 60
        return {"data": {"profiles": people(call.start, stop), "cursor": {"next": f"c_{stop}" if more else None}}}

    spaces = dict.fromkeys(("poison", *HEALTHY), respond)
    settings = {"SEGMENT_PAGE_SIZE": "20", "SEGMENT_DIALECT": "inline", "STALL_S": "2.5", "HEARTBEAT_S": "0.3"}
    async with scripted(spaces) as segment, start_scenario(session_redis, start_worker, settings=settings) as scenario:
        segment.delay_s = 0.5
        asked = {space: await scenario.enqueue(space) for space in ("poison", *HEALTHY)}
        killed = 0
        while not all(sync.state.is_final for sync in asked.values()):
            fatal.clear()
            worker = scenario.worker(ready=False, SEGMENT_BASE_URL=segment.url)
            while not all(sync.state.is_final for sync in asked.values()):
                try:
                    await asyncio.wait_for(fatal.wait(), 0.2)
                except TimeoutError:
                    asked = {space: await scenario.client.get(sync.id) for space, sync in asked.items()}
                    continue
                await asyncio.sleep(0.1)
                worker.kill()
                killed += 1
                break
        assert killed == 6
        error = asked["poison"].error
        assert error
        assert (error.code, error.resumable) == ("worker_lost", True)
        for space in HEALTHY:
            assert (asked[space].state, asked[space].profiles) == (SyncState.COMPLETED, 60), asked[space].error
            assert [outcome.credits for outcome in asked[space].outcomes] == [300] * 3
        assert len(scenario.sandbox.personas) == 9
