"""The caller of an API against the sandbox: what its faults cost, in fake time."""

from __future__ import annotations

import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from tests.support.api_caller import SCOPE, Bench
from worker.errors import ApiError
from worker.jobs.api_caller import ApiCaller, Defer
from worker.models.request import SyncRequest
from worker.segment import Page
from worker.store import keys


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
