"""A look at the queue, and at what is due, costs what is due and not what is there: commands are counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.support.syncs.syncs import REQUEST, Syncs
from worker.jobs.job_payloads import sync_payload
from worker.store import StorePool, keys
from worker.store.connection.run_watch import RedisRunWatch

MANY = 1000


async def commands_of(pool: StorePool, run: Callable[[], Awaitable[object]]) -> int:
    """How many commands Redis runs for `run`, those of scripts included."""
    await run()  # the script is known from here on
    await pool.config_resetstat()
    await run()
    return sum(row["calls"] for row in (await pool.info("commandstats")).values())


async def enqueue(syncs: Syncs, number: int, first: int = 0) -> None:
    for i in range(first, first + number):
        sync_id = f"s{i}"
        request = REQUEST.model_copy(update={"space_id": sync_id})
        await syncs.client.create(sync_id, request, sync_payload(sync_id, "walk", 1))


async def test_a_look_at_the_queue_costs_the_same_however_many_wait_or_are_taken(real_pool: StorePool) -> None:
    syncs = Syncs(real_pool)
    await enqueue(syncs, 10)
    few = await commands_of(real_pool, lambda: syncs.queue.take_jobs(1, 60))
    await enqueue(syncs, MANY, first=10)
    assert len((await syncs.queue.take_jobs(MANY // 2, 60)).jobs) >= 400
    assert await commands_of(real_pool, lambda: syncs.queue.take_jobs(1, 60)) <= few


async def test_the_watchdog_looks_only_at_what_is_due(real_pool: StorePool) -> None:
    syncs = Syncs(real_pool)
    await enqueue(syncs, 10)
    few = await commands_of(real_pool, syncs.watchdog.due)
    await enqueue(syncs, MANY, first=10)
    assert await commands_of(real_pool, syncs.watchdog.due) <= few


async def test_everything_due_is_checked_and_what_waits_is_postponed(real_pool: StorePool) -> None:
    syncs = Syncs(real_pool)
    await enqueue(syncs, MANY)
    await real_pool.zadd(keys.DUE, {f"s{i}": 1 for i in range(MANY)})
    await real_pool.zrem(keys.QUEUE, *(f"s{i}:walk:1" for i in range(0, MANY, 2)))
    assert len(await syncs.watchdog.due()) == MANY // 2
    assert await real_pool.zcount(keys.DUE, "-inf", 1) == MANY // 2


async def test_a_redis_without_a_run_id_has_just_begun_until_it_was_watched() -> None:
    now = 100.0
    watch = RedisRunWatch(lambda: now)
    assert watch.age_s() == 0
    run, now = watch.run, 130.0
    assert (watch.age_s(), watch.run) == (30, run)
    watch.start_new_run()
    assert watch.age_s() == 0
    assert watch.run != run
