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
from worker.errors import StoreUnavailable
from worker.store import Limiter, RateScope, StorePool, embedded_pool, keys
from worker.store.connection.pool import closing
from worker.store.ratelimit import limiter
from worker.store.ratelimit.header_feedback import LEARNED_S, NEAR_RESET_S
from worker.store.ratelimit.limiter import NEAR_S, QUIET_S, SHARED_SPAN_S, SPAN_S, MustWait
from worker.store.ratelimit.slots import LATE_S

LONG_S = 1000.0
UNIX_S = 1_700_000_000
MICRO = 2e-6  # Redis counts whole microseconds
HELD_S = NEAR_S + SPAN_S  # what another caller may still hold of slots
FAST = RateScope.per_second("fast", 50)
MINUTE = RateScope.per_minute("minute", 60, gap_s=0.3)

Sleep = Callable[[float], Awaitable[None]]


def make(pool: StorePool, scope: RateScope, sleep: Sleep = asyncio.sleep) -> Limiter:
    """A limiter with the clock of the running loop."""
    return Limiter(pool, scope, clock=now, wall_clock=unix_now, sleep=sleep)


def unix_now() -> float:
    """Seconds of a time of day that Redis does not share."""
    return UNIX_S + now()


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
    assert min(later - earlier for earlier, later in pairwise(ordered)) >= scope.pace_s - slack_s
    if at_once := allowed(scope):
        windows = [later - earlier for earlier, later in zip(ordered, ordered[at_once:], strict=False)]
        assert min(windows, default=scope.window_s) >= scope.window_s - slack_s


def allowed(scope: RateScope) -> int:
    """How many requests are sent in a window at most; 0 if there is no window."""
    return int(scope.most * (1 - scope.margin))


def at_pace(name: str, gap_s: float) -> RateScope:
    """A scope whose slots follow each other so."""
    return RateScope(name, most=1, window_s=gap_s, paced=True)


@pytest.fixture
def reservations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many slots each question to Redis got; 0 for a refusal."""
    sizes: list[int] = []
    original = limiter.run_script

    async def spy(pool: StorePool, name: str, *arguments: Any) -> list[Any]:
        answer = await original(pool, name, *arguments)
        if name == "ratelimit/reserve":
            sizes.append(answer[4] if answer[0] == "ok" else 0)
        return answer

    monkeypatch.setattr(limiter, "run_script", spy)
    return sizes


# Scopes


def test_a_rate_is_used_up_to_its_margin() -> None:
    assert RateScope.per_second("a", 100).pace_s == pytest.approx(1 / 96)
    assert allowed(RateScope.per_minute("b", 600, 0.3)) == 588
    assert RateScope.per_minute("b", 600, 0.3).pace_s == 0.3


def test_a_margin_of_a_second_covers_a_late_slot_and_30_ms_of_jitter() -> None:
    scope = RateScope.per_second("a", 100)
    assert scope.most * scope.pace_s - 1 >= LATE_S + 0.03


# One caller


def test_the_first_request_goes_out_at_once_and_the_rest_at_even_gaps() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            began_at = now()
            moments = await call(make(pool, FAST), 200)
            assert moments[0] == began_at
            assert_kept(moments, FAST)
            assert moments[-1] - began_at == pytest.approx(199 * FAST.pace_s, abs=0.01)

    play(story)


def test_a_busy_caller_asks_for_more_and_more_slots_at_once(reservations: list[int]) -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            await call(make(pool, FAST), 200)
            assert reservations[:3] == [1, 2, 4]
            assert max(reservations) == int(SPAN_S / (FAST.pace_s + MICRO))
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
            assert moments[-1] - moments[0] > 29 * FAST.pace_s + 0.5

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


@pytest.mark.parametrize("others", [0, 1])
def test_a_limit_that_is_raised_holds_for_the_whole_window(others: int) -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            raised, slow = make(pool, MINUTE), make(pool, MINUTE)
            moments = await call(raised, 40)
            raised.raise_limit(120)
            raised.raise_limit(30)  # less than it has: it stays
            news = await asyncio.gather(call(raised, 200), *(call(slow, 40) for _ in range(others)))
            moments += [moment for found in news for moment in found]
            assert_kept(moments, RateScope.per_minute("minute", 120, gap_s=0.3))
            assert len([moment for moment in moments if moment - moments[0] < 60]) > 58

    play(story)


def test_a_lower_limit_counts_also_after_it_was_raised() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, MINUTE)
            one.raise_limit(240)
            one.hear({"X-RateLimit-Limit": "120"})
            moments = await call(one, 200)
            assert_kept(moments, RateScope.per_minute("minute", 120, gap_s=0.3))

    play(story)


def test_a_window_may_be_used_up_at_once_and_then_has_to_pass() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            moments = await call(make(pool, MINUTE), 200)
            assert_kept(moments, MINUTE)
            first = [moment for moment in moments if moment - moments[0] < 60]
            assert len(first) == allowed(MINUTE) == 58
            assert first[-1] - first[0] == pytest.approx(57 * 0.3, abs=0.001)
            assert moments[58] - moments[0] == pytest.approx(60, abs=0.001)

    play(story)


@settings(max_examples=25, database=None, derandomize=True)
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
            await asyncio.sleep(300 * (scope.pace_s if scope is FAST else 1.0))
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
            assert all(moment - penalised_at < HELD_S for moment in early)

    play(story)


def test_whoever_waits_for_a_slot_when_a_penalty_comes_does_not_use_it() -> None:
    async def story() -> None:
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

    play(story)


@pytest.mark.parametrize("slow_one", ["ratelimit/reserve", "ratelimit/penalize"])
def test_a_reservation_that_a_penalty_overtakes_is_void(monkeypatch: pytest.MonkeyPatch, slow_one: str) -> None:
    original = limiter.run_script

    async def slow(pool: StorePool, name: str, *arguments: Any) -> list[Any]:
        await asyncio.sleep(0.05 if name == slow_one == "ratelimit/penalize" else 0)
        answer = await original(pool, name, *arguments)
        await asyncio.sleep(0.05 if name == slow_one == "ratelimit/reserve" else 0)
        return answer

    monkeypatch.setattr(limiter, "run_script", slow)

    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            await one.slot(LONG_S)
            asking = [asyncio.create_task(call(one, 1)) for _ in range(2)]
            if slow_one == "ratelimit/reserve":
                await asyncio.sleep(0.01)
            penalised_at = now()
            await one.penalise(30)
            for moments in await asyncio.gather(*asking):
                assert moments[0] - penalised_at >= 30

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


async def pace_s(pool: StorePool, scope: RateScope) -> float:
    """Seconds between the slots that a newcomer gets now."""
    moments = await call(make(pool, scope), 6)
    return moments[-1] - moments[-2]


def spaced(scope: RateScope, margin: float) -> Any:
    return pytest.approx(1 / (scope.most * (1 - margin)), abs=MICRO)


def test_each_429_leaves_more_room_up_to_half_of_the_limit_and_quiet_takes_it_back() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            for margin in (0.06, 0.08, 0.12, 0.20, 0.36, 0.5, 0.5):
                await make(pool, FAST).penalise(1)
                assert await pace_s(pool, FAST) == spaced(FAST, margin)
            for margin in (0.27, 0.155, 0.097, 0.068, 0.054, 0.047, 0.043, 0.041, 0.04, 0.04):
                await asyncio.sleep(QUIET_S)
                assert await pace_s(pool, FAST) == spaced(FAST, margin)
            await make(pool, FAST).penalise(1)
            assert await pace_s(pool, FAST) == spaced(FAST, 0.06)

    play(story)


def test_the_429s_of_one_moment_are_one(reservations: list[int]) -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one, other = make(pool, FAST), make(pool, FAST)
            await asyncio.gather(*(limited.penalise(pause_s) for limited in (one, other) for pause_s in (0.2, 0.3, 2)))
            await asyncio.sleep(1.5)
            await other.penalise(0.2)  # of a request that was on its way
            assert await pace_s(pool, FAST) == spaced(FAST, 0.06)

    play(story)


def test_a_429_takes_from_a_window_too() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, MINUTE)
            await one.penalise(1)
            began_at = now()
            moments = await call(one, 60)
            assert sum(moment - moments[0] < 60 - MICRO for moment in moments) == 57
            assert moments[0] - began_at == pytest.approx(1)

    play(story)


# What the API says of its limit


LIMITED = {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "60"}


def spent(seconds: float) -> dict[str, str]:
    """Headers of an API whose limit is used up for so long."""
    reset = str(int(unix_now() + seconds))
    return {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}


def test_a_lower_limit_than_ours_slows_everyone_down_for_as_long_as_it_is_named() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            await call(one, 30)
            one.hear(LIMITED)
            await one.slot(LONG_S)
            lower = RateScope.per_second("fast", 10)
            assert await pace_s(pool, FAST) == spaced(lower, 0.04)
            for _ in range(20):
                await asyncio.sleep(LEARNED_S / 4)
                one.hear(LIMITED)
                await one.slot(LONG_S)
            assert await pace_s(pool, FAST) == spaced(lower, 0.04)
            await asyncio.sleep(LEARNED_S)
            assert await pace_s(pool, FAST) == spaced(FAST, 0.04)

    play(story)


@pytest.mark.parametrize(("headers", "script"), [(LIMITED, "ratelimit/learn_limit"), (None, "ratelimit/penalize")])
def test_news_that_redis_cannot_be_told_is_told_at_the_next_slot(
    headers: dict[str, str] | None, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outages = [script]
    original = limiter.run_script

    async def unreliable(pool: StorePool, name: str, *arguments: Any) -> list[Any]:
        if name in outages:
            outages.remove(name)
            raise StoreUnavailable("Redis does not answer")
        return await original(pool, name, *arguments)

    monkeypatch.setattr(limiter, "run_script", unreliable)

    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            await one.slot(LONG_S)
            heard_at = now()
            one.hear(headers or spent(20))
            with pytest.raises(StoreUnavailable):
                await one.slot(LONG_S)
            await one.slot(LONG_S)
            if script == "ratelimit/learn_limit":
                assert await pace_s(pool, FAST) == spaced(RateScope.per_second("fast", 10), 0.04)
            else:
                other = make(pool, FAST)
                await other.slot(LONG_S)
                assert now() - heard_at >= 18

    play(story)


def test_the_lowest_of_several_limits_counts() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one, other = make(pool, FAST), make(pool, FAST)
            for limited, limit in [(one, 20), (other, 10), (one, 15), (other, 30)]:
                limited.hear({"X-RateLimit-Limit": str(limit)})
                await limited.slot(LONG_S)
            assert await pace_s(pool, FAST) == spaced(RateScope.per_second("fast", 10), 0.04)

    play(story)


def test_a_window_is_as_small_as_the_api_says() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, MINUTE)
            one.hear({"X-RateLimit-Limit": "20"})
            moments = await call(one, 40)
            assert sum(moment - moments[0] < 60 - MICRO for moment in moments) == 19

    play(story)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Limit": "50"},
        {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "999"},
        *({"X-RateLimit-Limit": text} for text in ("", "0", "-5", "ten", "1e1", "٣", "9" * 5000, "10, 10;w=1")),
        {"X-RateLimit-Remaining": "0"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(UNIX_S)},
        {"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": str(UNIX_S + 1_000_060)},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NEAR_RESET_S))},
    ],
)
def test_what_is_no_news_changes_nothing_and_costs_nothing(headers: dict[str, str]) -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            await call(one, 30)
            before = await read(pool)
            taken = one._held.current.next
            for _ in range(100):
                one.hear(headers)
            began_at = now()
            await one.slot(LONG_S)
            assert one._held.current.next == taken + 1
            assert now() - began_at < 2 * FAST.pace_s
            assert await read(pool) == before

    play(story)


def test_the_same_limit_in_every_answer_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    original = limiter.run_script

    async def spy(pool: StorePool, name: str, *arguments: Any) -> list[Any]:
        told.append(name)
        return await original(pool, name, *arguments)

    monkeypatch.setattr(limiter, "run_script", spy)

    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, FAST)
            while now() < 1_000_000 + 2 * LEARNED_S:
                await one.slot(LONG_S)
                one.hear(LIMITED)
            assert 2 <= told.count("ratelimit/learn_limit") <= 5
            assert "ratelimit/penalize" not in told

    play(story)


def test_a_limit_that_is_used_up_holds_everyone_back_until_its_reset() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one, other = make(pool, FAST), make(pool, FAST)
            await call(other, 30)
            asked = asyncio.create_task(call(one, 3))
            await asyncio.sleep(0.001)
            one.hear(spent(30))
            heard_at = now()
            moments = await asked
            assert moments[1] - heard_at == pytest.approx(30, abs=1.1)  # the first is out already
            one.hear(spent(30))
            for limited in (one, other):
                with pytest.raises(MustWait):
                    await limited.slot(5)
            assert await pace_s(pool, FAST) == spaced(FAST, 0.04)  # nobody was refused

    play(story)


def test_no_more_of_a_reset_is_believed_than_of_a_retry_after() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = Limiter(pool, FAST, longest_pause_s=7, clock=now, wall_clock=unix_now)
            one.hear(spent(604_800))
            with pytest.raises(MustWait) as refusal:
                await one.slot(5)
            assert refusal.value.wait_s == pytest.approx(7)

    play(story)


# Several at once


def test_a_batch_is_shorter_while_others_reserve_as_well(reservations: list[int]) -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one, other = make(pool, FAST), make(pool, FAST)
            callers = [asyncio.create_task(call(limited, 25)) for limited in (one, other) for _ in range(20)]
            await asyncio.sleep(2)
            reservations.clear()
            await asyncio.sleep(10)
            for caller in callers:
                caller.cancel()
            await asyncio.wait(callers)
            assert max(reservations) == int(SHARED_SPAN_S / (FAST.pace_s + MICRO))

    play(story)


# Ahead

STEADY = RateScope.per_second("steady", 100)
BETWEEN_S = 0.05
"""A chain of pages asks so often: five times a span."""


@pytest.fixture
def reserved_by(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tasks that asked Redis for slots."""
    names: list[str] = []
    original = limiter.run_script

    async def spy(pool: StorePool, name: str, *arguments: Any) -> list[Any]:
        if name == "ratelimit/reserve":
            names.append(running().get_name())
        return await original(pool, name, *arguments)

    monkeypatch.setattr(limiter, "run_script", spy)
    return names


def running() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def test_who_is_alone_and_busy_never_waits_for_redis_once_it_is_known_to_be(reserved_by: list[str]) -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one, me = make(pool, STEADY), running().get_name()
            await call(one, 30, busy=lambda: BETWEEN_S)
            reserved_by.clear()
            moments = await call(one, 200, busy=lambda: BETWEEN_S)
            assert_kept(moments, STEADY, LATE_S)
            assert me not in reserved_by
            assert 30 <= len(reserved_by) <= 50

    play(story)


def test_nothing_is_reserved_ahead_while_others_need_the_slots(reserved_by: list[str]) -> None:
    async def burst(one: Limiter) -> None:
        running().set_name("caller")
        await one.slot(LONG_S)

    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one, other = make(pool, STEADY), make(pool, STEADY)
            for round_of_both in range(20):
                if round_of_both == 2:
                    reserved_by.clear()  # both know of each other now
                await asyncio.gather(*(burst(limited) for limited in (one, other) for _ in range(3)))
                await asyncio.sleep(0.1)
            assert set(reserved_by) == {"caller"}

    play(story)


PAGE_S = 0.02
BUSY = RateScope.per_second("busy", 1000)


@pytest.mark.parametrize(
    ("told_s", "apart_s", "waits"),
    [
        (PAGE_S, PAGE_S, False),
        (PAGE_S, PAGE_S - LATE_S / 4, False),
        (PAGE_S, PAGE_S + LATE_S / 4, False),
        (0.001, 0.004, False),
        (PAGE_S, PAGE_S + LATE_S, True),  # it came too late: the slot is lost
        (PAGE_S, PAGE_S - LATE_S, True),  # it came too early
    ],
)
def test_a_slot_that_was_foreseen_is_there_at_once_although_others_reserve_as_well(
    reserved_by: list[str], told_s: float, apart_s: float, waits: bool
) -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one, other, me = make(pool, BUSY), make(pool, BUSY), running().get_name()
            for page in range(20):
                if page == 3:
                    reserved_by.clear()  # both know of each other now
                await one.slot(LONG_S)
                one.foresee(told_s)
                await asyncio.sleep(apart_s / 2)
                await asyncio.create_task(call(other, 1), name="other")
                await asyncio.sleep(apart_s / 2)
            assert (me in reserved_by) is waits

    play(story)


def test_nothing_is_foreseen_where_others_wait_for_slots(reserved_by: list[str]) -> None:
    async def crowd(one: Limiter) -> None:
        running().set_name("crowd")
        await call(one, 100)

    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one, other = make(pool, FAST), make(pool, FAST)
            others = [asyncio.create_task(crowd(other)) for _ in range(4)]
            running().set_name("crowd")
            for _ in range(50):
                await one.slot(LONG_S)
                one.foresee(0.1)
                await asyncio.sleep(0.1)
            await asyncio.gather(*others)
            assert set(reserved_by[10:]) == {"crowd"}  # those before did not know of each other

    play(story)


def test_who_is_alone_foresees_nothing(reserved_by: list[str]) -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, BUSY)
            await one.slot(LONG_S)
            one.foresee(PAGE_S)
            await asyncio.sleep(1)
            assert len(reserved_by) == 1

    play(story)


def test_a_429_between_foresight_and_slot_is_obeyed() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one, other = make(pool, BUSY), make(pool, BUSY)
            for _ in range(3):
                await asyncio.gather(call(one, 1), call(other, 1))
                await asyncio.sleep(PAGE_S)
            one.foresee(PAGE_S)
            await asyncio.sleep(PAGE_S / 2)
            penalised_at = now()
            await one.penalise(30)
            await asyncio.sleep(PAGE_S)
            await one.slot(LONG_S)
            assert now() - penalised_at >= 30

    play(story)


def test_who_never_runs_out_of_slots_still_tells_of_a_limit_again_before_it_is_forgotten() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, STEADY)
            while now() < 1_000_000 + 3 * LEARNED_S:
                await one.slot(LONG_S)
                one.hear({"X-RateLimit-Limit": "40"})
                await asyncio.sleep(BETWEEN_S)
            assert await pace_s(pool, STEADY) == spaced(RateScope.per_second("steady", 40), 0.04)

    play(story)


@pytest.mark.parametrize("slow_one", ["ratelimit/reserve", "ratelimit/penalize"])
def test_what_is_reserved_ahead_when_a_penalty_comes_is_void(monkeypatch: pytest.MonkeyPatch, slow_one: str) -> None:
    slow_now = False
    original = limiter.run_script

    async def slow(pool: StorePool, name: str, *arguments: Any) -> list[Any]:
        is_slow = slow_now and name == slow_one
        await asyncio.sleep(0.04 if is_slow and name == "ratelimit/penalize" else 0)
        answer = await original(pool, name, *arguments)
        await asyncio.sleep(0.04 if is_slow and name == "ratelimit/reserve" else 0)
        return answer

    monkeypatch.setattr(limiter, "run_script", slow)

    async def story() -> None:
        nonlocal slow_now
        async with closing(embedded_pool()) as pool:
            one = make(pool, STEADY)
            await call(one, 30, busy=lambda: BETWEEN_S)
            slow_now = True
            while one._reserving_ahead is None:
                await asyncio.sleep(BETWEEN_S)
                await one.slot(LONG_S)
            if slow_one == "ratelimit/reserve":
                await asyncio.sleep(0.01)
            penalised_at = now()
            await one.penalise(30)
            moments = await call(one, 5, busy=lambda: BETWEEN_S)
            assert moments[0] - penalised_at >= 30
            assert_kept(moments, STEADY, LATE_S)

    play(story)


def test_redis_may_be_away_for_as_long_as_there_are_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    away = False
    original = limiter.run_script

    async def flaky(pool: StorePool, name: str, *arguments: Any) -> list[Any]:
        if away:
            raise StoreUnavailable("away")
        return await original(pool, name, *arguments)

    monkeypatch.setattr(limiter, "run_script", flaky)

    async def story() -> None:
        nonlocal away
        async with closing(embedded_pool()) as pool:
            one = make(pool, STEADY)
            await call(one, 30, busy=lambda: BETWEEN_S)
            away = True
            reported: list[object] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
            with pytest.raises(StoreUnavailable):
                await call(one, 60)
            away = False
            await one.slot(LONG_S)
            assert reported == []

    play(story)


# Slow answers


@pytest.mark.parametrize(
    ("delays", "questions"),
    [
        ([0.2], 1),  # nothing better is known yet
        ([0.0, 0.2], 3),
        ([0.0, 0.2, 0.2, 0.2, 0.2], 4),  # it has become slow
        ([0.0, LATE_S / 2], 2),
    ],
)
def test_slots_of_a_slow_answer_are_void_unless_all_answers_are_slow(
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
            one = make(pool, FAST)
            for _ in range(min(2, len(delays))):
                await one.slot(LONG_S)
                await asyncio.sleep(1)
            assert len(asked) == questions

    play(story)


# What stays in Redis


def test_a_limit_that_nobody_uses_any_more_leaves_redis() -> None:
    async def story() -> None:
        async with closing(embedded_pool()) as pool:
            one = make(pool, MINUTE)
            await call(one, 700)
            names = {keys.limit("minute"), keys.limit("minute") + ":log"}
            assert {name for name, key in (await read(pool)).items() if key.expires} == names
            assert (
                await pool.llen(keys.limit("minute") + ":log") == 600
            )  # of a lower limit too, for callers that know a higher one
            one.hear({"X-RateLimit-Limit": "30"})
            await one.slot(LONG_S)
            await one.penalise(3600)
            await asyncio.sleep(3500)
            assert await pool.exists(keys.limit("minute")) == 1
            await asyncio.sleep(800)
            assert await read(pool) == {}

    play(story)
