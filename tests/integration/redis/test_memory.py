"""What a finished sync takes of Redis, and what of it expires when."""

from __future__ import annotations

import orjson

from producer.sandbox import Fault, SpaceSpec
from tests.support.sandbox.prebuilt_sandbox import PrebuiltSandbox
from tests.support.scenarios.checks import until
from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.web_server import answer, serving
from worker.models.sync import Sync, SyncState
from worker.store import keys

MIB = 1 << 20
DAY_MS = 86_400_000
WHOLE_LISTING = {"LEASE_S": "60"}
"""One walk: the pages below are answered once and in order."""


async def memory(scenario: Scenario, sync: Sync) -> dict[str, int]:
    """Bytes of each key of a sync."""
    found = [key async for key in scenario.pool.scan_iter(match=f"sp:*{sync.id}*")]
    return {key.decode(): int(await scenario.pool.memory_usage(key, samples=0) or 0) for key in found}


async def test_a_sync_takes_some_kilobytes_at_any_number_of_profiles(
    session_redis: RedisServer, start_worker: Start
) -> None:
    spaces = {"spa_small": SpaceSpec(2000, "mixed"), "spa_large": SpaceSpec(10_000, "mixed")}
    async with start_scenario(
        session_redis, start_worker, spaces, sandbox_type=PrebuiltSandbox, page_size=40
    ) as scenario:
        scenario.worker()
        small, large = [await scenario.sync(space) for space in spaces]
        assert large.profiles > 4.9 * small.profiles > 9000
        taken = {sync.id: sum((await memory(scenario, sync)).values()) for sync in (small, large)}
        # What still grows is which of the bounded number of buckets of each number have a value.
        assert taken[large.id] < 1.5 * taken[small.id]
        assert taken[large.id] < 64 * 1024


async def test_thousands_of_categories_keep_a_sync_under_a_mebibyte(
    session_redis: RedisServer, start_worker: Start
) -> None:
    # In every cluster, every profile has an industry and a plan of its own, of the longest that counts.
    numbers = [(1200, 8, 0.05), (450, 3, 0.22), (85, 1, 0.65), (50, 0, 0.3)]
    pages = []
    for page in range(40):
        profiles = []
        for i in range(page * 200, page * 200 + 200):
            ltv, purchases, churn = numbers[i % 4]
            traits = {"ltv": ltv, "purchase_count": purchases, "churn_risk": churn}
            profiles.append({"traits": {**traits, "industry": f"{i:é>80}", "plan": f"{i:ü>80}"}})
        cursor = None if page == 39 else f"cursor-{page}"
        pages.append(answer(body=orjson.dumps({"data": {"profiles": profiles, "cursor": cursor}})))
    async with (
        serving(*pages) as segment,
        start_scenario(session_redis, start_worker, settings=WHOLE_LISTING) as scenario,
    ):
        scenario.worker(SEGMENT_BASE_URL=segment.url)
        sync = await scenario.sync()
        assert sync.state is SyncState.COMPLETED, sync.error
        assert (sync.profiles, len(sync.outcomes)) == (8000, 4)
        taken = await memory(scenario, sync)
        assert sum(taken.values()) < MIB, taken


async def test_an_ended_sync_expires_after_the_retention_and_its_personas_never(
    session_redis: RedisServer, start_worker: Start
) -> None:
    spaces = {name: SpaceSpec(60, "recipe") for name in ("spa", "spa_failed", "spa_cancelled")}
    async with start_scenario(session_redis, start_worker, spaces, settings={"RETENTION_DAYS": "2"}) as scenario:
        scenario.worker()
        scenario.sandbox.add_fault(Fault("segment", "status", space="spa_failed", status=401))
        scenario.sandbox.add_fault(Fault("segment", "hold", space="spa_cancelled"))
        request = (await scenario.enqueue("spa_cancelled")).request
        held = await scenario.client.enqueue(request, idempotency_key="night 7")
        running = await _lifetimes(scenario, held)
        assert running == {keys.sync(held.id): -1}
        ended = [
            await scenario.sync(),
            await scenario.sync("spa_failed"),
            await scenario.client.cancel(held.id),
        ]
        assert [sync.state for sync in ended] == [SyncState.COMPLETED, SyncState.FAILED, SyncState.CANCELLED]
        for sync in ended:
            lifetimes = await _lifetimes(scenario, sync)
            assert keys.sync(sync.id) in lifetimes
            assert {key: left for key, left in lifetimes.items() if not 1.9 * DAY_MS < left <= 2 * DAY_MS} == {}
        assert await scenario.pool.pttl(keys.personas(scenario.account)) == -1
        scenario.sandbox.clear_faults()
        await scenario.assert_clean()

        # A resumed sync is kept again for as long as it runs.
        scenario.sandbox.add_fault(Fault("segment", "hold", space="spa_failed"))
        resumed = await scenario.client.resume(ended[1].id)
        assert set((await _lifetimes(scenario, resumed)).values()) == {-1}


async def test_a_key_of_a_request_is_kept_as_long_as_its_sync(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker, settings={"RETENTION_DAYS": "2"}) as scenario:
        scenario.worker()
        sync = await scenario.client.enqueue((await scenario.enqueue()).request, force=True, idempotency_key="night 7")
        await scenario.ended(sync)
        assert 1.9 * DAY_MS < await scenario.pool.pttl(keys.request("night 7")) <= 2 * DAY_MS


async def test_an_expired_sync_leaves_its_persona_records_and_nothing_else(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, settings={"RETENTION_DAYS": str(1 / 86_400)}) as scenario:
        worker = scenario.worker()
        sync = await scenario.enqueue()
        await scenario.sandbox.journal.wait_answered("mavera.create", 3)
        await until(lambda: _is_gone(scenario, sync))
        assert worker.terminate() == 0
        left = [key.decode() async for key in scenario.pool.scan_iter(match="*") if sync.id.encode() in key]
        assert left == []
        assert len(await scenario.persona_store().all_records()) == 3
        # The next sync finds them there.
        scenario.worker()
        again = await scenario.enqueue()
        await until(lambda: _has_seen_all(scenario, again))
        assert (len(scenario.sandbox.posts), scenario.sandbox.patches) == (3, [])


async def _lifetimes(scenario: Scenario, sync: Sync) -> dict[str, int]:
    """Milliseconds that each key of a sync has left; -1: it is kept."""
    found = [key async for key in scenario.pool.scan_iter(match=f"sp:*{sync.id}*")]
    return {key.decode(): await scenario.pool.pttl(key) for key in found}


async def _has_seen_all(scenario: Scenario, sync: Sync) -> bool:
    records = await scenario.persona_store().all_records()
    return {record.sync_id for record in records.values()} == {sync.id}


async def _is_gone(scenario: Scenario, sync: Sync) -> bool:
    return not await scenario.pool.exists(keys.sync(sync.id))
