"""How long Redis has had its data: the time since its run began or its data changed."""

from __future__ import annotations

import asyncio
import math

import pytest

from tests.support.syncs.syncs import Syncs
from worker.store import StorePool, keys


async def test_of_a_run_that_has_always_been_there_its_age_counts(syncs: Syncs) -> None:
    run, age_s = await syncs.pool.server_run()
    await syncs.pool.hset(keys.RUN, mapping={"id": run, "at": ""})
    for _ in range(2):
        seen, steady_s = await syncs.personas.redis_run()
        assert seen == run
        assert steady_s >= age_s


async def test_data_that_does_not_know_its_run_may_have_been_emptied(pool: StorePool) -> None:
    syncs = Syncs(pool)
    _, age_s = await pool.server_run()
    for _ in range(2):
        assert (await syncs.personas.redis_run())[1] == (age_s if age_s == math.inf else pytest.approx(0, abs=60))
    marked = await pool.hash_field(keys.RUN, "at")
    assert bool(marked) is (age_s != math.inf)


async def test_after_a_change_of_redis_the_time_since_then_counts(syncs: Syncs) -> None:
    await syncs.pool.hset(keys.RUN, mapping={"id": "an earlier run", "at": ""})
    run, steady_s = await syncs.personas.redis_run()
    assert steady_s == 0
    assert 0 <= (await syncs.personas.redis_run())[1] < 60
    _, age_s = await syncs.pool.server_run()
    await syncs.pool.hincrby(keys.RUN, "at", -100_000)
    assert (await syncs.personas.redis_run())[1] >= min(age_s, 100)
    await syncs.pool.hset(keys.RUN, "id", "another earlier run")
    again, steady_s = await syncs.personas.redis_run()
    assert (again.partition("@")[0], steady_s) == (run.partition("@")[0], 0)
    assert await syncs.pool.pttl(keys.RUN) == -1


async def test_a_clock_that_was_set_back_since_a_change_makes_nothing_older(syncs: Syncs) -> None:
    await syncs.pool.hset(keys.RUN, mapping={"id": "an earlier run", "at": ""})
    await syncs.personas.redis_run()
    await syncs.pool.hincrby(keys.RUN, "at", 3_600_000)
    assert (await syncs.personas.redis_run())[1] == 0


async def test_a_redis_that_was_emptied_is_another_run(real_pool: StorePool) -> None:
    syncs = Syncs(real_pool)
    before, _ = await syncs.personas.redis_run()
    assert (await syncs.personas.redis_run())[0] == before
    await asyncio.sleep(0.002)
    await real_pool.flushall()
    after, steady_s = await syncs.personas.redis_run()
    assert after != before
    assert steady_s == 0
