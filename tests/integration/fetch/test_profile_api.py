"""The `profile-api` dialect end to end: exact through hand-overs, with profiles that vanish, within the limit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from producer import SyncClient, SyncRequest, SyncState
from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec, profiles
from tests.support.processes.workers import WorkerProcess, environment
from tests.support.scenarios.checks import assert_exact, assert_no_twins, assert_one_persona_each, leftovers, until
from tests.support.scenarios.expected_clusters import expected_clusters
from tests.support.scenarios.scenario import start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.clusters import Aggregate
from worker.documents.sync_document import sync_document
from worker.segment.traits_caller import OTHERS, TRIES
from worker.store import StorePool

Start = Callable[..., WorkerProcess]


async def test_a_space_is_read_exactly_profile_by_profile_through_many_leases(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    spec = SpaceSpec(300, "mixed", seed=11)
    faults = (Fault("segment", "status", route="traits", every=29, status=503, times=10),)
    # 300 answers of 50 ms, 8 at a time: several leases on the fastest machine too.
    options = SandboxOptions(spaces={"spa_api": spec}, faults=faults, latency_s=0.05)
    async with (
        Sandbox(options) as sandbox,
        SyncClient(session_redis.url) as client,
    ):
        settings = {"LEASE_S": "0.5", "SEGMENT_PAGE_SIZE": "20", "SEGMENT_CONCURRENCY": "8"}
        env = environment(session_redis.url, sandbox, SEGMENT_BASE_URL=sandbox.profile_api_url, **settings)
        workers = [start_worker(env), start_worker(env)]
        sync = await client.enqueue(SyncRequest(space_id="spa_api", dialect="profile-api"))
        sync = await client.wait(sync.id)
        expected = expected_clusters(profiles(spec))
        # This dialect cannot tell a profile whose traits are not an object from one without any.
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
        sync = await client.wait(sync.id)
        assert sync.state is SyncState.COMPLETED, sync.error
        assert (sync.profiles, Aggregate.from_bytes(sync.aggregate).vanished) == (180, 20)


async def test_a_token_that_finds_traits_of_few_profiles_buys_nothing(
    session_redis: RedisServer, start_worker: Start
) -> None:
    faults = (Fault("segment", "status", route="traits", probability=0.5, status=404),)
    spaces = {"spa": SpaceSpec(200, "wide")}
    async with start_scenario(session_redis, start_worker, spaces, faults=faults) as scenario:
        scenario.worker(SEGMENT_BASE_URL=scenario.sandbox.profile_api_url)
        sync = await scenario.sync(dialect="profile-api")
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("guard_profile_errors", True)
        assert "404" in sync.error.hint
        assert scenario.sandbox.posts == []


async def test_only_traits_of_the_rules_are_requested_and_no_profile_is_named(
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
        await client.wait(sync.id)
        assert "use_" not in worker.text()
        for key in [key async for key in real_pool.scan_iter(count=1000)]:
            assert b"use_" not in key
        assert "use_" not in str(await real_pool.hgetall(f"sp:sync:{sync.id}"))


POISONED = (
    Fault("segment", "status", route="traits", profile=3, status=500),
    Fault("segment", "status", route="traits", profile=11, status=400),
    Fault("segment", "status", route="traits", profile=17, status=403),
    Fault("segment", "body", route="traits", profile=23, content="null"),
    Fault("segment", "body", route="traits", profile=29, content='{"cursor": {}}'),  # is there, and has no traits
    Fault("segment", "body", route="traits", profile=39, content="[]"),  # the last one of all
)


async def test_unreadable_profiles_are_counted_and_left_out(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker, {"spa": SpaceSpec(40, "wide")}, faults=POISONED) as scenario:
        scenario.worker(SEGMENT_BASE_URL=scenario.sandbox.profile_api_url, RETRY_BASE_S="0.02")
        sync = await scenario.sync(dialect="profile-api")
        assert (sync.state, sync.complete) == (SyncState.COMPLETED, True), sync.error
        assert (sync.profiles, sync.profiles_unreadable) == (35, 5)
        assert (sync_document(sync)["profiles_unreadable"], sync_document(sync)["unclassified"]) == (5, 1)
        # Three that fail are tried as often as a profile is, two that are refused no oftener; each is checked once.
        assert scenario.sandbox.journal.count("segment.traits") <= 35 + 3 * TRIES + 2 * TRIES + 5 * OTHERS
        await scenario.assert_clean()


async def test_an_unreadable_profile_counts_once_through_a_killed_worker(
    session_redis: RedisServer, start_worker: Start
) -> None:
    spec = SpaceSpec(120, "wide")
    faults = tuple(Fault("segment", "status", route="traits", profile=20 * n + 10, status=500) for n in range(6))
    settings = {"SEGMENT_PAGE_SIZE": "20", "LEASE_S": "0.2", "RETRY_BASE_S": "0.05"}
    async with start_scenario(session_redis, start_worker, {"spa": spec}, settings=settings, faults=faults) as scenario:
        worker = scenario.worker(SEGMENT_BASE_URL=scenario.sandbox.profile_api_url)
        sync = await scenario.enqueue(dialect="profile-api")

        async def begun() -> bool:
            return (await scenario.client.get(sync.id)).pages >= 1

        await until(begun)
        worker.kill()
        scenario.worker(SEGMENT_BASE_URL=scenario.sandbox.profile_api_url)
        sync = await scenario.ended(sync)
        assert (sync.state, sync.profiles, sync.profiles_unreadable) == (SyncState.COMPLETED, 114, 6), sync.error
        assert sync.epoch > 3


async def test_an_outage_of_the_traits_leaves_no_profile_out_and_is_resumed(
    session_redis: RedisServer, start_worker: Start
) -> None:
    settings = {"RETRY_BUDGET_S": "1", "RETRY_BASE_S": "0.05"}
    async with start_scenario(
        session_redis, start_worker, {"spa": SpaceSpec(200, "wide")}, settings=settings
    ) as scenario:
        scenario.sandbox.add_fault(Fault("segment", "status", route="traits", at=120, times=0, status=500))
        scenario.worker(SEGMENT_BASE_URL=scenario.sandbox.profile_api_url, SEGMENT_CONCURRENCY="4")
        sync = await scenario.sync(dialect="profile-api")
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("segment_unavailable", True)
        assert (sync.profiles_unreadable, scenario.sandbox.posts) == (0, [])
        scenario.sandbox.clear_faults()
        await scenario.client.resume(sync.id)
        sync = await scenario.ended(sync)
        assert (sync.state, sync.profiles, sync.profiles_unreadable) == (SyncState.COMPLETED, 200, 0), sync.error


@pytest.mark.parametrize(("status", "code"), [(403, "segment_forbidden"), (401, "segment_unauthorized")])
async def test_a_refusal_of_all_profiles_stops_the_sync(
    session_redis: RedisServer, start_worker: Start, status: int, code: str
) -> None:
    async with start_scenario(session_redis, start_worker, {"spa": SpaceSpec(40, "wide")}) as scenario:
        scenario.sandbox.add_fault(Fault("segment", "status", route="traits", status=status))
        scenario.worker(SEGMENT_BASE_URL=scenario.sandbox.profile_api_url, RETRY_BASE_S="0.02")
        sync = await scenario.sync(dialect="profile-api")
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == (code, True)
        assert scenario.sandbox.posts == []


async def test_a_short_outage_repeats_what_it_met_and_reads_nothing_twice(
    session_redis: RedisServer, start_worker: Start
) -> None:
    fault = Fault("segment", "status", route="traits", at=50, times=10**6, for_s=0.5, status=503)
    options = {"faults": (fault,), "latency_s": 0.02}
    async with start_scenario(session_redis, start_worker, {"spa": SpaceSpec(200, "wide")}, **options) as scenario:
        one_walk = {"LEASE_S": "30", "STALL_S": "60"}
        scenario.worker(
            SEGMENT_BASE_URL=scenario.sandbox.profile_api_url, SEGMENT_RATE="1000", RETRY_BASE_S="0.25", **one_walk
        )
        sync = await scenario.sync(dialect="profile-api")
        assert (sync.state, sync.profiles, sync.profiles_unreadable) == (SyncState.COMPLETED, 200, 0), sync.error
        # Nothing that was answered is asked for again, and no page: what failed is all that is repeated.
        assert scenario.sandbox.journal.answered["segment.traits", 200] == 200
        assert scenario.sandbox.journal.count("segment.profiles") == 2
        assert scenario.sandbox.journal.count("segment.traits") <= 200 + 4 * 32
        assert sync.epoch == 3  # no walk gave up: one walk, the finalizer, and the end


async def test_too_many_unreadable_profiles_stop_the_sync_until_accepted(
    session_redis: RedisServer, start_worker: Start
) -> None:
    faults = tuple(Fault("segment", "status", route="traits", profile=n, status=400) for n in range(10, 19))
    async with start_scenario(session_redis, start_worker, {"spa": SpaceSpec(40, "wide")}, faults=faults) as scenario:
        scenario.worker(SEGMENT_BASE_URL=scenario.sandbox.profile_api_url, RETRY_BASE_S="0.02")
        sync = await scenario.sync(dialect="profile-api")
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("guard_profile_errors", True)
        assert "Of the 40 entries that were read, 9" in sync.error.message
        assert scenario.sandbox.posts == []
        await scenario.client.resume(sync.id, accept=True)
        sync = await scenario.ended(sync)
        assert sync.state is SyncState.COMPLETED, sync.error


async def test_a_space_emptied_before_its_traits_are_read_is_not_empty(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, {"spa": SpaceSpec(40, "wide")}) as scenario:
        scenario.sandbox.add_fault(Fault("segment", "status", route="traits", status=404))
        scenario.worker(SEGMENT_BASE_URL=scenario.sandbox.profile_api_url)
        sync = await scenario.sync(dialect="profile-api")
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("guard_profile_errors", True)
        assert "40 were gone" in sync.error.message
        assert await scenario.client.history(sync.request.identity) == []
