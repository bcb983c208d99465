"""A sync, end to end: a real redis-server, real worker processes, the sandbox over HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from producer import SyncClient, SyncRequest, SyncState
from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec, profiles
from tests.support.processes.workers import WORKER, WorkerProcess, environment
from tests.support.scenarios.checks import (
    assert_exact,
    assert_no_twins,
    assert_one_persona_each,
    contents,
    leftovers,
    until,
)
from tests.support.scenarios.expected_clusters import expected_clusters
from tests.support.servers.redis_server import RedisServer
from worker.store import StorePool

Start = Callable[..., WorkerProcess]
ARQ = [str(Path(sys.executable).with_name("arq")), "worker.WorkerSettings"]


async def test_the_recipes_sixty_profiles_give_the_recipes_personas(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    async with (
        Sandbox(SandboxOptions(spaces={"spa_recipe": SpaceSpec(60, "recipe")})) as sandbox,
        SyncClient(session_redis.url) as client,
    ):
        start_worker(environment(session_redis.url, sandbox))
        sync = await client.enqueue(SyncRequest(space_id="spa_recipe"))
        sync = await client.wait(sync.id)
        assert sync.state is SyncState.COMPLETED, sync.error
        posted = {body["psychographic"]["cluster"]: body for body in sandbox.posts}
        assert list(posted) == ["high_value", "growth", "at_risk"]
        description, reference = posted["high_value"]["description"].split(" [")
        assert description == (
            "High Value segment from Segment computed traits. N=20. Avg LTV: $1200. Avg purchases: 8.0. "
            "Avg churn risk: 5%. Industries: SaaS. Plans: pro. "
            "33% of all classified profiles are in this segment. The engagement tier is high, based on the average LTV."
        )
        assert reference.startswith("segment-personas ")
        growth = posted["growth"]
        assert list(growth) == ["name", "description", "demographic", "psychographic"]
        assert growth["name"] == "Segment CDP: Growth"
        assert growth["demographic"] == {"industries": ["E-commerce"], "plans": ["starter"], "shares": {}}
        recipe = {"cluster": "growth", "avg_ltv": 450.0, "avg_churn_risk": 0.22, "engagement_tier": "medium"}
        assert {name: growth["psychographic"][name] for name in recipe} == recipe
        assert posted["at_risk"]["description"].startswith(
            "At Risk segment from Segment computed traits. N=20. Avg LTV: $85. Avg purchases: 1.0. "
            "Avg churn risk: 65%. Industries: Agency. Plans: free."
        )
        assert sum(outcome.credits for outcome in sync.outcomes) == 900


async def test_dirty_profiles_through_two_workers_are_counted_exactly(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    spec = SpaceSpec(1600, "mixed", seed=7)
    async with (
        Sandbox(SandboxOptions(spaces={"spa_dirty": spec}, page_size=20, latency_s=0.01)) as sandbox,
        SyncClient(session_redis.url) as client,
    ):
        # Leases shorter than the sync, so that it is handed over between the two.
        env = environment(session_redis.url, sandbox, LEASE_S="0.1", STALL_S="600")
        workers = [start_worker(env), start_worker(env)]
        sync = await client.enqueue(SyncRequest(space_id="spa_dirty"))
        sync = await client.wait(sync.id)
        expected = expected_clusters(profiles(spec))
        assert_exact(sync, expected)
        assert sync.pages == 80
        assert sync.epoch > 3
        assert_one_persona_each(sandbox, sync, expected)
        assert_no_twins(sandbox)
        assert await leftovers(real_pool) == []

        async def all_logged() -> bool:  # a fetch job logs what it has read after it has handed over
            return sum(worker.text().count("fetch job of epoch") for worker in workers) == sync.epoch - 2

        await until(all_logged)


async def test_an_empty_space_completes_and_creates_nothing(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    async with (
        Sandbox(SandboxOptions(spaces={"spa_empty": SpaceSpec(0)})) as sandbox,
        SyncClient(session_redis.url) as client,
    ):
        start_worker(environment(session_redis.url, sandbox))
        sync = await client.enqueue(SyncRequest(space_id="spa_empty"))
        sync = await client.wait(sync.id)
        assert (sync.state, sync.profiles, sync.pages, sync.complete) == (SyncState.COMPLETED, 0, 1, True)
        assert sandbox.posts == []


async def test_a_second_sync_finds_its_personas_and_buys_none(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    async with (
        Sandbox(SandboxOptions(spaces={"spa_again": SpaceSpec(60, "recipe")})) as sandbox,
        SyncClient(session_redis.url) as client,
    ):
        start_worker(environment(session_redis.url, sandbox))
        first = await client.wait((await client.enqueue(SyncRequest(space_id="spa_again"))).id)
        second = await client.wait((await client.enqueue(SyncRequest(space_id="spa_again"))).id)
        assert {o.cluster: o.persona_id for o in second.outcomes} == {o.cluster: o.persona_id for o in first.outcomes}
        assert {(o.action, o.credits) for o in second.outcomes} == {("unchanged", 0)}
        assert len(sandbox.posts) == 3

        # Redis is lost: the personas are found by their reference.
        await real_pool.flushall()
        third = await client.wait((await client.enqueue(SyncRequest(space_id="spa_again"))).id)
        assert {o.persona_id for o in third.outcomes} == {o.persona_id for o in first.outcomes}
        assert {(o.action, o.credits) for o in third.outcomes} == {("updated", 0)}
        assert len(sandbox.posts) == 3

        created = SyncRequest(space_id="spa_again", mode="create")
        fourth = await client.wait((await client.enqueue(created)).id)
        assert {o.action for o in fourth.outcomes} == {"created"}
        assert len(sandbox.posts) == 6


async def test_a_cut_sync_counts_exactly_its_limit_and_is_incomplete(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    spec = SpaceSpec(1000, "wide")
    async with (
        Sandbox(SandboxOptions(spaces={"spa_cut": spec})) as sandbox,
        SyncClient(session_redis.url) as client,
    ):
        start_worker(environment(session_redis.url, sandbox))
        cut = await client.wait((await client.enqueue(SyncRequest(space_id="spa_cut", max_profiles=250))).id)
        assert (cut.profiles, cut.pages, cut.complete) == (250, 2, False)
        whole = await client.wait((await client.enqueue(SyncRequest(space_id="spa_cut", max_profiles=1000))).id)
        assert (whole.profiles, whole.complete) == (1000, True)


async def test_arqs_own_command_line_runs_the_same_worker(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    async with (
        Sandbox(SandboxOptions(spaces={"spa_arq": SpaceSpec(60, "recipe")})) as sandbox,
        SyncClient(session_redis.url) as client,
    ):
        env = environment(session_redis.url, sandbox)
        worker = start_worker(env, command=ARQ, ready=False)
        sync = await client.wait((await client.enqueue(SyncRequest(space_id="spa_arq"))).id)
        assert sync.state is SyncState.COMPLETED, sync.error
        check = start_worker(env, command=[*ARQ, "--check"], ready=False)
        assert check.process.wait() == 0, check.text()
        assert worker.terminate() == 0, worker.text()
        assert await client.workers() == []


@pytest.mark.parametrize(
    ("missing", "command"),
    [("SEGMENT_TOKEN", None), ("MAVERA_API_KEY", None), ("REDIS_URL", WORKER), ("REDIS_URL", ARQ)],
    ids=["SEGMENT_TOKEN", "MAVERA_API_KEY", "REDIS_URL", "REDIS_URL-arq"],
)
def test_a_worker_without_a_needed_setting_exits_with_2_and_names_it(
    missing: str, command: Sequence[str] | None, start_worker: Start
) -> None:
    env = environment("redis://127.0.0.1:1", None, SEGMENT_TOKEN="a", MAVERA_API_KEY="b")
    del env[missing]
    worker = start_worker(env, command=command, ready=False)
    assert worker.process.wait() == 2
    assert missing in worker.text()
    assert "Traceback" not in worker.text()


def test_a_worker_without_redis_says_so_with_a_hint_and_exits_with_4(start_worker: Start) -> None:
    env = environment("redis://127.0.0.1:1", None, SEGMENT_TOKEN="a", MAVERA_API_KEY="b")
    worker = start_worker(env, command=WORKER, ready=False)
    assert worker.process.wait() == 4
    assert worker.text().count("\n") == 2
    assert "Redis does not answer" in worker.text()


async def test_no_key_and_no_log_line_holds_a_profile(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    spec = SpaceSpec(600, "mixed", seed=3)
    async with (
        Sandbox(SandboxOptions(spaces={"spa_private": spec})) as sandbox,
        SyncClient(session_redis.url) as client,
    ):
        worker = start_worker(environment(session_redis.url, sandbox, LOG_LEVEL="DEBUG"), command=WORKER)
        sync = await client.wait((await client.enqueue(SyncRequest(space_id="spa_private"))).id)
        assert sync.state is SyncState.COMPLETED
        everything = await contents(real_pool) + worker.text() + json.dumps(sandbox.posts)
        private = set()
        for profile in profiles(spec):
            traits = profile.get("traits") if isinstance(profile, dict) else None
            if isinstance(traits, dict):
                private |= {traits[name] for name in ("email", "name", "phone") if isinstance(traits.get(name), str)}
        assert len(private) > 300
        assert [value for value in private if value and value in everything] == []
