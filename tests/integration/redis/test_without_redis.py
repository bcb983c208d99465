"""Without Redis: a run that is killed with a POST on its way and started again, and two runs at once, buy once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from tests.support.processes.command_line import Command, Done, cli
from tests.support.processes.workers import environment
from tests.support.scenarios.checks import assert_no_twins

CREDITS = 6000
CLUSTERS = 3


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions({}, default_space=SpaceSpec(60, "recipe"), credits=CREDITS)) as box:
        yield box


@pytest.fixture
def env(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "MAVERA_TIMEOUT_S": "8", "MAVERA_SETTLE_S": "10.5"}
    return environment(None, sandbox, **state)


def patiently(env: dict[str, str]) -> dict[str, str]:
    """The environment of a run whose POST is held for as long as the test takes."""
    return {**env, "MAVERA_TIMEOUT_S": "300", "MAVERA_SETTLE_S": "303"}


def quickly(env: dict[str, str]) -> dict[str, str]:
    """The environment of the run that comes after: it believes in absence as soon as the settings allow."""
    return {**env, "MAVERA_TIMEOUT_S": "1", "MAVERA_SETTLE_S": "3.5"}


def assert_bought_once(sandbox: Sandbox) -> None:
    assert_no_twins(sandbox)
    assert len(sandbox.personas) == len(sandbox.posts) == CLUSTERS
    assert sandbox.credits == CREDITS - 300 * CLUSTERS


def actions(done: Done) -> list[str]:
    assert done.code == 0, done
    return sorted(persona["action"] for persona in json.loads(done.out)["personas"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_a_run_that_ends_during_a_post_is_repeated_without_buying_again(
    sandbox: Sandbox, env: dict[str, str], number: signal.Signals
) -> None:
    # The second POST is taken up only when faults are cleared: long after its process is gone.
    sandbox.add_fault(Fault("mavera", "hold", route="create", at=2))
    first = await Command.start("sync", "spa_1", "--json", env=env)
    await sandbox.journal.wait_arrived("mavera.create", 2)
    first.interrupt(number)
    assert (await first.end()).code in {-signal.SIGKILL, 130}
    assert len(sandbox.personas) == 1

    second = await Command.start("sync", "spa_1", "--json", env=quickly(env))
    await second.until("An earlier run ended while a persona was being made")
    # It has looked, and found the one that is not there yet missing.
    listed = sandbox.journal.arrived["mavera.list"]
    await sandbox.journal.wait_arrived("mavera.list", listed + 2)
    sandbox.clear_faults()
    assert actions(await second.end()) == ["created", "updated", "updated"]
    assert_bought_once(sandbox)

    third = await cli("sync", "spa_1", "--json", env=quickly(env))
    assert actions(third) == ["updated"] * CLUSTERS
    assert "earlier run" not in third.err
    assert_bought_once(sandbox)


async def test_a_purchase_that_was_never_made_is_made_after_the_settle_time(
    sandbox: Sandbox, env: dict[str, str]
) -> None:
    sandbox.add_fault(Fault("mavera", "hang", route="create", at=1))
    first = await Command.start("sync", "spa_1", "--json", env=env)
    await sandbox.journal.wait_arrived("mavera.create", 1)
    first.interrupt(signal.SIGKILL)
    await first.end()
    sandbox.clear_faults()
    assert actions(await cli("sync", "spa_1", "--json", env=quickly(env))) == ["created"] * CLUSTERS
    assert_bought_once(sandbox)


async def test_a_persona_that_mavera_lists_late_is_not_bought_by_the_next_run(
    sandbox: Sandbox, env: dict[str, str]
) -> None:
    sandbox.set_options(listing_lag_s=3600)
    assert actions(await cli("sync", "spa_1", "--json", env=env)) == ["created"] * CLUSTERS
    assert actions(await cli("sync", "spa_1", "--json", env=env)) == ["updated"] * CLUSTERS
    assert_bought_once(sandbox)


async def test_of_two_runs_at_once_one_buys_and_the_other_says_who_does(sandbox: Sandbox, env: dict[str, str]) -> None:
    sandbox.add_fault(Fault("mavera", "hold", route="create", at=1))
    first = await Command.start("sync", "spa_1", "--json", env=patiently(env))
    await sandbox.journal.wait_arrived("mavera.create", 1)
    refused = await cli("sync", "spa_1", "--json", env=env)
    assert refused.code == 4
    assert json.loads(refused.out)["error"]["code"] == "space_busy"
    assert f"{first.pid}" in refused.err
    assert "syncs spa_1" in refused.err
    assert (await cli("preview", "spa_1", "--json", env=env)).code == 0  # buys nothing, so waits for nobody
    sandbox.clear_faults()
    assert actions(await first.end()) == ["created"] * CLUSTERS
    assert_bought_once(sandbox)
    assert actions(await cli("sync", "spa_1", "--json", env=env)) == ["updated"] * CLUSTERS
    assert_bought_once(sandbox)


async def test_two_runs_that_start_together_buy_once(sandbox: Sandbox, env: dict[str, str]) -> None:
    sandbox.set_options(mavera_latency_s=0.1)
    both = await asyncio.gather(*(cli("sync", "spa_1", "--json", env=env) for _ in range(2)))
    assert 0 in {done.code for done in both}
    assert_bought_once(sandbox)


async def test_other_spaces_and_the_sandbox_need_no_lock(sandbox: Sandbox, env: dict[str, str]) -> None:
    sandbox.add_fault(Fault("mavera", "hold", route="create", at=1))
    first = await Command.start("sync", "spa_1", "--json", env=patiently(env))
    await sandbox.journal.wait_arrived("mavera.create", 1)
    assert actions(await cli("sync", "spa_2", "--json", env=env)) == ["created"] * CLUSTERS
    assert (await cli("sync", "spa_1", "--sandbox", "--max-profiles", "200", env=env)).code == 0
    sandbox.clear_faults()
    assert actions(await first.end()) == ["created"] * CLUSTERS
    assert len(sandbox.personas) == 2 * CLUSTERS


async def test_an_unwritable_state_directory_stops_before_any_purchase(
    sandbox: Sandbox, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    env = {**env, "XDG_STATE_HOME": str(tmp_path / "file")}
    done = await cli("sync", "spa_1", "--json", env=env)
    assert done.code == 2
    assert "XDG_STATE_HOME" in done.err
    assert "Traceback" not in done.err
    assert sandbox.journal.arrived["segment.page"] == 0
    assert sandbox.credits == CREDITS
    for harmless in (("preview", "spa_1"), ("sync", "--sandbox", "--max-profiles", "200")):
        assert (await cli(*harmless, env=env)).code == 0


async def test_the_files_hold_neither_space_nor_key_nor_profile(
    sandbox: Sandbox, env: dict[str, str], tmp_path: Path
) -> None:
    assert (await cli("sync", "spa_private", "--json", env=env)).code == 0
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert files
    for path in files:
        held = os.fsencode(path) + path.read_bytes()
        for secret in (b"spa_private", b"mvra_", b"sandbox", b"@", b"http"):
            assert secret not in held
