"""The retry budget: one for all jobs of a sync, counted from the first failure until progress is made."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.api_caller import Bench, always, failing, limited, unavailable
from tests.support.clocks.virtual_time import now, run_in_virtual_time
from tests.support.examples import examples
from worker.concurrency import gather_all
from worker.errors import ResumableStop, Retry
from worker.http.client import new_session
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.services import WorkerServices
from worker.settings import load_settings
from worker.store import embedded_pool
from worker.store.connection.pool import closing


async def test_the_wait_of_an_earlier_job_counts_until_progress_is_made(bench: Bench) -> None:
    caller = bench.caller(trouble_ms=299_000)
    assert await caller.call(failing()) == "answer"
    with pytest.raises(ResumableStop, match="has failed for 300 s"):
        await caller.call(failing(unavailable(), unavailable(), unavailable()))
    caller.note_progress()
    assert caller.trouble_ms == 0
    assert await caller.call(failing(unavailable(), unavailable(), unavailable())) == "answer"


async def test_a_job_that_is_stopped_leaves_the_trouble_of_its_requests_to_the_next(bench: Bench) -> None:
    caller, waits = bench.caller(), asyncio.Event()

    async def fails_then_hangs() -> str:
        if not bench.time.naps:
            raise unavailable()
        waits.set()
        await asyncio.Event().wait()
        return "never"

    call = asyncio.create_task(caller.call(fails_then_hangs))
    await waits.wait()
    assert caller.trouble_ms == 250
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert caller.trouble_ms == 250


def test_a_short_outage_costs_its_length_however_many_requests_it_meets() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool, new_session() as session:
            settings = load_settings(segment_token="sandbox", mavera_api_key="mvra_test_sandbox", segment_rate=1000)
            services = WorkerServices(settings, pool, session, clock=now)
            services.retry_policy = replace(services.retry_policy, draw=lambda: 1.0)
            caller = services.segment_caller("spa_1")
            began_at, sent = now(), 0

            async def request() -> str:
                nonlocal sent
                sent += 1
                if now() - began_at < 0.5:
                    raise unavailable()
                return "answer"

            assert await asyncio.gather(*(caller.call(request) for _ in range(32))) == ["answer"] * 32
            assert (now() - began_at < 1.0, sent <= 3 * 32) == (True, True)

    run_in_virtual_time(body)


FAILING_FOR_S = st.lists(st.floats(0, 400), min_size=1, max_size=6)


@given(failing_for_s=FAILING_FOR_S, concurrent_requests=st.integers(1, 6))
@examples(8, thorough=300)
def test_every_request_ends_within_its_own_budget_whatever_the_others_do(
    failing_for_s: list[float], concurrent_requests: int
) -> None:
    """Requests that fail from their first attempt for given times, in jobs that hand over what they waited for."""
    budget_s = 60.0

    async def body() -> None:
        async with closing(embedded_pool()) as pool, new_session() as session:
            settings = load_settings(
                segment_token="sandbox",
                mavera_api_key="mvra_test_sandbox",
                segment_rate=1000,
                retry_budget_s=budget_s,
            )
            services = WorkerServices(settings, pool, session, clock=now)
            first_at: dict[int, float] = {}
            left, trouble_ms, jobs = list(range(len(failing_for_s))), 0, 0

            async def request(index: int) -> str:
                began_at = first_at.setdefault(index, now())
                if now() - began_at < failing_for_s[index]:
                    raise unavailable()
                return "answer"

            async def one(caller: ApiCaller, index: int) -> None:
                await caller.call(lambda: request(index))
                left.remove(index)

            while left:
                jobs += 1
                caller = services.segment_caller("spa_1", trouble_ms)
                before = len(left)
                try:
                    await gather_all([one(caller, index) for index in left[:concurrent_requests]])
                except Defer as wait:
                    if len(left) < before:
                        caller.note_progress()
                    trouble_ms = caller.trouble_ms
                    await asyncio.sleep(wait.wait_s)
                except ResumableStop:
                    assert max(failing_for_s) > budget_s - 11  # the longest pause is 10 s
                    break
                else:
                    trouble_ms = 0
                assert jobs < 60
            assert now() - 1_000_000 <= (budget_s + 15) * len(failing_for_s)

    run_in_virtual_time(body)


async def test_an_api_that_stays_away_fails_the_sync_resumable(bench: Bench) -> None:
    caller = bench.caller(retry_budget_s=3)
    with pytest.raises(ResumableStop) as caught:
        await caller.call(always(unavailable()))
    assert caught.value.code == "segment_unavailable"
    assert "page 3: 503 (Request-Id req_1). Segment has failed for 2 s, and RETRY_BUDGET_S is 3" in str(caught.value)
    assert sum(bench.time.naps) <= 3


async def test_a_wait_that_is_longer_than_the_budget_is_named(bench: Bench) -> None:
    with pytest.raises(ResumableStop, match="failed for 0 s and asks for 60 s more, and RETRY_BUDGET_S is 5"):
        await bench.caller(retry_budget_s=5).call(always(limited(60)))
    assert bench.time.naps == []


async def test_without_a_budget_the_first_failure_is_the_last(bench: Bench) -> None:
    with pytest.raises(ResumableStop):
        await bench.caller(retry_budget_s=0).call(always(unavailable()))
    assert bench.time.naps == []


@pytest.mark.parametrize("error", [unavailable(), limited(120), limited(20)], ids=["503", "429 120", "429 20"])
async def test_the_budget_is_one_for_all_jobs_of_a_sync_and_ordered_waits_count(bench: Bench, error: Retry) -> None:
    began, trouble_ms = bench.time.now, 0
    while True:
        caller = bench.caller(trouble_ms)
        try:
            await caller.call(always(error))
        except Defer as wait:
            assert caller.trouble_ms > trouble_ms
            trouble_ms = caller.trouble_ms
            await bench.time.sleep(wait.wait_s)
        except ResumableStop:
            break
    assert 300 - 130 <= bench.time.now - began <= 3 * 300


async def test_an_earlier_jobs_trouble_counts(bench: Bench) -> None:
    with pytest.raises(ResumableStop, match="has failed for 300 s"):
        await bench.caller(trouble_ms=299_999).call(always(unavailable()))
    assert bench.time.naps == []


async def test_trouble_of_an_earlier_job_lasts_until_progress(
    bench: Bench,
) -> None:
    caller = bench.caller(trouble_ms=5000)
    assert caller.trouble_ms == 5000
    await bench.time.sleep(2)
    assert caller.trouble_ms == 5000
    await caller.call(failing())
    assert caller.trouble_ms == 5000
    caller.note_progress()
    assert caller.trouble_ms == 0


async def test_a_failure_of_no_measurable_length_counts(bench: Bench) -> None:
    caller = bench.caller()
    with pytest.raises(Defer):
        await caller.call(always(limited(60)))
    assert caller.trouble_ms >= 1
