"""Four limiters on one real Redis: what it gives out keeps the limit to the microsecond, and so does what is sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

from tests.support.servers.redis_server import RedisServer
from worker.models.allowance import Allowance
from worker.store import Limiter, RateScope, StorePool, keys, redis_pool
from worker.store.connection.pool import closing
from worker.store.ratelimit.rate_scope import BURST_S

CALLERS = 4
CLOCKS_S = 0.001  # by which the wall clock and the monotonic clock of one machine may differ after a second
SCOPE = RateScope("shared", gap_s=0.004, most=20, window_s=1)


@pytest.fixture
async def pools(real_pool: StorePool, session_redis: RedisServer) -> AsyncIterator[list[StorePool]]:
    """A client for each caller, as if each were a worker."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(closing(redis_pool(session_redis.url, max_wait_s=30)))
            for _ in range(CALLERS)
        ]


async def test_four_callers_keep_one_window_on_a_real_redis(pools: list[StorePool]) -> None:
    sent: list[float] = []
    looks: list[list[int]] = []

    async def caller(pool: StorePool) -> None:
        one = Limiter(pool, SCOPE)
        for _ in range(15):
            await one.wait_for_slot(60)
            sent.append(time.time())
            looks.append([int(slot) for slot in await pool.lrange(keys.limit("shared") + ":log", 0, -1)])

    await asyncio.gather(*(caller(pool) for pool in pools))

    assert len(sent) == 60
    for slots in looks:
        assert min((later - earlier for earlier, later in pairwise(slots)), default=4_000) >= 4_000
        windows_us = [later - earlier for earlier, later in zip(slots, slots[20:], strict=False)]
        assert min(windows_us, default=1_000_000) >= 1_000_000
    # No request goes out before its slot. How much later it does is up to the machine: what a server then counts is
    # tested in virtual time, in `test_limiter_full_speed`.
    given_out = sorted({slot for slots in looks for slot in slots})
    assert all(at >= slot / 1e6 - CLOCKS_S for at, slot in zip(sorted(sent), given_out, strict=False))


async def test_a_penalty_of_one_holds_for_all_on_a_real_redis(pools: list[StorePool]) -> None:
    limiters = [Limiter(pool, SCOPE) for pool in pools]
    await asyncio.gather(*(one.wait_for_slot(60) for one in limiters))
    penalised_at = time.monotonic()
    await limiters[0].penalise(0.4)
    await asyncio.gather(*(one.wait_for_slot(60) for one in limiters))
    assert time.monotonic() - penalised_at >= 0.4


async def test_four_processes_share_one_pace_on_a_real_redis(pools: list[StorePool]) -> None:
    # 200 a second. The log forgets what is older than two windows, which must not be while the test lasts.
    scope = RateScope("paced", most=200 * 60, window_s=60, paced=True, margin=0.04)

    async def caller(one: Limiter) -> None:
        for _ in range(10):
            await one.wait_for_slot(60)

    limiters = [Limiter(pool, scope) for pool in pools]
    await asyncio.gather(*(caller(one) for one in limiters for _ in range(5)))
    slots = [int(slot) for slot in await pools[0].lrange(keys.limit("paced") + ":log", 0, -1)]
    assert len(slots) == 200  # a slot that was not used was given back
    assert slots == sorted(slots)
    pace_us = 1e6 / (200 * 0.96)
    assert min(last - first for first, last in zip(slots, slots[100:], strict=False)) >= 100 * pace_us - BURST_S * 1e6


async def test_a_limit_that_one_worker_learns_slows_all_on_a_real_redis(pools: list[StorePool]) -> None:
    scope = RateScope.per_second("heard", 1000)
    limiters = [Limiter(pool, scope) for pool in pools]
    limiters[0].learn_limit(Allowance(20))
    await limiters[0].wait_for_slot(60)
    began_at = time.monotonic()
    await asyncio.gather(*(one.wait_for_slot(60) for one in limiters for _ in range(4)))
    assert time.monotonic() - began_at >= 15 * 0.05 - BURST_S
