"""The caller of an API: throttle, retries and their budget, in fake time over an in-memory Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from tests.support.clocks.fake_time import FakeTime, services_for
from tests.support.clocks.virtual_time import now, run_in_virtual_time
from tests.support.examples import examples
from worker.concurrency import gather_all
from worker.errors import ApiError, Permanent, ResumableStop, Retry, WaitUntil
from worker.http.client import new_session
from worker.jobs.api_caller import LONGEST_WAIT_S, ApiCaller, Defer, NoLimit, RetryPolicy
from worker.jobs.services import WorkerServices
from worker.models.request import SyncRequest
from worker.segment import Page
from worker.settings import load_settings
from worker.store import RateScope, StorePool, embedded_pool, keys
from worker.store.connection.pool import closing
from worker.store.ratelimit.limiter import MustWait

SCOPE = RateScope("segment:spa_1", gap_s=1e-6)
WEEK_S = 604_800.0
NOWHERE = "http://127.0.0.1:1"


class Bench:
    """One worker's services in fake time, and a caller of an API that fails as told."""

    def __init__(self, pool: StorePool, session: aiohttp.ClientSession) -> None:
        self.pool, self.session = pool, session
        self.time = FakeTime(pool)

    def services(self, url: str, **settings: object) -> WorkerServices:
        services = services_for(self.pool, self.session, self.time, url, **settings)
        services.retry_policy = replace(services.retry_policy, draw=lambda: 1.0)
        return services

    def caller(self, trouble_ms: int = 0, *, scope: RateScope = SCOPE, **settings: object) -> ApiCaller:
        limiter = self.time.limiter(self.pool, scope)
        return ApiCaller(limiter, "Segment", self.services(NOWHERE, **settings).retry_policy, trouble_ms)

    async def others_wait_s(self, scope: RateScope = SCOPE) -> float:
        """How long another worker's limiter of the same scope would have to wait; 0 if not at all."""
        try:
            await self.time.limiter(self.pool, scope).wait_for_slot(0.0)
        except MustWait as wait:
            return wait.wait_s
        return 0.0


@pytest.fixture
async def bench(fake_pool: StorePool) -> AsyncIterator[Bench]:
    async with new_session() as session:
        yield Bench(fake_pool, session)


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """A request that fails so, one after the other, then succeeds."""
    left = list(errors)

    async def request() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return request


def always(error: Exception) -> Callable[[], Awaitable[str]]:
    async def request() -> str:
        raise error

    return request


def unavailable() -> Retry:
    return Retry("segment_unavailable", "Segment, space spa_1, page 3: 503", request_id="req_1")


def limited(wait_s: float | None) -> WaitUntil:
    return WaitUntil("segment_rate_limit", "Segment, space spa_1, page 3: 429", wait_s=wait_s)


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


# The budget


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


# With the sandbox


async def _page(bench: Bench, *faults: Fault) -> Page:
    options = SandboxOptions({"spa_1": SpaceSpec(5)}, faults=faults)
    async with Sandbox(options) as box:
        services = bench.services(box.url)
        segment = services.source(SyncRequest(space_id="spa_1"))
        caller = ApiCaller(bench.time.limiter(bench.pool, SCOPE), "Segment", services.retry_policy)
        return await caller.call(lambda: segment.fetch_page("", 1))


@pytest.mark.parametrize(
    "fault",
    [
        Fault("segment", "status", status=429, retry_after="2", times=2),
        Fault("segment", "status", status=429, retry_after="date:+3", times=2),
        Fault("segment", "status", status=429, retry_after="date:-604800", times=2),
        Fault("segment", "status", status=429, retry_after="-1", times=2),
        Fault("segment", "status", status=429, times=2),
        Fault("segment", "status", status=502, body="html", times=3),
        Fault("segment", "drop", times=5),
        Fault("segment", "truncate", times=2),
        Fault("segment", "invalid_json", times=2),
        Fault("segment", "gzip_bomb", size_mb=40, times=1),
    ],
    ids=lambda fault: f"{fault.kind} {fault.retry_after or fault.status}",
)
async def test_a_page_is_had_once_the_api_is_well(bench: Bench, fault: Fault) -> None:
    assert len((await _page(bench, fault)).profiles) == 5
    assert 0 < sum(bench.time.naps) < 30


async def test_a_retry_after_of_a_week_hands_over_for_two_minutes(bench: Bench) -> None:
    with pytest.raises(Defer) as caught:
        await _page(bench, Fault("segment", "status", status=429, retry_after="604800"))
    assert 119 < caught.value.wait_s <= 120


@pytest.mark.parametrize("kind", ["html", "deep", "status"])
async def test_a_page_that_stays_bad_hands_over_and_names_itself(bench: Bench, kind: str) -> None:
    with pytest.raises(Defer, match="space spa_1, page 1"):
        await _page(bench, Fault("segment", kind))  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [401, 403, 404, 400])
async def test_a_refusal_is_not_repeated(bench: Bench, status: int) -> None:
    with pytest.raises(ApiError):
        await _page(bench, Fault("segment", "status", status=status))
    assert bench.time.naps == []


async def test_the_limits_of_both_apis_reach_every_worker_with_the_next_request(bench: Bench) -> None:
    options = SandboxOptions({"spa_1": SpaceSpec(5)}, segment_limit=10, segment_limit_headers=True, mavera_limit=30)
    async with Sandbox(options) as box:
        services = bench.services(box.url, segment_rate=50, mavera_rate=60)
        request = SyncRequest(space_id="spa_1")
        segment = services.segment_caller("spa_1")
        mavera = services.mavera_caller()
        for _ in range(2):
            await segment.call(lambda: services.source(request).fetch_page("", 1))
            await mavera.call(lambda: services.mavera.list_page("family", None))
    scopes = sorted([key async for key in bench.pool.scan_iter(keys.limit("*")) if not key.endswith(b":log")])
    assert [await bench.pool.hash_field(scope.decode(), "named") for scope in scopes] == [b"30", b"10"]


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
