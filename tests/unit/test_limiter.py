"""The rate limiter, in time that only sleeps pass: limits hold exactly, for all callers together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.model import read
from tests.support.sleepy_time import now, play
from worker.store import Limiter, RateScope, StorePool, embedded_pool, keys, limiter
from worker.store.limiter import LATE_S, MARGIN, SLOW_S, MustWait
from worker.store.pool import closing

LONG_S = 1000.0
MICRO = 1e-6
FAST = RateScope.per_second("fast", 50)
MINUTE = RateScope.per_minute("minute", 60, gap_s=0.3)

Sleep = Callable[[float], Awaitable[None]]


def make(pool: StorePool, scope: RateScope, sleep: Sleep = asyncio.sleep) -> Limiter:
    """A limiter with the clock of the running loop."""
    return Limiter(pool, scope, clock=now, sleep=sleep)


async def call(one: Limiter, times: int, busy: Callable[[], float] = lambda: 0.0) -> list[float]:
    """When a caller may send, call after call, with something else to do in between."""
    moments = []
    for _ in range(times):
        await one.slot(LONG_S)
        moments.append(now())
        await asyncio.sleep(busy())
    return moments


def assert_kept(moments: list[float], scope: RateScope, late_s: float = 0.0) -> None:
    """No two requests are too close, and no window holds too many; late_s: how late a slot may have been used."""
    ordered, slack_s = sorted(moments), late_s + MICRO
    gaps = [later - earlier for earlier, later in pairwise(ordered)]
    assert min(gaps) >= scope.gap_s - slack_s
    if scope.most:
        windows = [later - earlier for earlier, later in zip(ordered, ordered[scope.most :], strict=False)]
        assert min(windows, default=scope.window_s) >= scope.window_s - slack_s


@pytest.fixture
def reservations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many slots were asked for in each question to Redis."""
    asked: list[int] = []
    original = limiter.run_script

    async def spy(pool: StorePool, name: str, names: list[str], *arguments: Any) -> list[Any]:
        if name == "reserve":
            asked.append(arguments[0])
        return await original(pool, name, names, *arguments)

    monkeypatch.setattr(limiter, "run_script", spy)
    return asked


# Scopes


def test_a_rate_is_used_up_to_its_margin() -> None:
    assert RateScope.per_second("a", 100) == RateScope("a", gap_s=1 / (100 * MARGIN), most=0, window_s=0)
    assert RateScope.per_minute("b", 600, 0.3) == RateScope("b", gap_s=0.3, most=588, window_s=60)
    assert RateScope.per_minute("c", 1, 0).most == 1


# One caller


def test_the_first_request_goes_out_at_once_and_the_rest_at_even_gaps() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            began_at = now()
            moments = await call(make(pool, FAST), 200)
            assert moments[0] == began_at
            assert_kept(moments, FAST)
            assert moments[-1] - began_at == pytest.approx(199 * FAST.gap_s, abs=0.01)

    play(story)


def test_a_busy_caller_asks_for_more_and_more_slots_at_once(reservations: list[int]) -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            await call(make(pool, FAST), 200)
            assert reservations[:3] == [1, 2, 4]
            assert max(reservations) == int(Limiter.SPAN_S / FAST.gap_s)
            assert len(reservations) < 25

    play(story)


def test_a_caller_that_seldom_asks_reserves_one_slot_at_a_time(reservations: list[int]) -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            await call(make(pool, FAST), 20, busy=lambda: 1.0)
            assert set(reservations) == {1}

    play(story)


def test_slots_that_went_by_are_void_and_nobody_makes_up_for_them() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            pauses = iter([0.0] * 40 + [0.11, 0.0, 0.05, 1.0] * 20 + [0.0] * 40)
            assert_kept(await call(one, 160, busy=lambda: next(pauses)), FAST, LATE_S)

    play(story)


def test_a_slot_that_is_reached_late_is_reserved_anew() -> None:
    async def story() -> None:
        late = iter([0.0, 0.0, 0.03, 0.0, 0.5])

        async def oversleep(seconds: float) -> None:
            await asyncio.sleep(seconds + next(late, 0.0))

        async with closing(embedded_pool()) as pool:
            moments = await call(make(pool, FAST, oversleep), 30)
            assert_kept(moments, FAST, LATE_S)
            assert moments[-1] - moments[0] > 29 * FAST.gap_s + 0.5

    play(story)


def test_a_little_lateness_is_no_reason_to_ask_again(reservations: list[int]) -> None:
    async def story() -> None:
        async def oversleep(seconds: float) -> None:
            await asyncio.sleep(seconds + LATE_S - MICRO)

        async with closing(embedded_pool()) as pool:
            await call(make(pool, RateScope("slow", gap_s=1.0), oversleep), 10)
            assert len(reservations) == 10

    play(story)


# A window


def test_a_window_may_be_used_up_at_once_and_then_has_to_pass() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            moments = await call(make(pool, MINUTE), 200)
            assert_kept(moments, MINUTE)
            first = [moment for moment in moments if moment - moments[0] < 60]
            assert len(first) == MINUTE.most == 58
            assert first[-1] - first[0] == pytest.approx(57 * 0.3, abs=0.001)
            assert moments[58] - moments[0] == pytest.approx(60, abs=0.001)

    play(story)


@settings(max_examples=25, deadline=None, database=None, derandomize=True)
@given(
    most=st.integers(0, 6),
    window_s=st.sampled_from([0.5, 2.0, 60.0]),
    gap_s=st.sampled_from([0.0, 0.01, 0.3]),
    callers=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_no_window_ever_holds_too_many(most: int, window_s: float, gap_s: float, callers: int, seed: int) -> None:
    chance = random.Random(seed)
    scope = RateScope("any", gap_s, most, window_s)

    async def oversleep(seconds: float) -> None:
        late_s = chance.choice([0.0, 0.0, LATE_S + 0.001, 1.0])
        await asyncio.sleep(seconds + late_s)

    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            all_moments = await asyncio.gather(
                *(
                    call(make(pool, scope, oversleep), 12, busy=lambda: chance.choice([0.0, 0.0, 0.02, 0.4, 3.0]))
                    for _ in range(callers)
                )
            )
            assert_kept([moment for moments in all_moments for moment in moments], scope, LATE_S)

    play(story)


# Several callers


@pytest.mark.parametrize("scope", [FAST, MINUTE], ids=lambda scope: scope.name)
def test_four_callers_keep_one_limit_and_share_it(scope: RateScope) -> None:
    async def story() -> None:
        shares: list[list[float]] = [[], [], [], []]

        async def caller(share: list[float]) -> None:
            one = make(pool, scope)
            while True:
                await one.slot(LONG_S)
                share.append(now())

        async with closing(embedded_pool()) as pool:
            callers = [asyncio.create_task(caller(share)) for share in shares]
            await asyncio.sleep(300 * (scope.gap_s if scope is FAST else 1.0))
            for one in callers:
                one.cancel()
            await asyncio.wait(callers)
            moments = sorted(moment for share in shares for moment in share)
            assert_kept(moments, scope)
            assert len(moments) >= 280
            assert min(map(len, shares)) > len(moments) / 4 * 0.7

    play(story)


def test_callers_of_one_limiter_take_its_slots_in_turn() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            all_moments = await asyncio.gather(*(call(one, 20) for _ in range(5)))
            assert_kept([moment for moments in all_moments for moment in moments], FAST)
            assert max(moments[-1] for moments in all_moments) - now() < 5

    play(story)


def test_scopes_know_nothing_of_each_other() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            await make(pool, RateScope("a", gap_s=60)).slot(0)
            await make(pool, RateScope("b", gap_s=60)).slot(0)

    play(story)


# Refusal


def test_a_slot_that_is_too_far_away_is_refused_and_not_reserved() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, RateScope("slow", gap_s=10))
            await one.slot(0)
            before = await read(pool)
            for _ in range(3):
                with pytest.raises(MustWait, match=r"10\.0 s away") as refusal:
                    await one.slot(9)
                assert refusal.value.wait_s == pytest.approx(10)
            assert await read(pool) == before
            await asyncio.sleep(2)
            await one.slot(8)
            assert now() == pytest.approx(1_000_010)

    play(story)


def test_a_full_window_is_refused_too() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, RateScope("window", gap_s=0, most=3, window_s=60))
            await call(one, 3)
            await asyncio.sleep(20)
            with pytest.raises(MustWait) as refusal:
                await one.slot(5)
            assert refusal.value.wait_s == pytest.approx(40)

    play(story)


# Penalties


def test_after_a_penalty_nobody_sends_before_its_end() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            callers = [make(pool, FAST) for _ in range(4)]
            for one in callers:
                await one.slot(LONG_S)
            penalised_at = now()
            await callers[0].penalise(30)
            with pytest.raises(MustWait) as refusal:
                await callers[1].slot(5)
            assert refusal.value.wait_s == pytest.approx(30)
            all_moments = await asyncio.gather(*(call(one, 10) for one in callers))
            moments = [moment for moments in all_moments for moment in moments]
            assert min(moments) - penalised_at == pytest.approx(30)
            assert_kept(moments, FAST)

    play(story)


def test_slots_that_were_reserved_before_a_penalty_are_void_here_and_soon_gone_elsewhere() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            mine, other = make(pool, FAST), make(pool, FAST)
            await asyncio.gather(call(mine, 60), call(other, 60))
            penalised_at = now()
            await mine.penalise(30)
            moments, others = await asyncio.gather(call(mine, 1), call(other, 30))
            assert moments[0] - penalised_at >= 30
            early = [moment for moment in others if moment - penalised_at < 30]
            assert all(moment - penalised_at < 2 * Limiter.SPAN_S for moment in early)

    play(story)


def test_a_reservation_that_a_penalty_overtakes_is_void() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            await call(one, 30)
            asked = [asyncio.create_task(call(one, 1)) for _ in range(40)]
            await asyncio.sleep(0)
            penalised_at = now()
            await one.penalise(30)
            moments = [moment for task in asked for moment in await task]
            assert all(moment - penalised_at >= 30 or moment - penalised_at < 2 * Limiter.SPAN_S for moment in moments)

    play(story)


def test_a_shorter_penalty_does_not_end_a_longer_one() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            await one.penalise(30)
            await one.penalise(1)
            await one.penalise(0)
            began_at = now()
            await one.slot(LONG_S)
            assert now() - began_at == pytest.approx(30)
            await one.penalise(60)
            await one.slot(LONG_S)
            assert now() - began_at == pytest.approx(90)

    play(story)


# Slow answers


@pytest.mark.parametrize(("delays", "questions"), [([2 * SLOW_S], 2), ([2 * SLOW_S] * 9, 3), ([SLOW_S / 2], 1)])
def test_an_answer_that_was_long_on_its_way_is_void_unless_all_are(
    monkeypatch: pytest.MonkeyPatch, delays: list[float], questions: int
) -> None:
    waits, asked = iter(delays), []
    original = limiter.run_script

    async def slow(*arguments: Any) -> list[Any]:
        answer = await original(*arguments)
        asked.append(answer)
        await asyncio.sleep(next(waits, 0.0))
        return answer

    monkeypatch.setattr(limiter, "run_script", slow)

    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            await make(pool, FAST).slot(LONG_S)
            assert len(asked) == questions

    play(story)


# What stays in Redis


def test_a_limit_that_nobody_uses_any_more_leaves_redis() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, MINUTE)
            await call(one, 100)
            names = {keys.limit("minute"), keys.limit("minute") + ":log"}
            assert {name for name, key in (await read(pool)).items() if key.expires} == names
            assert await pool.llen(keys.limit("minute") + ":log") == MINUTE.most
            await one.penalise(3600)
            await asyncio.sleep(3500)
            assert await pool.exists(keys.limit("minute")) == 1
            await asyncio.sleep(800)
            assert await read(pool) == {}

    play(story)
