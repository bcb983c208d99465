"""A suspect, whose jobs are lost again and again, runs alone on a worker until it makes progress."""

from __future__ import annotations

import pytest

from tests.support.syncs.syncs import REQUEST, Syncs
from worker.jobs.job_payloads import sync_payload
from worker.models.sync import SyncState
from worker.store import StorePool, keys
from worker.store.keys import QUEUE

SUSPECT, OTHER = "s1:walk:1", "s2:walk:1"


@pytest.fixture
async def syncs(pool: StorePool) -> Syncs:
    """Two syncs that wait, a suspect before another."""
    syncs = Syncs(pool)
    for number in (1, 2):
        request = REQUEST.model_copy(update={"space_id": f"s{number}"})
        await syncs.client.create(f"s{number}", request, sync_payload(f"s{number}", "walk", 1))
        await pool.zadd(QUEUE, {f"s{number}:walk:1": number})
    await pool.hset(keys.sync("s1"), "revivals", "2")
    return syncs


async def take(syncs: Syncs, *running: str) -> tuple[list[str], bool]:
    taken = await syncs.queue.take_jobs(5, 60, running=running)
    return [job.job_id.decode() for job in taken.jobs], taken.waits_for_suspect


async def age(syncs: Syncs, job_id: str, seconds: int) -> None:
    now, _ = await syncs.pool.time()
    await syncs.pool.hset(keys.sync("s1"), "suspect", f"{job_id} {(now - seconds) * 1000}")


async def test_a_suspect_waits_for_a_worker_that_runs_nothing(syncs: Syncs) -> None:
    assert await take(syncs, "x:walk:1") == ([], True)
    assert await take(syncs, "x:walk:1", "y:walk:1") == ([], True)
    assert await take(syncs) == ([SUSPECT], False)


async def test_a_worker_that_runs_a_suspect_takes_nothing_until_it_makes_progress(syncs: Syncs) -> None:
    assert await take(syncs) == ([SUSPECT], False)
    assert await take(syncs, SUSPECT) == ([], True)
    await syncs.pool.hset(keys.sync("s1"), "revivals", "0")
    assert await take(syncs, SUSPECT) == ([OTHER], False)


async def test_a_worker_without_the_suspect_takes_the_other(syncs: Syncs) -> None:
    assert await take(syncs) == ([SUSPECT], False)
    assert await take(syncs, "x:walk:1") == ([OTHER], False)


async def test_nothing_waits_for_a_suspect_longer_than_a_minute(syncs: Syncs) -> None:
    assert await take(syncs, "x:walk:1") == ([], True)
    await age(syncs, SUSPECT, 61)
    assert await take(syncs, "x:walk:1") == ([SUSPECT, OTHER], False)


async def test_a_suspect_runs_alone_for_a_minute_at_most(syncs: Syncs) -> None:
    assert await take(syncs) == ([SUSPECT], False)
    await age(syncs, SUSPECT, 61)
    assert await take(syncs, SUSPECT) == ([OTHER], False)


async def test_a_time_of_before_the_clock_was_set_back_is_over(syncs: Syncs) -> None:
    await age(syncs, SUSPECT, -3600)
    assert await take(syncs, "x:walk:1") == ([SUSPECT, OTHER], False)


async def test_a_job_lost_once_is_not_a_suspect(syncs: Syncs) -> None:
    await syncs.pool.hset(keys.sync("s1"), "revivals", "1")
    assert await take(syncs, "x:walk:1") == ([SUSPECT, OTHER], False)


async def test_a_batch_that_was_lost_twice_is_a_suspect(syncs: Syncs) -> None:
    await syncs.pool.zrem(QUEUE, SUSPECT)
    await syncs.pool.zadd(QUEUE, {"s1:batch:0:1:3": 1})
    await syncs.pool.set("arq:job:s1:batch:0:1:3", b"a job")
    await syncs.pool.hset(keys.sync("s1"), mapping={"revivals": "0", "slot:0": "1 3 2 - 0 work"})
    assert await take(syncs, "x:walk:1") == ([], True)
    assert await take(syncs) == (["s1:batch:0:1:3"], False)


@pytest.mark.parametrize(("before", "waits"), [(0, False), (1, True)])
async def test_only_a_job_that_was_lost_before_starts_later(syncs: Syncs, before: int, waits: bool) -> None:
    """So that the jobs of a dead worker do not start together again."""
    await syncs.pool.hset(keys.sync("s1"), "revivals", before)
    await syncs.queue.drop_job(SUSPECT.encode())
    await syncs.pool.zadd(keys.DUE, {"s1": 1})
    following = sync_payload("s1", "walk", 2)
    done = await syncs.watchdog.revive_sync(
        "s1", SyncState.QUEUED, 1, following, max_revivals=5, message="", spread_s=30
    )
    assert done == "revived"
    score = await syncs.pool.zscore(QUEUE, "s1:walk:2")
    now, _ = await syncs.pool.time()
    assert score is not None
    assert (score > (now + 20) * 1000) is waits
