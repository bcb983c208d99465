"""What a released version left in Redis, recorded by its real code, is read, shown, and carried on by this version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.scenarios.checks import assert_exact, assert_no_twins
from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from tests.support.syncs.recorded_state import SETTINGS, SPACES, restore
from worker.models.sync import SyncState

STATES = sorted(Path(__file__).parents[2].joinpath("fixtures", "state").glob("*/state.json"))

EXPECTED = {
    "done": ("completed", 60),
    "planned": ("planned", 60),
    "failed": ("failed", 20),
    "chain": ("fetching", None),
    "fan": ("fetching", None),
    "buying": ("finalizing", 60),
}


@pytest.fixture(params=STATES, ids=[path.parent.name for path in STATES])
def state(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(request.param.read_bytes())
    return found


def test_the_first_release_and_the_present_formats_are_recorded() -> None:
    assert {"0.1.0", "unreleased"} <= {path.parent.name for path in STATES}


async def test_every_recorded_sync_is_shown(
    session_redis: RedisServer, start_worker: Start, state: dict[str, Any]
) -> None:
    async with start_scenario(session_redis, start_worker, SPACES, settings=SETTINGS) as scenario:
        await restore(state, scenario)
        listed = {sync.id: sync for sync in await scenario.client.list()}
        assert listed.keys() == set(state["syncs"].values())
        for space, (status, profiles) in EXPECTED.items():
            sync = await scenario.client.get(state["syncs"][space])
            assert (sync.space_id, sync.status) == (space, status)
            assert sync.profiles == profiles if profiles is not None else sync.profiles >= 60
        done, failed = [await scenario.client.get(state["syncs"][space]) for space in ("done", "failed")]
        assert sorted(outcome.action for outcome in done.outcomes) == ["created"] * 3
        [snapshot] = await scenario.client.history(done.request.identity)
        assert snapshot.sync_id == done.id
        assert failed.error
        assert (failed.error.code, failed.error.resumable) == ("segment_unauthorized", True)
        records = (await scenario.persona_store().all_records()).values()
        assert {outcome.persona_id for outcome in done.outcomes} <= {record.persona_id for record in records}
        planned = (await scenario.client.get(state["syncs"]["planned"])).planned
        assert planned
        assert sum(one.action == "create" for one in planned.personas) == 3


async def test_every_recorded_sync_continues_and_no_persona_is_bought_twice(
    session_redis: RedisServer, start_worker: Start, state: dict[str, Any]
) -> None:
    async with start_scenario(session_redis, start_worker, SPACES, settings=SETTINGS) as scenario:
        await restore(state, scenario)
        await scenario.client.resume(state["syncs"]["failed"])
        await scenario.client.apply(state["syncs"]["planned"])
        scenario.worker()
        for space, sync_id in state["syncs"].items():
            sync = await scenario.client.wait(sync_id)
            assert_exact(sync, scenario.expected(space))
            assert sync.credits == 300 * len(sync.outcomes) == sum(outcome.credits for outcome in sync.outcomes)
        assert_no_twins(scenario.sandbox)
        records = await scenario.persona_store().all_records()
        assert {record.persona_id for record in records.values()} == {one.id for one in scenario.sandbox.personas}
        await _sync_again(scenario)


async def _sync_again(scenario: Scenario) -> None:
    """Sync again what the recorded version completed: its personas may get a new text, and cost nothing."""
    posts = len(scenario.sandbox.posts)
    before = {persona.id for persona in scenario.sandbox.personas}
    for allowed in ({"updated", "unchanged"}, {"unchanged"}):
        sync = await scenario.sync("done", dialect="inline")
        assert sync.state is SyncState.COMPLETED, sync.error
        assert len(sync.outcomes) == 3
        assert {outcome.action for outcome in sync.outcomes} <= allowed
        assert sync.credits == 0
    assert len(scenario.sandbox.posts) == posts
    assert {persona.id for persona in scenario.sandbox.personas} == before


async def test_a_new_text_updates_personas_of_the_first_release_once(
    session_redis: RedisServer, start_worker: Start
) -> None:
    [path] = [path for path in STATES if path.parent.name == "0.1.0"]
    state = orjson.loads(path.read_bytes())
    async with start_scenario(session_redis, start_worker, SPACES, settings=SETTINGS) as scenario:
        await restore(state, scenario)
        done = await scenario.client.get(state["syncs"]["done"])
        scenario.worker()
        first = await scenario.sync("done", dialect="inline")
        assert [outcome.action for outcome in first.outcomes] == ["updated"] * 3
        assert {outcome.persona_id for outcome in first.outcomes} == {one.persona_id for one in done.outcomes}
        second = await scenario.sync("done", dialect="inline")
        assert [outcome.action for outcome in second.outcomes] == ["unchanged"] * 3
        assert first.credits == second.credits == 0
        made_here = {post["description"].split("[segment-personas ")[-1] for post in scenario.sandbox.posts}
        assert not made_here & {
            persona.fields["description"].split("[segment-personas ")[-1]
            for persona in scenario.sandbox.personas
            if persona.id in {one.persona_id for one in done.outcomes}
        }
