"""The order in which jobs are taken: syncs that began first finish first, and none keeps the others from beginning."""

from __future__ import annotations

import asyncio

from tests.support.syncs.syncs import PAGE, REQUEST, Syncs, after
from worker.jobs.job_payloads import sync_payload
from worker.models.sync import SyncState
from worker.store import StorePool, keys
from worker.store.progress.sync_progress import new_token


async def _create(syncs: Syncs, *names: str) -> None:
    """New syncs, each at least a millisecond younger than the one before."""
    for name in names:
        await syncs.create(name, REQUEST.model_copy(update={"space_id": name}))
        await asyncio.sleep(0.002)


async def _taken(syncs: Syncs, most: int = 50) -> list[str]:
    return [job.job_id.decode() for job in (await syncs.queue.take_jobs(most, 60)).jobs]


async def _read_all(syncs: Syncs, name: str) -> None:
    """A sync's walk reads its only page and leaves it to the finalizer."""
    lease = (await syncs.begin(name)).lease
    finalizer = sync_payload(name, "finalize", lease.epoch + 1)
    first = PAGE.__class__(pages=1, profiles=200, complete=True, aggregate=b"statistics")
    await syncs.jobs.commit(lease, first, new_token(), move="finalize", payload=finalizer)


async def test_a_finalizer_goes_before_the_fetch_jobs_of_all_younger_syncs(pool: StorePool) -> None:
    syncs = Syncs(pool)
    await _create(syncs, "a", "b", "c", "d")
    assert await _taken(syncs, 1) == ["a:walk:1"]
    await _read_all(syncs, "a")
    assert await _taken(syncs) == ["a:finalize:2", "b:walk:1", "c:walk:1", "d:walk:1"]


async def test_a_finalizer_goes_before_fetch_jobs_that_were_handed_over(pool: StorePool) -> None:
    syncs = Syncs(pool)
    await _create(syncs, "huge", "small")
    await _taken(syncs)
    lease = (await syncs.begin("huge")).lease
    await syncs.jobs.commit(lease, PAGE.__class__(pages=1), new_token(), move="walk", payload=after(lease))
    await asyncio.sleep(0.002)
    await _read_all(syncs, "small")
    assert await _taken(syncs) == ["small:finalize:2", "huge:walk:2"]


async def test_the_next_fetch_job_of_a_sync_goes_behind_those_that_wait(pool: StorePool) -> None:
    """Or a huge space would keep small ones that came after it from beginning."""
    syncs = Syncs(pool)
    await _create(syncs, "huge", "small", "smaller")
    assert await _taken(syncs, 1) == ["huge:walk:1"]
    lease = (await syncs.begin("huge")).lease
    await syncs.jobs.commit(lease, PAGE.__class__(pages=1), new_token(), move="walk", payload=after(lease))
    await asyncio.sleep(0.002)
    await _create(syncs, "new")
    assert await _taken(syncs) == ["small:walk:1", "smaller:walk:1", "huge:walk:2", "new:walk:1"]


async def test_a_delayed_finalizer_is_taken_by_age_once_it_is_due(pool: StorePool) -> None:
    syncs = Syncs(pool)
    await _create(syncs, "a", "b", "c")
    assert await _taken(syncs, 1) == ["a:walk:1"]
    await _read_all(syncs, "a")
    assert await _taken(syncs, 1) == ["a:finalize:2"]
    lease = (await syncs.begin("a")).lease
    await syncs.jobs.hand_over(lease, sync_payload("a", "finalize", 3), new_token(), delay_s=600)
    assert await _taken(syncs, 1) == ["b:walk:1"]  # its time has not come
    await pool.zadd(keys.later(""), {"a:finalize:3": 0}, xx=True)
    assert await _taken(syncs) == ["a:finalize:3", "c:walk:1"]
    assert await pool.exists(keys.later("")) == 0


async def test_cancelling_a_sync_removes_its_delayed_finalizer(pool: StorePool) -> None:
    syncs = Syncs(pool)
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.jobs.hand_over(lease, after(lease), new_token(), delay_s=60)
    assert await pool.zcard(keys.later("")) == 1
    await syncs.client.cancel("s1")
    assert await pool.exists(keys.later(""), keys.QUEUE) == 0


async def test_a_sync_from_after_a_clock_was_set_back_is_as_old_as_now(pool: StorePool) -> None:
    syncs = Syncs(pool)
    lease = await syncs.lease(SyncState.FETCHING)
    await pool.hset(keys.sync("s1"), "created_at", "99999999999999")
    await syncs.jobs.commit(lease, PAGE, new_token(), move="finalize", payload=sync_payload("s1", "finalize", 2))
    assert "s1:finalize:2" in await _taken(syncs)


async def test_what_is_in_the_way_of_the_noted_finalizers_is_removed(pool: StorePool) -> None:
    syncs = Syncs(pool)
    await pool.set(keys.later(""), "no sorted set")
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.jobs.hand_over(lease, after(lease), new_token(), delay_s=0.02)
    await asyncio.sleep(0.03)
    assert "s1:finalize:3" in await _taken(syncs)
    assert await pool.exists(keys.later("")) == 0
