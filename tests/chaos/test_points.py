"""At every named point of the protocol a worker is killed, or frozen and woken when another has taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from producer import SyncClient, SyncRequest
from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec, profiles
from tests.chaos.points import POINTS
from tests.support.processes.workers import WorkerProcess, environment
from tests.support.scenarios.checks import assert_exact, assert_no_twins, assert_one_persona_each, leftovers, until
from tests.support.scenarios.expected_clusters import ExpectedClusters, expected_clusters
from tests.support.scenarios.scenario import know_run
from tests.support.servers.redis_server import RedisServer
from worker.models.request import Strategy
from worker.settings import load_settings
from worker.store import StorePool

#: A client whose jobs are found as soon as the workers of these tests look for lost ones.
QUICK_CLIENT = load_settings(stall_s=2, heartbeat_s=0.5)
SPEC = SpaceSpec(200, "mixed", seed=5)
PAGE_SIZE = 40
Start = Callable[..., WorkerProcess]


@pytest.fixture(scope="module")
def expected() -> ExpectedClusters:
    return expected_clusters(profiles(SPEC))


# A hand-over happens only when a worker must stop or wait; the deploys of test_faults pass there. What happens
# at a tick and to an event is in test_schedules and test_webhooks, and what happens to files in test_shards.
ELSEWHERE = ("aggregate", "hand_over", "retry_batch", "fire", "take_events", "deliver")
ON_THE_WAY = [point for point in POINTS if not point.endswith(ELSEWHERE)]
FAN_OUT = [point for point in ON_THE_WAY if "listing" in point or "batch" in point]


@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("point", ON_THE_WAY)
async def test_a_worker_that_ends_at_this_point_costs_nothing_but_time(
    point: str,
    how: str,
    session_redis: RedisServer,
    real_pool: StorePool,
    start_worker: Start,
    expected: ExpectedClusters,
) -> None:
    await know_run(real_pool)
    options = SandboxOptions(spaces={"spa_chaos": SPEC}, page_size=PAGE_SIZE, latency_s=0.002)
    async with Sandbox(options) as sandbox, SyncClient(session_redis.url, settings=QUICK_CLIENT) as client:
        env = environment(session_redis.url, sandbox, COMMIT_INTERVAL_S="0.01")
        strategy: Strategy = "fan-out" if point in FAN_OUT else "chain"
        nth = "2" if ("commit" in point or "fetch" in point) and strategy == "chain" else "1"
        other = start_worker(env)
        if "record_unsent" in point:  # only where there are personas already
            await client.wait((await client.enqueue(SyncRequest(space_id="spa_chaos"))).id)
        other.pause()
        dying = start_worker(env, plan=f"{point}:{nth}:{how}")
        sync = await client.enqueue(SyncRequest(space_id="spa_chaos", strategy=strategy))
        await asyncio.to_thread(_wait_until_over, dying, how)
        other.go_on()

        sync = await client.wait(sync.id)
        if how == "stop":
            dying.go_on()
            # It has woken once it has shown a sign of life of its own: it is on the list again.
            await until(lambda: _is_listed(client, dying))
            again = await client.enqueue(SyncRequest(space_id="spa_chaos"))
            again = await client.wait(again.id)
            assert_exact(again, expected)
            assert dying.terminate() == 0, dying.text()

        sync = await client.get(sync.id)
        assert_exact(sync, expected)
        assert_one_persona_each(sandbox, sync, expected)
        assert_no_twins(sandbox)
        assert await leftovers(real_pool) == []


async def _is_listed(client: SyncClient, worker: WorkerProcess) -> bool:
    return any(one.name.endswith(f":{worker.process.pid}") for one in await client.workers())


def _wait_until_over(worker: WorkerProcess, how: str) -> None:
    if how == "kill":
        worker.process.wait()
    else:
        worker.wait_frozen()
