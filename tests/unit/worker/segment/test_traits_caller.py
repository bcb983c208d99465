"""A profile that cannot be read is distinguished from an API that does not answer, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.clocks.virtual_time import now, run_in_virtual_time
from tests.support.examples import examples
from worker.concurrency import gather_all
from worker.errors import ApiError, Permanent, ResumableStop, Retry, WaitUntil
from worker.http.client import new_session
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.services import WorkerServices
from worker.segment.traits_caller import TRIES, UNREADABLE, TraitsCaller
from worker.settings import load_settings
from worker.store import embedded_pool
from worker.store.connection.pool import closing

CHECKS = 3
"""Requests that show whether only this profile fails: another one, this one, and the other one again."""
BUDGET_S = 60.0
FAILURES: dict[str, ApiError] = {
    "500": Retry("segment_unavailable", "500"),
    "body": Retry("segment_bad_body", "no traits"),
    "400": Permanent("segment_bad_request", "400"),
    "403": ResumableStop("segment_forbidden", "403"),
}


@dataclass
class Api:
    """Profiles by number. poisoned: those that always fail, and how; outage: from when to when all requests fail."""

    profiles: int
    poisoned: dict[int, ApiError]
    outage: tuple[float, float] = (0.0, 0.0)
    took_s: float = 0.05
    sent: int = 0
    began_at: float = field(default_factory=now)

    async def traits(self, number: int) -> object:
        self.sent += 1
        await asyncio.sleep(self.took_s)
        start, end = self.outage
        if start <= now() - self.began_at < end:
            raise Retry("segment_unavailable", "503")
        if number in self.poisoned:
            raise self.poisoned[number]
        return number


async def read(api: Api, concurrent_requests: int) -> list[object]:
    """What is answered for each profile, through jobs that hand over and read what was not read to its end again."""
    settings = load_settings(
        segment_token="sandbox", mavera_api_key="mvra_test_sandbox", segment_rate=1e5, retry_budget_s=BUDGET_S
    )
    async with closing(embedded_pool()) as pool, new_session() as session:
        services = WorkerServices(settings, pool, session, clock=now)
        trouble_ms = 0
        for _ in range(100):
            api_caller = services.segment_caller("spa_1", trouble_ms)
            caller, places = TraitsCaller(), asyncio.Semaphore(concurrent_requests)

            async def one(
                number: int,
                api_caller: ApiCaller = api_caller,
                caller: TraitsCaller = caller,
                places: asyncio.Semaphore = places,
            ) -> object:
                async with places:
                    return await caller.read(lambda: api.traits(number), api_caller.call)

            try:
                return await gather_all([one(number) for number in range(api.profiles)])
            except Defer as wait:
                trouble_ms = api_caller.trouble_ms
                await asyncio.sleep(wait.wait_s)
    raise AssertionError("it never ends")


POISONED = st.dictionaries(st.integers(0, 19), st.sampled_from(list(FAILURES.values())), max_size=19)


@given(poisoned=POISONED, concurrent_requests=st.sampled_from([1, 3, 32]))
@examples(8, thorough=300)
def test_exactly_the_profiles_that_cannot_be_read_are_left_out(
    poisoned: dict[int, ApiError], concurrent_requests: int
) -> None:
    async def body() -> None:
        api = Api(20, poisoned)
        try:
            found = await read(api, concurrent_requests)
        except (ResumableStop, Permanent):
            # Without an answer before them, this could be an API that refuses every profile.
            assert set(range(min(20, concurrent_requests))) <= set(poisoned)
            return
        assert found == [UNREADABLE if number in poisoned else number for number in range(20)]
        most = TRIES + CHECKS
        assert api.sent <= 20 - len(poisoned) + most * len(poisoned) * (1 + (now() - api.began_at > 8))
        assert now() - api.began_at <= 2 * BUDGET_S

    run_in_virtual_time(body)


@given(
    poisoned=st.dictionaries(st.integers(3, 19), st.sampled_from(list(FAILURES.values())), max_size=4),
    concurrent_requests=st.sampled_from([1, 3, 32]),
    start=st.floats(0, 3),
    lasts_s=st.floats(0, 90),
)
@example(poisoned={4: FAILURES["400"]}, concurrent_requests=32, start=0.0, lasts_s=46.853584186117)
@examples(10, thorough=400)
def test_an_outage_leaves_out_no_profile_that_can_be_read(
    poisoned: dict[int, ApiError], concurrent_requests: int, start: float, lasts_s: float
) -> None:
    async def body() -> None:
        api = Api(20, poisoned, (start, start + lasts_s))
        try:
            found = await read(api, concurrent_requests)
        except ResumableStop:
            assert lasts_s > BUDGET_S / 2 - 11
            return
        assert found == [UNREADABLE if number in poisoned else number for number in range(20)]

    run_in_virtual_time(body)


def test_an_exceeded_limit_is_not_counted_against_a_profile() -> None:
    async def body() -> None:
        api, asked = Api(2, {}), 0
        caller = TraitsCaller()

        async def once(send: object) -> object:
            return await send()  # type: ignore[operator]

        assert await caller.read(lambda: api.traits(0), once) == 0

        async def limited() -> object:
            nonlocal asked
            asked += 1
            raise WaitUntil("segment_rate_limit", "429", wait_s=1)

        for _ in range(2 * TRIES):
            try:
                await caller.read(limited, once)
            except WaitUntil:
                continue
        assert (asked, api.sent) == (2 * TRIES, 1)

    run_in_virtual_time(body)
