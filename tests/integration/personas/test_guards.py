"""A space that has changed too much stops its sync before a persona changes, until a user accepts it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from producer import SyncConflict
from producer.cli.syncs.reporting import exit_code_of_syncs
from producer.sandbox import Fault, SpaceSpec
from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.models.sync import Sync, SyncState

FULL, HALF = SpaceSpec(60, "recipe"), SpaceSpec(30, "recipe")


def changes(scenario: Scenario) -> int:
    return len(scenario.sandbox.posts) + len(scenario.sandbox.patches)


def assert_stopped(sync: Sync, code: str, *parts: str) -> None:
    assert (sync.state, sync.failed_in) == (SyncState.FAILED, SyncState.FINALIZING)
    assert sync.error
    assert (sync.error.code, sync.error.resumable) == (code, True)
    for part in (*parts, "No persona was changed"):
        assert part in sync.error.message


async def test_a_space_that_lost_half_its_profiles_changes_nothing_until_accepted(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, {"spa": FULL}) as scenario:
        scenario.worker()
        first = await scenario.sync()
        assert changes(scenario) == 3
        scenario.sandbox.set_options(spaces={"spa": HALF})

        stopped = await scenario.sync()
        assert_stopped(stopped, "guard_profiles", "has 30 profiles", f"{first.id}, read 60")
        assert changes(scenario) == 3
        await scenario.client.resume(stopped.id)
        assert_stopped(await scenario.ended(stopped), "guard_profiles")

        await scenario.client.resume(stopped.id, accept=True)
        done = await scenario.ended(stopped)
        assert done.state is SyncState.COMPLETED
        assert {outcome.action for outcome in done.outcomes} <= {"updated", "unchanged"}
        assert scenario.sandbox.journal.count("segment.page") == 2
        assert done.baseline
        assert (done.baseline.sync_id, done.baseline.profiles) == (first.id, 60)
        # From now on, so few are as usual.
        assert (await scenario.sync()).state is SyncState.COMPLETED


async def test_what_was_accepted_is_not_accepted_for_numbers_read_again(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, {"spa": FULL}) as scenario:
        worker = scenario.worker()
        await scenario.sync()
        scenario.sandbox.set_options(spaces={"spa": HALF})
        stopped = await scenario.sync()
        assert worker.terminate() == 0
        await scenario.client.resume(stopped.id, accept=True)
        await scenario.pool.hset(f"sp:sync:{stopped.id}", mapping={"state": "failed", "failed_in": "finalizing"})
        await scenario.client.resume(stopped.id, restart=True)
        scenario.worker()
        assert_stopped(await scenario.ended(stopped), "guard_profiles")


async def test_a_trait_that_fewer_have_or_that_cannot_be_used_stops_a_sync(
    session_redis: RedisServer, start_worker: Start, tmp_path: Path
) -> None:
    def write(**traits: object) -> None:
        """Hundred profiles, half of which have other traits than usual."""
        usual, others = {"ltv": 10, "churn_risk": 0.9}, {"ltv": 10, "churn_risk": 0.9, **traits}
        profiles = [{"id": n, "traits": others if n % 2 else usual} for n in range(100)]
        (tmp_path / "profiles.ndjson").write_bytes(b"\n".join(map(orjson.dumps, profiles)))

    settings = {"FILES_DIR": str(tmp_path)}
    async with start_scenario(session_redis, start_worker, settings=settings) as scenario:
        scenario.worker()
        write()
        assert (await scenario.sync(file="profiles.ndjson")).state is SyncState.COMPLETED
        made = changes(scenario)

        write(churn_risk=None)
        stopped = await scenario.sync(file="profiles.ndjson")
        assert_stopped(stopped, "guard_coverage", "50.0% of the profiles have churn_risk", "it was 100.0%")

        write(churn_risk="high", ltv="much")
        stopped = await scenario.sync(file="profiles.ndjson", force=True)
        assert_stopped(stopped, "guard_coverage", "50 of the 100 values of churn_risk cannot be used")
        assert changes(scenario) == made


async def test_a_part_of_a_space_is_not_compared_with_all_of_it(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, {"spa": FULL}) as scenario:
        scenario.worker()
        await scenario.sync()
        part = await scenario.sync(max_profiles=10)
        assert (part.state, part.baseline) == (SyncState.COMPLETED, None)
        assert len(await scenario.client.history(part.request.identity)) == 1


async def test_a_preview_shows_what_would_stop_it_and_is_applied_if_accepted(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, {"spa": FULL}) as scenario:
        scenario.worker()
        await scenario.sync()
        scenario.sandbox.set_options(spaces={"spa": HALF})
        first, second = await scenario.sync(plan_only=True), await scenario.sync(plan_only=True)
        for preview in (first, second):
            assert preview.planned
            (alarm,) = preview.planned.alarms
            assert "has 30 profiles" in alarm
        assert_stopped(await scenario.ended(await scenario.client.apply(first.id)), "guard_profiles")
        assert changes(scenario) == 3
        done = await scenario.ended(await scenario.client.apply(second.id, accept=True))
        assert done.state is SyncState.COMPLETED
        with pytest.raises(SyncConflict, match="applied already"):
            await scenario.client.apply(first.id)


async def test_guards_that_are_off_stop_nothing(session_redis: RedisServer, start_worker: Start) -> None:
    off = {"GUARD_PROFILES": "0", "GUARD_COVERAGE": "0", "GUARD_TRAIT_ERRORS": "1"}
    async with start_scenario(session_redis, start_worker, {"spa": FULL}, settings=off) as scenario:
        scenario.worker()
        await scenario.sync()
        scenario.sandbox.set_options(spaces={"spa": SpaceSpec(0)})
        assert (await scenario.sync()).state is SyncState.COMPLETED


LINES = [{"id": n, "traits": {"ltv": 900, "churn_risk": 0.01}} for n in range(40)]


@pytest.mark.parametrize("plan_only", [False, True])
async def test_lines_without_profiles_stop_a_sync_before_a_persona_changes(
    session_redis: RedisServer, start_worker: Start, tmp_path: Path, plan_only: bool
) -> None:
    (tmp_path / "profiles.ndjson").write_bytes(b"\n".join([*map(orjson.dumps, LINES), *[b'{"ltv: 1'] * 11, b""]))
    async with start_scenario(session_redis, start_worker, settings={"FILES_DIR": str(tmp_path)}) as scenario:
        scenario.worker()
        sync = await scenario.sync(file="profiles.ndjson", plan_only=plan_only)
        if plan_only:
            assert sync.planned
            assert "Of the 51 entries that were read, 11" in sync.planned.alarms[0]
            sync = await scenario.ended(await scenario.client.apply(sync.id))
        assert_stopped(sync, "guard_profile_errors", "Of the 51 entries that were read, 11 are not profiles")
        assert changes(scenario) == 0
        assert await scenario.client.history(sync.request.identity) == []
        await scenario.client.resume(sync.id, accept=True)
        assert (await scenario.ended(sync)).state is SyncState.COMPLETED
        assert changes(scenario) == 1


@pytest.mark.parametrize("guard", ["0.2", "1"])
async def test_a_listing_without_any_profile_always_stops_a_sync(
    session_redis: RedisServer, start_worker: Start, guard: str
) -> None:
    content = '{"data": {"profiles": [null, "use_1", 3], "cursor": {"next": null, "has_more": false}}}'
    settings = {"GUARD_PROFILE_ERRORS": guard}
    async with start_scenario(session_redis, start_worker, settings=settings) as scenario:
        scenario.sandbox.add_fault(Fault("segment", "body", content=content))
        scenario.worker()
        sync = await scenario.sync()
        assert_stopped(sync, "guard_profile_errors", "3 are not profiles")


@pytest.mark.parametrize("plan_only", [False, True])
async def test_a_space_without_any_deciding_trait_fails_and_points_to_suggest(
    session_redis: RedisServer, start_worker: Start, tmp_path: Path, plan_only: bool
) -> None:
    rows = [{"id": n, "traits": {"seats": n, "ltv": None if n % 2 else "n/k"}} for n in range(12)]
    (tmp_path / "my profiles.ndjson").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    async with start_scenario(session_redis, start_worker, settings={"FILES_DIR": str(tmp_path)}) as scenario:
        scenario.worker()
        before = await scenario.sync()
        sync = await scenario.sync(file="my profiles.ndjson", plan_only=plan_only)
        assert sync.error
        assert (sync.state, sync.error.code, sync.error.resumable) == (SyncState.FAILED, "no_traits", False)
        command = "segment-personas suggest spa --from-file 'my profiles.ndjson' > clusters.toml"
        for part in ("none of the 12 profiles", "ltv/lifetime_value", "6 of ltv", "No persona was changed"):
            assert part in sync.error.message
        assert command in sync.error.hint
        assert [one.sync_id for one in await scenario.client.history(sync.request.identity)] == [before.id]
        assert exit_code_of_syncs([sync]) == 1


async def test_an_empty_space_completes_and_changes_nothing(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker, {"spa": SpaceSpec(0)}) as scenario:
        scenario.worker()
        sync = await scenario.sync()
        assert (sync.state, sync.profiles, changes(scenario)) == (SyncState.COMPLETED, 0, 0)


async def test_a_filter_that_keeps_no_profile_fails_the_sync(session_redis: RedisServer, start_worker: Start) -> None:
    rules = {
        "name": "mine",
        "traits": [{"name": "ltv", "keys": ["ltv"], "type": "number"}],
        "filter": {"trait": "ltv", "gt": 1e12},
        "clusters": [{"key": "all"}],
    }
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        sync = await scenario.sync(rules=rules)
        assert sync.error
        assert (sync.error.code, "filter" in sync.error.message) == ("no_traits", True)


async def test_a_cluster_without_evidence_makes_no_persona(
    session_redis: RedisServer, start_worker: Start, tmp_path: Path
) -> None:
    # The risk of no profile is known, and counts as 0.5: they are "at risk" without evidence.
    profiles = [{"id": n, "traits": {"ltv": 10}} for n in range(40)]
    (tmp_path / "profiles.ndjson").write_bytes(b"\n".join(map(orjson.dumps, profiles)))
    async with start_scenario(session_redis, start_worker, settings={"FILES_DIR": str(tmp_path)}) as scenario:
        scenario.worker()
        sync = await scenario.sync(file="profiles.ndjson")
        assert (sync.state, sync.outcomes, sync.profiles) == (SyncState.COMPLETED, (), 40)
        assert scenario.sandbox.posts == []
