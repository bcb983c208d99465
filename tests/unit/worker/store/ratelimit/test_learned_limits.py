"""What the rate limiter does after a 429, and with what an API says of its limit, in virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from tests.support.clocks.virtual_time import now, run_in_virtual_time
from tests.support.limiters import FAST, FAST_GAP_S, LONG_S, MICRO, MINUTE, Connection, assert_kept, call, make, use_up
from tests.support.store_model.redis_contents import read
from worker.errors import StoreUnavailable
from worker.models.allowance import Allowance
from worker.store import Limiter, RateScope, StorePool, embedded_pool, keys
from worker.store.connection.pool import closing
from worker.store.ratelimit.limiter import LEARNED_S, NEAR_RESET_S, NEAR_S, QUIET_S, MustWait

# Penalties


def test_after_a_penalty_no_worker_sends_before_its_end() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            callers = [make(pool, FAST) for _ in range(4)]
            for one in callers:
                await one.wait_for_slot(LONG_S)
            penalised_at = now()
            await callers[0].penalise(30)
            with pytest.raises(MustWait) as refusal:
                await callers[1].wait_for_slot(5)
            assert refusal.value.wait_s == pytest.approx(30)
            all_moments = await asyncio.gather(*(call(one, 10) for one in callers))
            moments = [moment for moments in all_moments for moment in moments]
            assert min(moments) - penalised_at == pytest.approx(30)
            assert_kept(moments, FAST)

    run_in_virtual_time(body)


def test_a_slot_held_by_another_process_at_a_penalty_is_near() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            mine, other = make(pool, FAST), make(pool, FAST)
            await asyncio.gather(call(mine, 60), call(other, 60))
            penalised_at = now()
            asked = asyncio.create_task(call(other, 30))
            await asyncio.sleep(0)
            await mine.penalise(30)
            moments = await call(mine, 1)
            assert moments[0] - penalised_at >= 30
            early = [moment for moment in await asked if moment - penalised_at < 30]
            assert len(early) <= 1
            assert all(moment - penalised_at <= NEAR_S for moment in early)

    run_in_virtual_time(body)


def test_a_caller_that_waits_for_its_slot_when_a_penalty_comes_does_not_use_it() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            await call(one, 30)
            asked = [asyncio.create_task(call(one, 1)) for _ in range(40)]
            await asyncio.sleep(0)
            penalised_at = now()
            await one.penalise(30)
            moments = [moment for task in asked for moment in await task]
            assert min(moments) - penalised_at >= 30
            assert_kept(moments, FAST)

    run_in_virtual_time(body)


@pytest.mark.parametrize("slow_penalty", [False, True])
def test_a_reservation_that_a_penalty_overtakes_is_not_used(slow_penalty: bool) -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(Connection(pool, [0.0, 0.05]), FAST)
            await one.wait_for_slot(LONG_S)
            asking: list[asyncio.Task[list[float]]] = []
            if slow_penalty:
                penalty = asyncio.create_task(one.penalise(30))
                await asyncio.sleep(0)
                penalised_at = now()
                asking += [asyncio.create_task(call(one, 1)) for _ in range(2)]
                await penalty
            else:
                asking += [asyncio.create_task(call(one, 1)) for _ in range(2)]
                await asyncio.sleep(0.01)
                penalised_at = now()
                await one.penalise(30)
            for moments in await asyncio.gather(*asking):
                assert moments[0] - penalised_at >= 30 - MICRO

    run_in_virtual_time(body)


def test_a_slot_that_is_given_back_during_a_penalty_does_not_end_it() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            late, others = make(Connection(pool, [0.0, 0.05]), FAST), [make(pool, FAST) for _ in range(3)]
            await late.wait_for_slot(LONG_S)
            asking = asyncio.create_task(late.wait_for_slot(5))
            await asyncio.sleep(0.01)
            await others[0].penalise(30)
            with pytest.raises(MustWait):
                await asking  # its slot came late, so it has given the slot back
            for one in others[1:]:
                with pytest.raises(MustWait) as refusal:
                    await one.wait_for_slot(5)
                assert refusal.value.wait_s == pytest.approx(30, abs=1)

    run_in_virtual_time(body)


def test_nothing_is_made_up_for_after_a_penalty() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            await one.wait_for_slot(LONG_S)
            await one.penalise(5)
            moments = await call(one, 20)
            assert min(later - earlier for earlier, later in pairwise(moments)) >= FAST_GAP_S - MICRO

    run_in_virtual_time(body)


def test_a_shorter_penalty_does_not_end_a_longer_one() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            await one.penalise(30)
            await one.penalise(1)
            await one.penalise(0)
            began_at = now()
            await one.wait_for_slot(LONG_S)
            assert now() - began_at == pytest.approx(30)
            await one.penalise(60)
            await one.wait_for_slot(LONG_S)
            assert now() - began_at == pytest.approx(90)

    run_in_virtual_time(body)


async def gap_now_s(pool: StorePool, scope: RateScope) -> float:
    """Seconds between the slots that a newcomer gets now, once no burst is left."""
    await use_up(pool, scope)
    moments = await call(make(pool, scope), 3)
    return moments[-1] - moments[-2]


def spaced(scope: RateScope, margin: float) -> Any:
    return pytest.approx(1 / (scope.most * (1 - margin)), abs=MICRO)


def test_each_429_widens_the_margin_up_to_half_and_quiet_narrows_it() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            for margin in (0.06, 0.08, 0.12, 0.20, 0.36, 0.5, 0.5):
                await make(pool, FAST).penalise(1)
                assert await gap_now_s(pool, FAST) == spaced(FAST, margin)
            for margin in (0.27, 0.155, 0.097, 0.068, 0.054, 0.047, 0.043, 0.041, 0.04, 0.04):
                await asyncio.sleep(QUIET_S)
                assert await gap_now_s(pool, FAST) == spaced(FAST, margin)
            await make(pool, FAST).penalise(1)
            assert await gap_now_s(pool, FAST) == spaced(FAST, 0.06)

    run_in_virtual_time(body)


def test_the_429s_of_one_moment_are_one() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one, other = make(pool, FAST), make(pool, FAST)
            await asyncio.gather(*(limited.penalise(pause_s) for limited in (one, other) for pause_s in (0.2, 0.3, 2)))
            await asyncio.sleep(1.5)
            await other.penalise(0.2)  # of a request that was on its way
            assert await gap_now_s(pool, FAST) == spaced(FAST, 0.06)

    run_in_virtual_time(body)


def test_a_429_takes_from_a_window_too() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, MINUTE)
            await one.penalise(1)
            began_at = now()
            moments = await call(one, 60)
            assert sum(moment - moments[0] < 60 - MICRO for moment in moments) == 57
            assert moments[0] - began_at == pytest.approx(1)

    run_in_virtual_time(body)


# What the API says of its limit


LIMITED = Allowance(limit=10)


def test_a_lower_limit_slows_all_workers_while_answers_name_it() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            await call(one, 30)
            one.learn_limit(LIMITED)
            await one.wait_for_slot(LONG_S)
            lower = RateScope.per_second("fast", 10)
            assert await gap_now_s(pool, FAST) == spaced(lower, 0.04)
            for _ in range(20):
                await asyncio.sleep(LEARNED_S / 4)
                one.learn_limit(LIMITED)
                await one.wait_for_slot(LONG_S)
            assert await gap_now_s(pool, FAST) == spaced(lower, 0.04)
            await asyncio.sleep(LEARNED_S)
            assert await gap_now_s(pool, FAST) == spaced(FAST, 0.04)

    run_in_virtual_time(body)


@pytest.mark.parametrize("said", [LIMITED, Allowance(100, pause_s=20)])
def test_news_that_does_not_reach_redis_is_sent_with_the_next_slot(said: Allowance) -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            connection = Connection(pool)
            one = make(connection, FAST)
            await one.wait_for_slot(LONG_S)
            heard_at = now()
            one.learn_limit(said)
            connection.away = True
            with pytest.raises(StoreUnavailable):
                await one.wait_for_slot(LONG_S)
            connection.away = False
            asked = asyncio.create_task(one.wait_for_slot(LONG_S))
            await asyncio.sleep(0.001)
            if said is LIMITED:
                await asked
                assert await gap_now_s(pool, FAST) == spaced(RateScope.per_second("fast", 10), 0.04)
            else:
                await make(pool, FAST).wait_for_slot(LONG_S)
                assert now() - heard_at >= 20 - MICRO
                await asked

    run_in_virtual_time(body)


def test_the_lowest_of_several_limits_counts() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one, other = make(pool, FAST), make(pool, FAST)
            for limited, limit in [(one, 20), (other, 10), (one, 15), (other, 30)]:
                limited.learn_limit(Allowance(limit))
                await limited.wait_for_slot(LONG_S)
            assert await gap_now_s(pool, FAST) == spaced(RateScope.per_second("fast", 10), 0.04)

    run_in_virtual_time(body)


def test_a_window_is_as_small_as_the_api_says() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, MINUTE)
            one.learn_limit(Allowance(20))
            moments = await call(one, 40)
            assert sum(moment - moments[0] < 60 - MICRO for moment in moments) == 19

    run_in_virtual_time(body)


@pytest.mark.parametrize(
    "said", [Allowance(), Allowance(50), Allowance(1000), Allowance(None, NEAR_RESET_S), Allowance(50, NEAR_RESET_S)]
)
def test_an_unchanged_limit_changes_nothing_and_costs_nothing(said: Allowance) -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            connection = Connection(pool)
            one = make(connection, FAST)
            await call(one, 30)
            before, asked = await read(pool), connection.asked
            for _ in range(100):
                one.learn_limit(said)
            assert (await read(pool), connection.asked) == (before, asked)
            began_at = now()
            await one.wait_for_slot(LONG_S)
            assert now() - began_at < 2 * FAST_GAP_S
            assert await gap_now_s(pool, FAST) == spaced(FAST, 0.04)

    run_in_virtual_time(body)


def test_a_limit_that_is_used_up_holds_everyone_back_until_its_reset() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one, other = make(pool, FAST), make(pool, FAST)
            await call(other, 30)
            one.learn_limit(Allowance(100, pause_s=30))
            heard_at = now()
            for limited in (one, other):
                with pytest.raises(MustWait) as refusal:
                    await limited.wait_for_slot(5)
                assert refusal.value.wait_s == pytest.approx(30)
            waiting = asyncio.create_task(one.wait_for_slot(LONG_S))
            await asyncio.sleep(30 - NEAR_S + MICRO)
            moments = await call(other, 3)
            assert moments[0] - heard_at >= 30 - MICRO
            await waiting
            assert await gap_now_s(pool, FAST) == spaced(FAST, 0.04)  # no request was refused

    run_in_virtual_time(body)


def test_a_pause_is_at_most_the_longest() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = Limiter(pool, FAST, longest_pause_s=7, clock=now)
            one.learn_limit(Allowance(100, pause_s=604_800))
            with pytest.raises(MustWait) as refusal:
                await one.wait_for_slot(5)
            assert refusal.value.wait_s == pytest.approx(7)

    run_in_virtual_time(body)


def test_a_limit_that_an_earlier_version_left_is_read() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            soon_us = int((now() + 0.05) * 1e6)
            fields = {"last": soon_us, "caller": "somebody", "shared": soon_us, "named": 10, "named_until": soon_us * 2}
            await pool.hset(keys.limit("fast"), mapping={name: str(value) for name, value in fields.items()})
            assert await gap_now_s(pool, FAST) == spaced(RateScope.per_second("fast", 10), 0.04)

    run_in_virtual_time(body)
