"""State directories that two versions of the program use: nothing is bought twice, and newer syncs are left alone."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest

from producer.sandbox import Fault, Sandbox
from producer.state.directory import StateDirectory
from producer.state.pool import state_pool
from tests.support.processes.command_line import Command, cli
from tests.support.scenarios.checks import assert_no_twins
from tests.support.scenarios.state_commands import CLUSTERS, document
from tests.support.syncs.recorded_state import SETTINGS, SPACES, restore_state
from worker.models.versions import FORMAT
from worker.settings import load_settings
from worker.store import keys

STATES = sorted(Path(__file__).parents[2].joinpath("fixtures", "state").glob("*/state.json"))


@pytest.fixture(params=STATES, ids=[path.parent.name for path in STATES])
def state(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(request.param.read_bytes())
    return found


async def test_the_state_of_an_earlier_version_continues_in_the_directory(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory, state: dict[str, Any]
) -> None:
    env |= SETTINGS
    sandbox.set_options(spaces=SPACES, credits=None)
    async with state_pool(load_settings(segment_personas_home=directory.path)) as pool:
        await restore_state(state, pool, sandbox)
    listed = json.loads((await cli("list", "--json", env=env)).out)
    assert {sync["sync_id"] for sync in listed} == set(state["syncs"].values())
    resumed = await cli("resume", state["syncs"]["buying"], "--json", env=env)
    assert document(resumed)["status"] == "completed"
    known = {persona.id for persona in sandbox.personas}
    again = document(await cli("sync", "done", "--dialect", "inline", "--json", env=env))
    assert again["credits_charged"] == 0
    assert {persona.id for persona in sandbox.personas} == known
    assert_no_twins(sandbox)


async def test_a_sync_of_a_newer_version_is_left_to_it_and_others_run(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory
) -> None:
    sandbox.add_fault(Fault("segment", "hold", at=1))
    newer = await Command.start("sync", "spa_1", env=env)
    await sandbox.journal.wait_arrived("segment.page", 1)
    newer.interrupt(signal.SIGKILL)
    await newer.end()
    sandbox.clear_faults()
    [listed] = json.loads((await cli("list", "--json", env=env)).out)
    name = keys.sync(listed["sync_id"])
    async with state_pool(load_settings(segment_personas_home=directory.path)) as pool:
        await pool.hset(name, mapping={"format": FORMAT + 1})  # type: ignore[misc]
        before = await pool.hgetall(name)  # type: ignore[misc]
        assert document(await cli("sync", "spa_2", "--json", env=env))["status"] == "completed"
        refused = await cli("sync", "spa_1", "--json", env=env)
        assert refused.code == 2
        assert listed["sync_id"] in refused.err
        assert await pool.hgetall(name) == before  # type: ignore[misc]
    assert len(sandbox.personas) == CLUSTERS
