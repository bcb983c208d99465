"""What a finished sync takes of Redis, and what of it expires when."""

from __future__ import annotations

import orjson

from producer.sandbox import Fault, SpaceSpec
from tests.support.checks import until
from tests.support.redis_server import RedisServer
from tests.support.stage import Stage, Start, staged
from tests.support.web_server import answer, serving
from worker.models.sync import Sync, SyncState
from worker.store import keys

MIB = 1 << 20
DAY_MS = 86_400_000
WHOLE_LISTING = {"LEASE_S": "60"}
"""One walk: the pages below are answered once and in order."""


async def memory(stage: Stage, sync: Sync) -> dict[str, int]:
    """Bytes of each key of a sync."""
    found = [key async for key in stage.pool.scan_iter(match=f"sp:*{sync.id}*")]
    return {key.decode(): int(await stage.pool.memory_usage(key, samples=0) or 0) for key in found}


async def test_a_sync_takes_some_kilobytes_at_any_number_of_profiles(
    session_redis: RedisServer, start_worker: Start
) -> None:
    spaces = {"spa_small": SpaceSpec(10_000, "mixed"), "spa_large": SpaceSpec(50_000, "mixed")}
    async with staged(session_redis, start_worker, spaces, prebuilt=True) as stage:
        stage.worker()
        small, large = [await stage.sync(space) for space in spaces]
        assert large.profiles > 4.9 * small.profiles > 40_000
        taken = {sync.id: sum((await memory(stage, sync)).values()) for sync in (small, large)}
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
    async with serving(*pages) as segment, staged(session_redis, start_worker, settings=WHOLE_LISTING) as stage:
        stage.worker(SEGMENT_BASE_URL=segment.url)
        sync = await stage.sync()
        assert sync.state is SyncState.COMPLETED, sync.error
        assert (sync.profiles, len(sync.outcomes)) == (8000, 4)
        taken = await memory(stage, sync)
        assert sum(taken.values()) < MIB, taken


async def test_an_ended_sync_expires_after_the_retention_and_its_personas_never(
    session_redis: RedisServer, start_worker: Start
) -> None:
    spaces = {name: SpaceSpec(60, "recipe") for name in ("spa", "spa_failed", "spa_cancelled")}
    async with staged(session_redis, start_worker, spaces, settings={"RETENTION_DAYS": "2"}) as stage:
        stage.worker()
        stage.sandbox.add_fault(Fault("segment", "status", space="spa_failed", status=401))
        stage.sandbox.add_fault(Fault("segment", "hold", space="spa_cancelled"))
        request = (await stage.enqueue("spa_cancelled")).request
        held = await stage.client.enqueue(request, idempotency_key="night 7")
        running = await _lifetimes(stage, held)
        assert running == {keys.sync(held.id): -1}
        ended = [
            await stage.sync(),
            await stage.sync("spa_failed"),
            await stage.client.cancel(held.id),
        ]
        assert [sync.state for sync in ended] == [SyncState.COMPLETED, SyncState.FAILED, SyncState.CANCELLED]
        for sync in ended:
            lifetimes = await _lifetimes(stage, sync)
            assert keys.sync(sync.id) in lifetimes
            assert {key: left for key, left in lifetimes.items() if not 1.9 * DAY_MS < left <= 2 * DAY_MS} == {}
        assert await stage.pool.pttl(keys.personas(stage.account)) == -1
        stage.sandbox.clear_faults()
        await stage.assert_clean()

        # A resumed sync is kept again for as long as it runs.
        stage.sandbox.add_fault(Fault("segment", "hold", space="spa_failed"))
        resumed = await stage.client.resume(ended[1].id)
        assert set((await _lifetimes(stage, resumed)).values()) == {-1}


async def test_a_key_of_a_request_is_kept_as_long_as_its_sync(session_redis: RedisServer, start_worker: Start) -> None:
    async with staged(session_redis, start_worker, settings={"RETENTION_DAYS": "2"}) as stage:
        stage.worker()
        sync = await stage.client.enqueue((await stage.enqueue()).request, force=True, idempotency_key="night 7")
        await stage.ended(sync)
        assert 1.9 * DAY_MS < await stage.pool.pttl(keys.request("night 7")) <= 2 * DAY_MS


async def test_an_expired_sync_leaves_its_persona_records_and_nothing_else(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with staged(session_redis, start_worker, settings={"RETENTION_DAYS": str(1 / 86_400)}) as stage:
        worker = stage.worker()
        sync = await stage.enqueue()
        await stage.sandbox.journal.wait_answered("mavera.create", 3)
        await until(lambda: _is_gone(stage, sync))
        assert worker.terminate() == 0
        left = [key.decode() async for key in stage.pool.scan_iter(match="*") if sync.id.encode() in key]
        assert left == []
        assert len(await stage.persona_store().all()) == 3
        # The next sync finds them there.
        stage.worker()
        again = await stage.enqueue()
        await until(lambda: _has_seen_all(stage, again))
        assert (len(stage.sandbox.posts), stage.sandbox.patches) == (3, [])


async def _lifetimes(stage: Stage, sync: Sync) -> dict[str, int]:
    """Milliseconds that each key of a sync has left; -1: it is kept."""
    found = [key async for key in stage.pool.scan_iter(match=f"sp:*{sync.id}*")]
    return {key.decode(): await stage.pool.pttl(key) for key in found}


async def _has_seen_all(stage: Stage, sync: Sync) -> bool:
    records = await stage.persona_store().all()
    return {record.sync_id for record in records.values()} == {sync.id}


async def _is_gone(stage: Stage, sync: Sync) -> bool:
    return not await stage.pool.exists(keys.sync(sync.id))
