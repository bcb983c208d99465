"""The `profile-api` dialect end to end: exact through hand-overs, with profiles that vanish, within the limit."""

from __future__ import annotations

from collections.abc import Callable

from producer import SyncClient, SyncRequest, SyncState
from tests.support import truth
from tests.support.checks import assert_exact, assert_no_twins, assert_one_persona_each, leftovers
from tests.support.redis_server import RedisServer
from tests.support.workers import WorkerProcess, environment
from worker.clusters import Aggregate
from worker.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec, profiles
from worker.store import StorePool

Start = Callable[..., WorkerProcess]


async def test_a_space_is_read_exactly_profile_by_profile_through_many_leases(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    spec = SpaceSpec(1500, "mixed", seed=11)
    faults = (Fault("segment", "status", route="traits", every=97, status=503, times=10),)
    # 1,500 answers of 50 ms, 32 at a time: several leases on the fastest machine too.
    options = SandboxOptions(spaces={"spa_api": spec}, faults=faults, latency_s=0.05)
    async with (
        Sandbox(options) as sandbox,
        SyncClient(session_redis.url) as client,
    ):
        env = environment(session_redis.url, sandbox, SEGMENT_BASE_URL=sandbox.profile_api_url, LEASE_S="0.5")
        workers = [start_worker(env), start_worker(env)]
        sync = await client.enqueue(SyncRequest(space_id="spa_api", dialect="profile-api"))
        sync = await client.wait(sync.id, timeout_s=90)
        expected = truth.of(profiles(spec))
        # This dialect cannot tell a profile whose traits are no object from one without any.
        expected.trait_errors["traits"] = 0
        assert_exact(sync, expected)
        assert sync.pages == 15
        assert sync.epoch > 3
        assert_one_persona_each(sandbox, sync, expected)
        assert_no_twins(sandbox)
        assert await leftovers(real_pool) == []
        assert all(worker.alive for worker in workers)


async def test_profiles_that_vanish_between_list_and_traits_are_counted_and_left_out(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    faults = (Fault("segment", "status", route="traits", every=10, status=404),)
    async with (
        Sandbox(SandboxOptions(spaces={"spa_gone": SpaceSpec(200, "wide")}, faults=faults)) as sandbox,
        SyncClient(session_redis.url) as client,
    ):
        start_worker(environment(session_redis.url, sandbox, SEGMENT_BASE_URL=sandbox.profile_api_url))
        sync = await client.enqueue(SyncRequest(space_id="spa_gone", dialect="profile-api"))
        sync = await client.wait(sync.id, timeout_s=60)
        assert sync.state is SyncState.COMPLETED, sync.error
        assert (sync.profiles, Aggregate.from_bytes(sync.aggregate).vanished) == (180, 20)


async def test_no_request_for_traits_asks_for_more_than_the_rules_read_and_no_key_or_log_names_a_profile(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    async with (
        Sandbox(SandboxOptions(spaces={"spa_quiet": SpaceSpec(50, "wide")})) as sandbox,
        SyncClient(session_redis.url) as client,
    ):
        sandbox.add_fault(Fault("segment", "status", route="traits", every=7, status=500, times=3))
        env = environment(session_redis.url, sandbox, SEGMENT_BASE_URL=sandbox.profile_api_url, LOG_LEVEL="DEBUG")
        worker = start_worker(env)
        sync = await client.enqueue(SyncRequest(space_id="spa_quiet", dialect="profile-api"))
        await client.wait(sync.id, timeout_s=60)
        assert "use_" not in worker.text()
        for key in [key async for key in real_pool.scan_iter(count=1000)]:
            assert b"use_" not in key
        assert "use_" not in str(await real_pool.hgetall(f"sp:sync:{sync.id}"))
