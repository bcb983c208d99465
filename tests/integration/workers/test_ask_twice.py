"""Ask twice, run once: the same request is the same sync while it is under way, and the same key for as long as it is
kept."""

from __future__ import annotations

import asyncio

import pytest

from producer import SyncClient, SyncConflict, SyncRequest
from tests.support.scenarios.scenario import RECIPE, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.models.sync import SyncState
from worker.store import keys

SPACES = {"spa": RECIPE, "spa_other": RECIPE}
REQUEST = SyncRequest(space_id="spa")


async def test_the_same_request_returns_the_sync_that_is_under_way(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, SPACES) as scenario:
        first = await scenario.client.enqueue(REQUEST)
        assert (await scenario.client.enqueue(REQUEST)).id == first.id
        # Another space, or another collection, is another sync.
        others = [SyncRequest(space_id="spa_other"), SyncRequest(space_id="spa", collection="accounts")]
        assert len({first.id, *[(await scenario.client.enqueue(other)).id for other in others]}) == 3
        scenario.worker()
        await scenario.assert_bought_once(await scenario.ended(first))
        # It has ended: the next request starts a new one.
        again = await scenario.sync()
        assert again.id != first.id
        assert scenario.sandbox.journal.times("segment.page", "spa_other") != []
        assert len(scenario.sandbox.posts) == 3 * 3


async def test_twenty_requests_at_once_are_one_sync(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        syncs = await asyncio.gather(*(scenario.client.enqueue(REQUEST) for _ in range(20)))
        assert len({sync.id for sync in syncs}) == 1
        await scenario.assert_bought_once(await scenario.ended(syncs[0]))
        assert len(await scenario.client.list()) == 1
        assert scenario.sandbox.journal.count("segment.page") == 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_profiles": 10}, "max-profiles 10 instead of unset"),
        ({"min_cluster_size": 5}, "min-cluster-size 5 instead of 3"),
        ({"mode": "create"}, "mode create instead of upsert"),
    ],
)
async def test_other_options_are_refused_by_name_unless_forced(
    options: dict[str, object], named: str, session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        first = await scenario.client.enqueue(REQUEST)
        other = SyncRequest(space_id="spa", **options)  # type: ignore[arg-type]
        with pytest.raises(SyncConflict, match=named) as refused:
            await scenario.client.enqueue(other)
        assert first.id in str(refused.value)
        assert await scenario.pool.zcard(keys.QUEUE) == 1
        forced = await scenario.client.enqueue(other, force=True)
        assert forced.id != first.id
        # Each request now means the one that it started.
        assert (await scenario.client.enqueue(REQUEST)).id == first.id
        assert (await scenario.client.enqueue(other)).id == forced.id


async def test_the_same_key_never_starts_a_second_sync(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        asked = [scenario.client.enqueue(REQUEST, idempotency_key="night 7", force=bool(i % 2)) for i in range(20)]
        (sync_id,) = {sync.id for sync in await asyncio.gather(*asked)}
        sync = await scenario.client.wait(sync_id)
        await scenario.assert_bought_once(sync)
        # Nor after it has ended, forced or not.
        for force in (False, True):
            again = await scenario.client.enqueue(REQUEST, idempotency_key="night 7", force=force)
            assert (again.id, again.state) == (sync.id, SyncState.COMPLETED)
        with pytest.raises(SyncConflict, match="max-profiles"):
            await scenario.client.enqueue(SyncRequest(space_id="spa", max_profiles=5), idempotency_key="night 7")
        assert len(await scenario.client.list()) == 1
        # Another key is another request.
        assert (await scenario.client.enqueue(REQUEST, idempotency_key="night 8")).id != sync.id


async def test_a_key_is_bound_to_its_first_request_while_the_sync_runs(redis_server: RedisServer) -> None:
    async with SyncClient(redis_server.url) as client:
        plan = SyncRequest(space_id="spa", plan_only=True, max_credits=300)
        sync = await client.enqueue(plan, idempotency_key="night 7")
        for other in (SyncRequest(space_id="spa", max_profiles=5), SyncRequest(space_id="spa", max_credits=300)):
            with pytest.raises(SyncConflict) as used:
                await client.enqueue(other, idempotency_key="night 7")
            assert used.value.code == "idempotency_key_used"
        # `apply` and `resume` change what the sync does, and not what the key was used for.
        with redis_server.client() as redis:
            redis.hset(keys.sync(sync.id), "request", plan.applied_within(900).model_dump_json())
        assert (await client.enqueue(plan, idempotency_key="night 7")).id == sync.id
