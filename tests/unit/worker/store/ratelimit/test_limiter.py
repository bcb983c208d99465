"""The rate limiter in virtual time: limits hold exactly, for all callers together, and no room is left unused."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clocks.virtual_time import now, run_in_virtual_time
from tests.support.examples import THOROUGH
from tests.support.limiters import FAST, FAST_GAP_S, LONG_S, MICRO, MINUTE, Connection, allowed, assert_kept, call, make
from tests.support.store_model.redis_contents import read
from worker.models.allowance import Allowance
from worker.store import Limiter, RateScope, embedded_pool, keys
from worker.store.connection.pool import closing
from worker.store.ratelimit.limiter import LATE_S, MustWait
from worker.store.ratelimit.rate_scope import BURST_S

# One caller


def test_a_burst_goes_out_at_once_and_the_rest_at_even_gaps() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            began_at = now()
            moments = await call(make(pool, FAST), 200)
            at_once = 1 + int(BURST_S / FAST_GAP_S)
            assert moments[at_once - 1] == began_at < moments[at_once]
            assert_kept(moments, FAST)
            gaps = [later - earlier for earlier, later in pairwise(moments[at_once:])]
            assert sorted(gaps)[len(gaps) // 2] == pytest.approx(FAST_GAP_S, abs=MICRO)
            assert moments[-1] - began_at == pytest.approx(199 * FAST_GAP_S - BURST_S, abs=0.03)

    run_in_virtual_time(body)


def test_a_chain_slower_than_the_limit_never_waits() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            moments = await call(make(pool, FAST), 200, busy=lambda: 0.05)
            assert moments[-1] - moments[0] == pytest.approx(199 * 0.05)

    run_in_virtual_time(body)


def test_every_request_asks_redis_once() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            await make(pool, FAST).wait_for_slot(0)  # loads the script
            connection = Connection(pool)
            await call(make(connection, FAST), 100, busy=lambda: 0.05)
            assert connection.asked == 100
            await call(make(connection, FAST), 100)
            assert connection.asked <= 2.1 * 100  # a window that is full is asked about again

    run_in_virtual_time(body)


def test_no_more_is_made_up_for_than_a_burst() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            await call(one, 100)
            await asyncio.sleep(10)
            began_at = now()
            moments = await call(one, 50)
            assert sum(moment == began_at for moment in moments) == 1 + int(BURST_S / FAST_GAP_S)

    run_in_virtual_time(body)


def test_a_worker_with_a_fifth_of_the_processor_still_uses_the_rate() -> None:
    """20 ms of every 100, as a container's CPU limit has it."""

    async def throttled(seconds: float) -> None:
        wakes_at = now() + seconds
        into_s = wakes_at % 0.1
        await asyncio.sleep(seconds if into_s < 0.02 else seconds + 0.1 - into_s)

    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            moments = await call(make(pool, FAST, throttled), 500)
            assert_kept(moments, FAST, LATE_S)
            assert 499 / (moments[-1] - moments[0]) >= 0.7 * FAST.most

    run_in_virtual_time(body)


def test_a_slot_that_is_reached_late_is_given_back_and_another_is_taken() -> None:
    async def body() -> None:
        late = iter([0.0, 0.0, 0.03, 0.0, 0.5])

        async def oversleep(seconds: float) -> None:
            await asyncio.sleep(seconds + next(late, 0.0))

        async with closing(embedded_pool()) as pool:
            moments = await call(make(pool, FAST, oversleep), 60)
            assert_kept(moments, FAST, LATE_S)
            log = [int(slot) / 1e6 for slot in await pool.lrange(keys.limit("fast") + ":log", 0, -1)]
            assert log == pytest.approx(moments, abs=LATE_S)

    run_in_virtual_time(body)


@pytest.mark.parametrize("scope", [RateScope("slow", gap_s=1.0), RateScope("slow", 1.0, most=60, window_s=60)])
def test_a_slot_that_is_always_reached_late_delays_no_other_by_a_gap(scope: RateScope) -> None:
    async def body() -> None:
        async def oversleep(seconds: float) -> None:
            await asyncio.sleep(seconds + 2 * LATE_S)

        async with closing(embedded_pool()) as pool:
            moments = await call(make(pool, scope, oversleep), 10)
            assert moments[-1] - moments[0] == pytest.approx(9 * (1.0 + 2 * LATE_S), abs=0.001)

    run_in_virtual_time(body)


def test_a_little_lateness_causes_no_second_reservation() -> None:
    async def body() -> None:
        async def oversleep(seconds: float) -> None:
            await asyncio.sleep(seconds + LATE_S - MICRO)

        async with closing(embedded_pool()) as pool:
            await make(pool, RateScope("other")).wait_for_slot(0)  # loads the script
            connection = Connection(pool)
            await call(make(connection, RateScope("slow", gap_s=0.05), oversleep), 10)
            assert connection.asked == 10

    run_in_virtual_time(body)


# A window


@pytest.mark.parametrize("others", [0, 1])
def test_a_limit_that_is_raised_holds_for_the_whole_window(others: int) -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            raised, slow = make(pool, MINUTE), make(pool, MINUTE)
            moments = await call(raised, 40)
            raised.raise_limit(120)
            raised.raise_limit(30)  # less than it has: it stays
            news = await asyncio.gather(call(raised, 200), *(call(slow, 40) for _ in range(others)))
            moments += [moment for found in news for moment in found]
            assert_kept(moments, RateScope.per_minute("minute", 120, gap_s=0.3))
            assert len([moment for moment in moments if moment - moments[0] < 60]) > 58

    run_in_virtual_time(body)


def test_a_lower_limit_counts_also_after_it_was_raised() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, MINUTE)
            one.raise_limit(240)
            one.learn_limit(Allowance(120))
            moments = await call(one, 200)
            assert_kept(moments, RateScope.per_minute("minute", 120, gap_s=0.3))

    run_in_virtual_time(body)


def test_a_window_may_be_used_up_at_once_and_then_has_to_pass() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            moments = await call(make(pool, MINUTE), 100)
            assert_kept(moments, MINUTE)
            first = [moment for moment in moments if moment - moments[0] < 60 - MICRO]
            assert len(first) == allowed(MINUTE) == 58
            assert first[-1] - first[0] == pytest.approx(57 * 0.3, abs=0.001)
            assert moments[58] - moments[0] == pytest.approx(60, abs=0.001)

    run_in_virtual_time(body)


@settings(max_examples=100 if THOROUGH else 8, database=None, derandomize=True)
@given(
    most=st.integers(0, 6),
    window_s=st.sampled_from([0.5, 2.0, 60.0]),
    gap_s=st.sampled_from([0.0, 0.01, 0.3]),
    paced=st.booleans(),
    callers=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_no_window_ever_holds_too_many(
    most: int, window_s: float, gap_s: float, paced: bool, callers: int, seed: int
) -> None:
    chance = random.Random(seed)
    # A burst lets two requests of a paced scope be closer than its gap.
    scope = RateScope("any", 0.0 if paced else gap_s, most, window_s, paced and most > 0)

    async def oversleep(seconds: float) -> None:
        late_s = chance.choice([0.0, 0.0, LATE_S + 0.001, 1.0])
        await asyncio.sleep(seconds + late_s)

    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            all_moments = await asyncio.gather(
                *(
                    call(make(pool, scope, oversleep), 12, busy=lambda: chance.choice([0.0, 0.0, 0.02, 0.4, 3.0]))
                    for _ in range(callers)
                )
            )
            assert_kept([moment for moments in all_moments for moment in moments], scope, LATE_S)

    run_in_virtual_time(body)


@settings(max_examples=100 if THOROUGH else 8, database=None, derandomize=True)
@given(
    rate=st.sampled_from([0.5, 7.0, 50.0, 200.0]),
    limiters=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_a_request_waits_only_if_the_pace_or_the_window_has_no_room(rate: float, limiters: int, seed: int) -> None:
    """Checked against every request before: none that waited could have gone out earlier."""
    chance = random.Random(seed)
    scope = RateScope.per_second("room", rate)
    gap_s, count = 1 / (rate * 0.96), max(1, int(rate))
    sent: list[float] = []
    pace_at = [-LONG_S]

    async def caller(one: Limiter) -> None:
        for _ in range(20):
            asked_at = now()
            await one.wait_for_slot(LONG_S)
            earliest = max(asked_at, pace_at[0] + gap_s - BURST_S, sent[-1] if sent else 0.0)
            if len(sent) >= count:
                earliest = max(earliest, sent[-count] + gap_s * count)
            assert now() == pytest.approx(earliest, abs=0.001)
            pace_at[0] = max(pace_at[0] + gap_s, now())
            sent.append(now())
            await asyncio.sleep(chance.choice([0.0, 0.0, gap_s / 2, 3 * gap_s, 1.3]))

    async def body() -> None:
        sent.clear()
        pace_at[0] = -LONG_S
        async with closing(embedded_pool()) as pool:
            one_each = [make(pool, scope) for _ in range(limiters)]
            await asyncio.gather(*(caller(one) for one in one_each))

    run_in_virtual_time(body)


# Several callers


@pytest.mark.parametrize("scope", [FAST, MINUTE], ids=lambda scope: scope.name)
def test_four_callers_keep_one_limit_and_share_it(scope: RateScope) -> None:
    async def body() -> None:
        shares: list[list[float]] = [[], [], [], []]

        chance = random.Random(1)

        async def oversleep(seconds: float) -> None:
            await asyncio.sleep(seconds + chance.uniform(0, 0.001))

        async def caller(share: list[float]) -> None:
            one = make(pool, scope, oversleep)
            while True:
                await one.wait_for_slot(LONG_S)
                share.append(now())

        async with closing(embedded_pool()) as pool:
            callers = [asyncio.create_task(caller(share)) for share in shares]
            await asyncio.sleep(150 * (FAST_GAP_S if scope is FAST else 1.0))
            for one in callers:
                one.cancel()
            await asyncio.wait(callers)
            moments = sorted(moment for share in shares for moment in share)
            assert_kept(moments, scope, LATE_S)
            assert len(moments) >= 140
            assert min(map(len, shares)) > len(moments) / 4 * 0.7

    run_in_virtual_time(body)


def test_callers_of_one_limiter_take_its_slots_in_turn() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            all_moments = await asyncio.gather(*(call(one, 20) for _ in range(5)))
            assert_kept([moment for moments in all_moments for moment in moments], FAST)
            assert all(
                max(earlier) <= min(later)
                for earlier, later in pairwise(zip(*all_moments, strict=True))  # one round after the other
            )

    run_in_virtual_time(body)


def test_scopes_know_nothing_of_each_other() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            await make(pool, RateScope("a", gap_s=60)).wait_for_slot(0)
            await make(pool, RateScope("b", gap_s=60)).wait_for_slot(0)

    run_in_virtual_time(body)


# Refusal


def test_a_slot_that_is_too_far_away_is_refused_and_not_reserved() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, RateScope("slow", gap_s=10))
            await one.wait_for_slot(0)
            before = await read(pool)
            for _ in range(3):
                with pytest.raises(MustWait, match=r"10\.0 s away") as refusal:
                    await one.wait_for_slot(9)
                assert refusal.value.wait_s == pytest.approx(10)
            assert await read(pool) == before
            await asyncio.sleep(2)
            await one.wait_for_slot(8)
            assert now() == pytest.approx(1_000_010)

    run_in_virtual_time(body)


def test_a_full_window_is_refused_too() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, RateScope("window", gap_s=0, most=3, window_s=60))
            await call(one, 3)
            await asyncio.sleep(20)
            with pytest.raises(MustWait) as refusal:
                await one.wait_for_slot(5)
            assert refusal.value.wait_s == pytest.approx(40)

    run_in_virtual_time(body)


# Slow answers


@pytest.mark.parametrize(
    ("delays", "questions"),
    [
        ([0.2], 2),
        ([0.0, 0.2], 3),
        ([0.2, 0.2], 2),  # Redis is always slow
        ([0.0, 0.2, 0.2], 3),
        ([0.0, LATE_S / 2], 2),
    ],
)
def test_the_slot_of_a_slow_answer_is_not_used_unless_all_answers_are_slow(delays: list[float], questions: int) -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            await make(pool, RateScope("other")).wait_for_slot(0)  # loads the script
            connection = Connection(pool, delays)
            one = make(connection, FAST)
            await one.wait_for_slot(LONG_S)
            if delays[0] == 0:
                await one.wait_for_slot(LONG_S)
            assert connection.asked == questions

    run_in_virtual_time(body)


# The clock of Redis, and what stays in it


@pytest.mark.parametrize("scope", [FAST, MINUTE], ids=lambda scope: scope.name)
@pytest.mark.parametrize("step_s", [-3600, -60, 3600])
def test_a_step_of_the_clock_of_redis_keeps_no_worker_waiting(scope: RateScope, step_s: float) -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, scope)
            moments = await call(one, 10)
            with_offset = now() + step_s
            before = now()
            with patch("time.time", lambda: with_offset + now() - before):
                after = await call(one, 30)
            assert after[0] - before <= scope.gap_s + FAST_GAP_S
            assert_kept(after if step_s > 0 else [*moments, *after], scope)

    run_in_virtual_time(body)


def test_an_unused_limit_leaves_redis() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, MINUTE)
            await call(one, 250)
            names = {keys.limit("minute"), keys.limit("minute") + ":log"}
            assert {name for name, key in (await read(pool)).items() if key.expires} == names
            assert await pool.llen(keys.limit("minute") + ":log") <= 2 * 60 + 1  # two windows
            one.learn_limit(Allowance(30))
            await one.wait_for_slot(LONG_S)
            await one.penalise(3600)
            await asyncio.sleep(3500)
            assert await pool.exists(keys.limit("minute")) == 1
            await asyncio.sleep(800)
            assert await read(pool) == {}

    run_in_virtual_time(body)
