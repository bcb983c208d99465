"""Deploys: a worker that is stopped hands its syncs over and ends within 10 s, whatever Redis does meanwhile.

A new interpreter ends in another way than a worker of the fork server: each command line, and each signal, has a test
with a new interpreter.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from producer.sandbox import Fault, SpaceSpec
from tests.support.processes.workers import WORKER, WorkerProcess
from tests.support.sandbox.prebuilt_sandbox import PrebuiltSandbox
from tests.support.scenarios.scenario import RECIPE, SOON_SETTLED, Start, start_scenario
from tests.support.servers.redis_server import RedisServer

ARQ = (str(Path(sys.executable).with_name("arq")), "worker.WorkerSettings")
DEPLOYS = 4
PAGE_SIZE = 20
SPACES = {f"spa_{i}": SpaceSpec(PAGE_SIZE * 20, "mixed", seed=i) for i in range(2)}
"""Twenty pages each."""
LONG = {f"spa_{i}": SpaceSpec(PAGE_SIZE * 64 + i, "recipe") for i in range(2)}
"""64 pages each, and one profile more; the sandbox makes them beforehand."""


async def ends_within_10_s(workers: Sequence[WorkerProcess], number: signal.Signals = signal.SIGTERM) -> None:
    """Signals all of them; each ends with 0, without a traceback. The time in which it waits for a processor, because
    the machine is busy, does not count."""
    began_at = time.monotonic()
    waited = {worker: worker.processor_wait_s() for worker in workers}
    for worker in workers:
        worker.process.send_signal(number)
    for worker in workers:
        waits_s = 0.0
        while worker.alive:
            waits_s = max(waits_s, worker.processor_wait_s() - waited[worker])
            await asyncio.sleep(0.02)
        assert time.monotonic() - began_at - waits_s < 10, worker.text()
        assert worker.process.wait() == 0, worker.text()
        assert "Traceback" not in worker.text()


async def test_deploys_in_the_middle_of_a_sync_cost_nothing_but_time(
    session_redis: RedisServer, start_worker: Start
) -> None:
    settings = {"STALL_S": "6", "WORKER_SLOTS": "1"}  # a sync for each worker
    async with start_scenario(
        session_redis,
        start_worker,
        LONG,
        page_size=PAGE_SIZE,
        settings=settings,
        sandbox_type=PrebuiltSandbox,
        latency_s=0.05,
    ) as scenario:
        syncs = [await scenario.enqueue(space) for space in LONG]
        for i in range(DEPLOYS):
            # Who is there first reads nothing until both are, or it might be through before the last deploy.
            scenario.sandbox.add_fault(Fault("segment", "hold"))
            fleet = [scenario.worker(ready=False), scenario.worker(arq=i == 0, ready=False)]
            await scenario.listed(*fleet)
            scenario.sandbox.clear_faults()
            read = scenario.sandbox.journal.count("segment.page", 200)
            await scenario.sandbox.journal.wait_answered("segment.page", read + 4, 200)
            await ends_within_10_s(fleet)
            assert not any(sync.state.is_final for sync in await scenario.client.list()), i
        scenario.sandbox.set_options(latency_s=0)
        scenario.worker()
        for sync in syncs:
            await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        # No job was counted as lost: each left its sync to the next.
        assert [worker.text() for worker in scenario.workers if "silent in" in worker.text()] == []


async def test_a_deploy_waits_for_the_answer_to_a_post_on_its_way(
    session_redis: RedisServer, start_worker: Start
) -> None:
    hold = Fault("mavera", "hold", route="create", at=1, times=2)
    settings = {"MAVERA_TIMEOUT_S": "8", "MAVERA_SETTLE_S": "10", "WORKER_SLOTS": "1"}
    spaces = {"spa_0": RECIPE, "spa_1": RECIPE}
    async with start_scenario(session_redis, start_worker, spaces, settings=settings, faults=(hold,)) as scenario:
        fleet = [scenario.worker(ready=False), scenario.worker(arq=True, ready=False)]
        await scenario.listed(*fleet)
        syncs = [await scenario.enqueue(space) for space in spaces]
        await scenario.sandbox.journal.wait_arrived("mavera.create", 2)
        ending = asyncio.create_task(ends_within_10_s(fleet))
        await asyncio.sleep(0.5)  # in which a worker that does not wait would have ended
        assert all(worker.alive for worker in fleet)
        scenario.sandbox.clear_faults()
        await ending
        assert [len((await scenario.client.get(sync.id)).outcomes) for sync in syncs] == [1, 1]
        scenario.worker()
        for sync in syncs:
            await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert len(scenario.sandbox.posts) == 3 * 2


async def test_a_worker_stops_within_10_s_while_redis_hangs(redis_server: RedisServer, start_worker: Start) -> None:
    async with start_scenario(
        redis_server, start_worker, SPACES, page_size=PAGE_SIZE, settings=SOON_SETTLED, latency_s=0.05
    ) as scenario:
        fleet = [scenario.worker(command=WORKER, ready=False), scenario.worker(arq=True, ready=False)]
        await scenario.listed(*fleet)
        syncs = [await scenario.enqueue(space) for space in SPACES]
        await scenario.sandbox.journal.wait_answered("segment.page", 8)
        redis_server.pause()
        try:
            await ends_within_10_s(fleet)
        finally:
            redis_server.go_on()
        scenario.worker()
        scenario.sandbox.set_options(latency_s=0)
        for sync in syncs:
            await scenario.assert_bought_once(await scenario.ended(sync))


async def test_a_worker_stops_within_10_s_while_redis_is_gone(redis_server: RedisServer, start_worker: Start) -> None:
    async with start_scenario(redis_server, start_worker, SPACES, page_size=PAGE_SIZE, latency_s=0.05) as scenario:
        fleet = [scenario.worker(ready=False), scenario.worker(command=ARQ, ready=False)]
        await scenario.listed(*fleet)
        for space in SPACES:
            await scenario.enqueue(space)
        await scenario.sandbox.journal.wait_answered("segment.page", 8)
        await asyncio.to_thread(redis_server.stop)
        await ends_within_10_s(fleet)
        await asyncio.to_thread(redis_server.start)


async def test_ctrl_c_ends_a_worker_as_a_deploy_does(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(
        session_redis,
        start_worker,
        SPACES,
        page_size=PAGE_SIZE,
        settings={"WORKER_SLOTS": "1", "STALL_S": "6"},
        latency_s=0.1,
    ) as scenario:
        fleet = [scenario.worker(command=WORKER, ready=False), scenario.worker(arq=True, ready=False)]
        await scenario.listed(*fleet)
        syncs = [await scenario.enqueue(space) for space in SPACES]
        await scenario.sandbox.journal.wait_answered("segment.page", 10)
        await ends_within_10_s(fleet, signal.SIGINT)
        assert await scenario.client.workers() == []
        # What was read was handed over, not left for the watcher.
        assert sum([(await scenario.client.get(sync.id)).pages for sync in syncs]) >= 8
        scenario.sandbox.set_options(latency_s=0)
        last = scenario.worker()
        for sync in syncs:
            await scenario.assert_bought_once(await scenario.ended(sync))
        assert "silent in" not in last.text()
