"""The clock of Redis' host is set back or forward while syncs run: nothing waits for it, and every sync is exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from producer.sandbox import SpaceSpec
from tests.support.clocks.movable_clock import MovableClock
from tests.support.processes.workers import WorkerProcess
from tests.support.scenarios.checks import until
from tests.support.scenarios.scenario import start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.store import keys

Start = Callable[..., WorkerProcess]

SPACES = {"spa": SpaceSpec(300, "mixed", seed=5), "later": SpaceSpec(60, "recipe")}
PACED = {
    "SEGMENT_RATE": "20",
    "MAVERA_RATE": "600",
    "MAVERA_GAP_S": "0.05",
    "MAVERA_TIMEOUT_S": "60",
    "MAVERA_SETTLE_S": "65",
}


@pytest.fixture
def clock(tmp_path: Path) -> MovableClock:
    return MovableClock(tmp_path / "clock")


@pytest.fixture
def server(tmp_path: Path, clock: MovableClock) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    # A Valkey: the allocator of redis-server asks for the time before libfaketime is ready.
    server = RedisServer(folder, kind="valkey", env=clock.environment)
    server.start()
    yield server
    server.kill()


@pytest.mark.parametrize("step_s", [-3600, -60, 3600])
async def test_a_clock_that_jumps_keeps_no_sync_waiting(
    server: RedisServer, clock: MovableClock, start_worker: Start, step_s: int
) -> None:
    clock.set(7200)
    async with start_scenario(server, start_worker, SPACES, page_size=20, settings=PACED) as scenario:
        worker = scenario.worker()
        sync = await scenario.enqueue()
        await scenario.sandbox.journal.wait_answered("segment.page", 4)
        clock.set(7200 + step_s)
        later = await scenario.enqueue("later")
        await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_bought_once(await scenario.ended(later))
        assert worker.terminate() == 0
        assert "Traceback" not in worker.text()
        assert "KeyError" not in worker.text()


async def test_jobs_that_wait_when_the_clock_is_set_back_are_taken_at_once(
    server: RedisServer, clock: MovableClock, start_worker: Start
) -> None:
    clock.set(7200)
    async with start_scenario(server, start_worker, SPACES) as scenario:
        scenario.worker()
        scenario.sandbox.set_options(latency_s=30)
        held = await scenario.enqueue()

        async def watcher_has_looked() -> bool:
            looked_at = await scenario.pool.hash_field(keys.CLOCK, keys.DUE)
            return int(looked_at or 0) > 1000 * held.created_at

        await scenario.sandbox.journal.wait_arrived("segment.page")
        await until(watcher_has_looked)
        clock.set(3600)
        scenario.sandbox.set_options(latency_s=0)
        await scenario.client.cancel(held.id)
        later = await scenario.enqueue("later")
        await scenario.assert_bought_once(await scenario.ended(later))
