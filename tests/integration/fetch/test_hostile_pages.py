"""Hostile input: whatever Segment answers, the sync comes to a clear end and the worker continues with the next."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import orjson
import pytest

from producer.sandbox import Fault, SpaceSpec
from producer.sandbox.spaces.space import profile
from tests.support.sandbox.prebuilt_sandbox import PrebuiltSandbox
from tests.support.scenarios.checks import assert_exact
from tests.support.scenarios.expected_clusters import expected_clusters
from tests.support.scenarios.scenario import RECIPE, Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.web_server import answer, serving
from worker.models.sync import SyncState

SETTINGS = {
    "RETRY_BUDGET_S": "0.4",
    "MAX_BODY_MB": "1",
    "RETRY_AFTER_MAX_S": "1",
    "LEASE_S": "30",
    "MAVERA_TIMEOUT_S": "8",
    "MAVERA_SETTLE_S": "10",
}
"""A short budget, which no slow answer of Mavera uses up."""
LONG = SpaceSpec(8000, "wide")
"""Forty pages."""


@dataclass(frozen=True)
class Case:
    """A fault that befalls a space, and how its sync must fail. pages: the most that may be counted by then."""

    fault: Fault
    code: str
    resumable: bool
    words: str
    pages: int = 0


CASES = {
    "a cursor that repeats itself": Case(
        Fault("segment", "cursor_loop", page=5, times=0), "cursor_loop", False, "the listing is a loop", 15
    ),
    "a circle of nine pages": Case(
        Fault("segment", "cursor_loop", page=12, period=9), "cursor_loop", False, "the one of 9 pages before", 60
    ),
    "empty pages without end": Case(
        Fault("segment", "empty_pages", page=3), "empty_pages", False, "100 empty pages in a row", 3 + 100
    ),
    "a body over the bound": Case(
        Fault("segment", "oversize", size_mb=4), "segment_unavailable", True, "larger than 1 MiB (MAX_BODY_MB)"
    ),
    "a compressed bomb": Case(
        Fault("segment", "gzip_bomb", size_mb=300), "segment_unavailable", True, "larger than 1 MiB (MAX_BODY_MB)"
    ),
    "HTML with status 200": Case(Fault("segment", "html"), "segment_bad_body", True, "the body is not JSON"),
    "half a JSON": Case(Fault("segment", "invalid_json"), "segment_bad_body", True, "the body is not JSON"),
    "JSON nested too deeply": Case(Fault("segment", "deep"), "segment_bad_body", True, "the body is no"),
    "HTML with status 502": Case(
        Fault("segment", "status", status=502, body="html"), "segment_unavailable", True, "502"
    ),
    "a redirect to another host": Case(
        Fault("segment", "redirect", location="other"), "segment_unreachable", True, "redirects to another host"
    ),
    "a redirect without end": Case(
        Fault("segment", "redirect", location="/spaces/{space}/collections/users/profiles"),
        "segment_unreachable",
        True,
        "more than 3 redirects",
    ),
    "a connection that always breaks": Case(Fault("segment", "drop"), "segment_unavailable", True, "connection broke"),
}


async def test_a_hostile_listing_ends_its_sync_and_not_the_worker(
    session_redis: RedisServer, start_worker: Start
) -> None:
    spaces = {f"spa_{i}": LONG for i in range(len(CASES))} | {"spa_good": RECIPE}
    async with start_scenario(
        session_redis, start_worker, spaces, settings=SETTINGS, sandbox_type=PrebuiltSandbox
    ) as scenario:
        worker = scenario.worker(WORKER_SLOTS="20")
        for space, case in zip(spaces, CASES.values(), strict=False):
            location = case.fault.location.format(space=space)
            scenario.sandbox.add_fault(replace(case.fault, space=space, location=location))
        syncs = {name: await scenario.enqueue(space) for space, name in zip(spaces, CASES, strict=False)}
        found, expected = {}, {}
        for name, case in CASES.items():
            sync = await scenario.ended(syncs[name])
            error = sync.error
            expected[name] = (SyncState.FAILED, SyncState.FETCHING, case.code, case.resumable, True)
            found[name] = (sync.state, sync.failed_in, error and error.code, error and error.resumable)
            found[name] += (bool(error and case.words in error.message),)
            assert sync.pages <= case.pages, (name, sync.pages)
        assert found == expected, {name: (await scenario.ended(sync)).error for name, sync in syncs.items()}
        assert list(scenario.sandbox.journal.elsewhere) == []
        assert scenario.sandbox.posts == []

        await scenario.assert_bought_once(await scenario.sync("spa_good"))
        await scenario.assert_clean()
        assert worker.alive
        assert len(scenario.workers) == 1
        assert "Traceback" not in worker.text()
        assert _peak_mb(worker.process.pid) < 250


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_an_unusable_number_is_one_trait_error_and_spoils_no_page(
    token: str, session_redis: RedisServer, start_worker: Start
) -> None:
    fault = Fault("segment", "not_finite", times=1, token=token)
    async with start_scenario(session_redis, start_worker, settings=SETTINGS, faults=(fault,)) as scenario:
        scenario.worker()
        sync = await scenario.sync()
        entries = [profile(RECIPE, i) for i in range(60)]
        entries[0]["traits"]["ltv"] = True  # type: ignore[index]  # usable no more than the other
        assert_exact(sync, expected_clusters(entries))


async def test_enormous_traits_are_trait_errors_and_spoil_no_page(
    session_redis: RedisServer, start_worker: Start
) -> None:
    digits = ["9" * 400, "-" + "9" * 400, "1" * 5000, "0." + "3" * 400, "1" + "0" * 400 + ".5"]
    nested: object = "x"
    for _ in range(200):
        nested = [nested]
    entries = [profile(RECIPE, i) for i in range(60)]
    for entry in entries[20:40]:
        entry["traits"] |= {"industry": "i" * 100_000, "plan": nested, "notes": {"deep": nested}}  # type: ignore[index]
    text = orjson.dumps({"data": {"profiles": entries}}).decode()
    body = text
    for i, number in enumerate(digits):
        # The first trait of every third profile is its ltv, 1200.
        body = _replace_nth(body, '"ltv":1200', f'"ltv":{number}', 20 - i)
        entries[3 * (19 - i)]["traits"]["ltv"] = float(number) if "." in number and i == 3 else True  # type: ignore[index]
    async with (
        serving(answer(body=body.encode())) as segment,
        start_scenario(session_redis, start_worker, settings={"LEASE_S": "30", "GUARD_TRAIT_ERRORS": "1"}) as scenario,
    ):
        worker = scenario.worker(SEGMENT_BASE_URL=segment.url)
        sync = await scenario.sync()
        assert_exact(sync, expected_clusters(entries))
        assert worker.alive
        assert "i" * 101 not in worker.text()


async def test_no_retry_after_stops_a_sync_for_longer_than_the_bound(
    session_redis: RedisServer, start_worker: Start
) -> None:
    waits = ["604800", "date:+604800", "date:-60", "0", "soon", "date:+1", "1"]
    spaces = {f"spa_{i}": SpaceSpec(1000, "wide", seed=i) for i in range(len(waits))}
    faults = tuple(
        Fault("segment", "status", space=space, page=3, times=1, status=429, retry_after=wait)
        for space, wait in zip(spaces, waits, strict=True)
    )
    settings = {**SETTINGS, "RETRY_BUDGET_S": "60"}
    async with start_scenario(session_redis, start_worker, spaces, settings=settings, faults=faults) as scenario:
        scenario.worker()
        for sync in [await scenario.enqueue(space) for space in spaces]:
            await scenario.assert_bought_once(await scenario.ended(sync))
        longest = {space: _longest_gap(scenario, space) for space in spaces}
        # Those that named a time that can be believed, or one that is cut to RETRY_AFTER_MAX_S, were waited for.
        for space, wait in zip(spaces, waits, strict=True):
            if wait in {"604800", "date:+604800", "1"}:
                assert longest[space] > 0.9, (wait, longest[space])


async def test_a_retry_after_longer_than_the_budget_fails_the_sync_resumable_at_once(
    session_redis: RedisServer, start_worker: Start
) -> None:
    fault = Fault("segment", "status", page=3, status=429, retry_after="604800")
    settings = {"RETRY_AFTER_MAX_S": "120", "RETRY_BUDGET_S": "60", "LEASE_S": "30"}
    async with start_scenario(
        session_redis, start_worker, {"spa": LONG}, settings=settings, faults=(fault,)
    ) as scenario:
        scenario.worker()
        sync = await scenario.sync()
        assert sync.error
        assert (sync.error.code, sync.error.resumable, sync.pages) == ("segment_rate_limit", True, 3)
        scenario.sandbox.clear_faults()
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync))


async def test_a_cursor_circle_longer_than_a_lease_is_found_across_jobs(
    session_redis: RedisServer, start_worker: Start
) -> None:
    fault = Fault("segment", "cursor_loop", page=35, period=30)
    settings = {"LEASE_S": "0.05"}
    async with start_scenario(
        session_redis, start_worker, {"spa": LONG}, settings=settings, faults=(fault,)
    ) as scenario:
        scenario.worker()
        sync = await scenario.sync()
        assert sync.error
        assert sync.error.code == "cursor_loop"
        assert sync.pages < 5 * 35
        assert sync.epoch > 3


def _longest_gap(scenario: Scenario, space: str) -> float:
    times = scenario.sandbox.journal.times("segment.page", space)
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def _replace_nth(text: str, old: str, new: str, nth: int) -> str:
    """Replaces the `nth` occurrence, counted from 1."""
    parts = text.split(old)
    return old.join(parts[:nth]) + new + old.join(parts[nth:])


def _peak_mb(pid: int) -> float:
    """The most memory that a process ever had, MiB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
