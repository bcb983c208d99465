"""The caller of an API: retries and their pauses, `Retry-After`, and the throttle that all workers share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.api_caller import NOWHERE, SCOPE, Bench, always, failing, limited, unavailable
from tests.support.clocks.fake_time import services_for
from tests.support.clocks.virtual_time import now, run_in_virtual_time
from worker.errors import Permanent, ResumableStop, Retry
from worker.http.client import new_session
from worker.jobs.api_caller import LONGEST_WAIT_S, ApiCaller, Defer, NoLimit, RetryPolicy
from worker.jobs.services import WorkerServices
from worker.settings import load_settings
from worker.store import RateScope, embedded_pool
from worker.store.connection.pool import closing

WEEK_S = 604_800.0


# Retries


async def test_a_request_that_succeeds_costs_no_time(bench: Bench) -> None:
    caller = bench.caller()
    assert await caller.call(failing()) == "answer"
    assert bench.time.naps == []
    assert caller.trouble_ms == 0


async def test_pauses_double_until_the_api_is_well(bench: Bench) -> None:
    caller = bench.caller()
    assert await caller.call(failing(*(unavailable() for _ in range(5)))) == "answer"
    assert bench.time.naps == [0.25, 0.5, 1, 2, 4]


async def test_the_hours_of_a_long_request_are_no_trouble_before_it_fails(bench: Bench) -> None:
    policy = bench.services(NOWHERE).retry_policy
    for is_long, code in ((True, None), (False, "warehouse_connection_lost")):
        caller = ApiCaller(NoLimit(), "The warehouse", policy, long_requests=is_long)
        answers = failing(Retry("warehouse_connection_lost", "the connection was lost"))

        async def request(answers: Callable[[], Awaitable[str]] = answers) -> str:
            await bench.time.sleep(7200)
            return await answers()

        if code is None:
            assert await caller.call(request) == "answer"
        else:
            with pytest.raises(ResumableStop) as failed:
                await caller.call(request)
            assert (failed.value.code, "The warehouse has failed" in str(failed.value)) == (code, True)


async def test_each_request_begins_with_a_short_pause(bench: Bench) -> None:
    caller = bench.caller()
    for _ in range(3):
        await caller.call(failing(unavailable(), unavailable()))
    assert bench.time.naps == [0.25, 0.5] * 3
    assert caller.trouble_ms == 0


async def test_requests_that_fail_in_one_moment_each_wait_once(bench: Bench) -> None:
    caller = bench.caller()
    await asyncio.gather(*(caller.call(failing(unavailable())) for _ in range(32)))
    assert bench.time.naps == [0.25] * 32
    assert caller.trouble_ms == 0


async def test_a_request_that_keeps_failing_is_not_helped_by_other_requests(bench: Bench) -> None:
    caller = bench.caller(retry_budget_s=5)

    async def fails_beside_others() -> str:
        assert await caller.call(failing()) == "answer"
        raise unavailable()

    with pytest.raises(ResumableStop):
        await caller.call(fails_beside_others)
    assert bench.time.naps == [0.25, 0.5, 1, 2]


async def test_pauses_are_drawn_by_chance(bench: Bench) -> None:
    services = services_for(bench.pool, bench.session, bench.time, NOWHERE)
    caller = ApiCaller(bench.time.limiter(bench.pool, SCOPE), "Segment", services.retry_policy)
    await caller.call(failing(*(unavailable() for _ in range(4))))
    assert all(most / 2 <= nap <= most for nap, most in zip(bench.time.naps, [0.25, 0.5, 1, 2], strict=True))


@pytest.mark.parametrize("error", [ResumableStop("c", "m"), Permanent("c", "m"), ValueError("m")])
async def test_what_no_patience_mends_is_raised_at_once(bench: Bench, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        await bench.caller().call(always(error))
    assert caught.value is error
    assert bench.time.naps == []


async def test_a_long_pause_is_not_waited_for_in_a_workers_slot(bench: Bench) -> None:
    caller = bench.caller()
    with pytest.raises(Defer) as caught:
        await caller.call(always(unavailable()))
    assert caught.value.wait_s == 8
    assert caught.value.note.startswith("Segment, space spa_1, page 3: 503 (Request-Id req_1); retrying, ")
    assert max(bench.time.naps) <= LONGEST_WAIT_S
    assert caller.trouble_ms >= 7750


# Retry-After


@pytest.mark.parametrize(("asked_s", "waited_s"), [(2.0, 2), (60, 60), (WEEK_S, 120), (1e9, 120), (float("inf"), 120)])
async def test_a_429_holds_requests_back_for_at_most_the_longest_wait(
    bench: Bench, asked_s: float, waited_s: float
) -> None:
    await bench.caller().wait_after_failure(limited(asked_s))
    assert waited_s - 1 < await bench.others_wait_s() <= waited_s
    assert await bench.others_wait_s(RateScope("segment:spa_2", gap_s=1e-6)) == 0


async def test_a_429_that_names_no_time_backs_off_and_holds_everybody_back(bench: Bench) -> None:
    caller = bench.caller(retry_base_s=30)  # the cap of a pause is 10 s
    await caller.wait_after_failure(limited(None))
    assert 9 < await bench.others_wait_s() <= 10


async def test_a_short_retry_after_is_waited_for(bench: Bench) -> None:
    caller = bench.caller()
    assert await caller.call(failing(limited(2))) == "answer"
    assert 1 < sum(bench.time.naps) <= 2


async def test_a_long_retry_after_hands_the_sync_over(bench: Bench) -> None:
    with pytest.raises(Defer) as caught:
        await bench.caller().call(always(limited(60)))
    assert 59 < caught.value.wait_s <= 60
    assert caught.value.note == "waiting for Segment's rate limit"
    assert bench.time.naps == []


async def test_a_retry_after_beyond_the_budget_fails_at_once(bench: Bench) -> None:
    with pytest.raises(ResumableStop) as caught:
        await bench.caller(retry_budget_s=100).call(always(limited(WEEK_S)))
    assert caught.value.code == "segment_rate_limit"
    assert await bench.others_wait_s() == 0


# The throttle


async def test_a_full_window_hands_the_sync_over_without_blaming_the_api(bench: Bench) -> None:
    scope = RateScope("mavera:test", gap_s=0.0, most=1, window_s=60.0)
    caller = bench.caller(scope=scope)
    assert await caller.call(failing()) == "answer"
    with pytest.raises(Defer) as caught:
        await caller.call(failing())
    assert 59 < caught.value.wait_s <= 60
    assert caller.trouble_ms == 0


async def test_a_retry_is_throttled_like_a_first_attempt(bench: Bench) -> None:
    caller = bench.caller(scope=RateScope("segment:slow", gap_s=3.0))
    await caller.call(failing(unavailable()))
    assert bench.time.naps[0] == 0.25
    assert 1 < sum(bench.time.naps) <= 3


def test_a_slow_limit_causes_no_hand_over_however_many_wait_for_it() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool, new_session() as session:
            settings = load_settings(segment_token="sandbox", mavera_api_key="mvra_test_sandbox", segment_rate=1)
            services = WorkerServices(settings, pool, session, clock=now)
            caller = services.segment_caller("spa_1")
            began_at = now()
            assert await asyncio.gather(*(caller.call(failing()) for _ in range(20))) == ["answer"] * 20
            assert now() - began_at > 3 * LONGEST_WAIT_S

    run_in_virtual_time(body)


# The pauses between attempts


def test_pauses_double_up_to_the_cap() -> None:
    policy = RetryPolicy(0.25, cap_s=10, draw=lambda: 1.0)
    assert [policy.pause_s(n) for n in range(1, 9)] == [0.25, 0.5, 1, 2, 4, 8, 10, 10]


def test_a_pause_is_drawn_from_its_upper_half() -> None:
    assert RetryPolicy(1, draw=lambda: 0.0).pause_s(1) == 0.5
    assert RetryPolicy(1, draw=lambda: 0.5).pause_s(1) == 0.75


@given(st.floats(0.001, 1e6), st.floats(0.001, 1e6), st.integers(1, 10**9), st.floats(0, 1, exclude_max=True, width=32))
def test_no_pause_is_zero_or_beyond_the_cap(base_s: float, cap_s: float, failures: int, drawn: float) -> None:
    pause_s = RetryPolicy(base_s, cap_s=cap_s, draw=lambda: drawn).pause_s(failures)
    assert min(base_s, cap_s) / 2 <= pause_s <= min(cap_s, base_s * 2.0 ** min(failures - 1, 30))


@pytest.mark.parametrize("failures", range(1, 6))
def test_two_workers_do_not_come_back_at_the_same_moment(failures: int) -> None:
    pauses = {RetryPolicy(1.0).pause_s(failures) for _ in range(50)}
    assert len(pauses) > 40
