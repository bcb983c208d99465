"""Metrics of what Redis holds: counted at a bounded cost, and missing while Redis is away."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import CollectorRegistry

from tests.support.project.metrics import REPORT
from tests.support.syncs.syncs import RETENTION_MS, STALL_MS
from worker.errors import StoreUnavailable
from worker.jobs.job_payloads import sync_payload
from worker.metrics.redis_metrics import FRESH_S, RedisMetrics
from worker.models.request import SyncRequest
from worker.models.sync import SyncState
from worker.store import ClientSyncStore, StorePool, WorkerRegistry, keys, report
from worker.store.report import StoreReport, read_report, take_census


async def create(pool: StorePool, sync_id: str, request: SyncRequest) -> None:
    store = ClientSyncStore(pool, stall_ms=STALL_MS, retention_ms=RETENTION_MS)
    await store.create(sync_id, request, sync_payload(sync_id, "walk", 1))


async def test_syncs_are_counted_by_state_with_the_age_of_the_oldest(pool: StorePool) -> None:
    for number in range(3):
        await create(pool, f"s{number}", SyncRequest(space_id=f"spa_{number}"))
    await pool.hset(keys.sync("s1"), "state", "failed")
    await pool.hset(keys.sync("s2"), "created_at", str(int((time.time() - 90) * 1000)))
    await pool.zadd(keys.DUE, {"s0 3": 5.0, "gone": 6.0})  # a batch of a sync, and an entry whose sync is gone
    census = await take_census(pool)
    assert {state: count for state, count in census.by_state.items() if count} == {
        SyncState.QUEUED: 2,
        SyncState.FAILED: 1,
    }
    assert set(census.by_state) == set(SyncState)
    assert 80 < census.oldest_waiting_s < 10_000


async def test_the_last_complete_sync_of_a_space_comes_from_its_history(pool: StorePool) -> None:
    default, saas = SyncRequest(space_id="spa"), SyncRequest(space_id="spa", collection="accounts")
    for number, request in enumerate((default, saas, SyncRequest(space_id="new"))):
        await create(pool, f"s{number}", request)
    await pool.lpush(keys.history(default.identity), '{"read_to":1000.5}')
    await pool.lpush(keys.history(saas.identity), '{"read_to":2000.5}')
    await pool.lpush(keys.history("of a newer version"), "{}")
    assert (await take_census(pool)).last_complete == {"spa": 2000.5}


async def test_a_census_looks_at_a_bounded_number_of_syncs(
    fake_pool: StorePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MAX_SYNCS", 2)
    monkeypatch.setattr(report, "MAX_SPACES", 1)
    for number in range(6):
        request = SyncRequest(space_id=f"spa_{number}")
        await create(fake_pool, f"s{number}", request)
        await fake_pool.lpush(keys.history(request.identity), '{"read_to":1.0}')
    census = await take_census(fake_pool)
    assert census.by_state[SyncState.QUEUED] <= 4
    assert len(census.last_complete) == 1


async def test_metrics_show_persistence_workers_and_syncs_of_a_real_redis(real_pool: StorePool) -> None:
    registry = WorkerRegistry(real_pool, lifetime_s=60)
    await registry.heartbeat("host", 1)
    await create(real_pool, "s0", SyncRequest(space_id="spa"))
    text = (await RedisMetrics(CollectorRegistry(), lambda: read_report(real_pool, registry)).text()).decode()
    for line in ("redis_up 1.0", "workers 1.0", "waiting_syncs 1.0", 'syncs{state="queued"} 1.0', "redis_append_only "):
        assert f"segment_personas_{line}" in text


async def test_redis_is_asked_once_while_values_are_fresh() -> None:
    now, answers = 100.0, 0

    async def read() -> StoreReport:
        nonlocal answers
        answers += 1
        if answers > 1:
            raise StoreUnavailable("away")
        return REPORT

    metrics = RedisMetrics(CollectorRegistry(), read, clock=lambda: now)
    texts = [text.decode() for text in await asyncio.gather(metrics.text(), metrics.text())]
    assert answers == 1
    assert all("segment_personas_redis_up 1.0" in text for text in texts)
    now += FRESH_S
    away = (await metrics.text()).decode()
    assert "segment_personas_redis_up 0.0" in away
    assert "segment_personas_workers" not in away
