"""The rate limiter in virtual time: limits hold exactly, for all callers together, and no room is left unused."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from itertools import pairwise
from typing import Any, cast
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clocks.virtual_time import now, run_in_virtual_time
from tests.support.examples import THOROUGH
from tests.support.syncs.model import read
from worker.errors import StoreUnavailable
from worker.models.allowance import Allowance
from worker.store import Limiter, RateScope, StorePool, embedded_pool, keys
from worker.store.connection.pool import closing
from worker.store.ratelimit.limiter import LATE_S, LEARNED_S, NEAR_RESET_S, NEAR_S, QUIET_S, MustWait
from worker.store.ratelimit.rate_scope import BURST_S

LONG_S = 1000.0
MICRO = 2e-6  # Redis counts whole microseconds
FAST = RateScope.per_second("fast", 50)
MINUTE = RateScope.per_minute("minute", 60, gap_s=0.3)
FAST_GAP_S = 1 / (50 * 0.96)

Sleep = Callable[[float], Awaitable[None]]


class Connection:
    """The connection of one process to the shared Redis: it may be slow or away, and counts what is asked.

    delays: seconds that the answers take, in order; afterwards they take none.
    """

    def __init__(self, pool: StorePool, delays: Iterable[float] = ()) -> None:
        self._pool = pool
        self._delays = iter(delays)
        self.prefix = pool.prefix
        self.asked = 0
        self.away = False

    async def execute_command(self, *words: Any) -> Any:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("Redis does not answer")
        answer = await self._pool.execute_command(*words)
        await asyncio.sleep(next(self._delays, 0.0))
        return answer


def make(pool: StorePool | Connection, scope: RateScope, sleep: Sleep = asyncio.sleep) -> Limiter:
    """A limiter with the clock of the running loop."""
    return Limiter(cast(StorePool, pool), scope, clock=now, sleep=sleep)


async def call(one: Limiter, times: int, busy: Callable[[], float] = lambda: 0.0) -> list[float]:
    """When a caller may send, call after call, with something else to do in between."""
    moments = []
    for _ in range(times):
        await one.wait_for_slot(LONG_S)
        moments.append(now())
        await asyncio.sleep(busy())
    return moments


async def use_up(pool: StorePool, scope: RateScope) -> None:
    """Takes the slots that a scope may give out at once."""
    one = make(pool, scope)
    began_at = now()
    while now() == began_at:
        await one.wait_for_slot(LONG_S)


def assert_kept(moments: list[float], scope: RateScope, late_s: float = 0.0) -> None:
    """No two requests are too close, and no window holds too many; late_s: how late a slot may have been used."""
    ordered, slack_s = sorted(moments), late_s + MICRO
    if scope.gap_s:
        assert min((later - earlier for earlier, later in pairwise(ordered)), default=LONG_S) >= scope.gap_s - slack_s
    if at_once := max(1, int(scope.most)) if scope.paced else allowed(scope):
        windows = [later - earlier for earlier, later in zip(ordered, ordered[at_once:], strict=False)]
        least_s = scope.window_s / (1 - scope.margin) if scope.paced else scope.window_s
        assert min(windows, default=least_s) >= least_s - slack_s


def allowed(scope: RateScope) -> int:
    """How many requests are sent in a window at most; 0 without a window."""
    return int(scope.most * (1 - scope.margin))


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


def test_a_limit_that_an_earlier_version_left_is_read() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            soon_us = int((now() + 0.05) * 1e6)
            fields = {"last": soon_us, "caller": "somebody", "shared": soon_us, "named": 10, "named_until": soon_us * 2}
            await pool.hset(keys.limit("fast"), mapping={name: str(value) for name, value in fields.items()})
            assert await gap_now_s(pool, FAST) == spaced(RateScope.per_second("fast", 10), 0.04)

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
