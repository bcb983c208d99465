"""From a state directory to a Redis with workers and back: nothing is bought again, and a doubt stays a doubt."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from producer.state.directory import StateBusy, StateDirectory
from producer.state.overview import read_overview
from producer.state.pool import joined_server, server_pool
from producer.state.reset import reset_directory
from producer.state.server import StateServer, is_running
from tests.support.processes.command_line import Command, Done, Terminal, cli
from tests.support.processes.workers import WorkerProcess, environment
from tests.support.scenarios.checks import assert_no_twins
from tests.support.scenarios.scenario import SOON_SETTLED, know_run
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.state_server import state_server
from worker.settings import load_settings
from worker.store import keys, redis_pool
from worker.store.connection.pool import closing

CREDITS = 6000
CLUSTERS = 3

Start = Callable[..., WorkerProcess]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions({}, default_space=SpaceSpec(60, "recipe"), credits=CREDITS)) as box:
        yield box


@pytest.fixture
def env(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    return environment(None, sandbox, SEGMENT_PERSONAS_HOME=str(tmp_path / "state"))


def assert_bought_once(sandbox: Sandbox) -> None:
    assert_no_twins(sandbox)
    assert len(sandbox.personas) == CLUSTERS
    assert sandbox.credits == CREDITS - 300 * CLUSTERS


def actions(done: Done) -> list[str]:
    assert done.code == 0, done
    return [persona["action"] for persona in json.loads(done.out)["personas"]]


async def run(*arguments: str, env: dict[str, str], code: int = 0) -> Done:
    done = await cli(*arguments, env=env)
    assert done.code == code, done
    return done


async def test_the_state_moves_to_a_redis_and_back_and_nothing_is_bought_again(
    sandbox: Sandbox, env: dict[str, str], redis_server: RedisServer, start_worker: Start, tmp_path: Path
) -> None:
    there, back = tmp_path / "there.jsonl", tmp_path / "back.jsonl"
    assert actions(await cli("sync", "spa", "--json", env=env)) == ["created"] * CLUSTERS
    await run("state", "export", str(there), env=env)
    assert there.stat().st_mode & 0o777 == 0o600
    assert "exists" in (await run("state", "export", str(there), env=env, code=2)).err

    shared = {**env, "REDIS_URL": redis_server.url}
    assert "3 records, 0 claims and 1 history imported" in (await run("state", "import", str(there), env=shared)).err
    start_worker(environment(redis_server.url, sandbox))
    assert actions(await cli("sync", "spa", "--json", env=shared)) == ["unchanged"] * CLUSTERS
    assert len(json.loads((await cli("history", "spa", "--json", env=shared)).out)) == 2
    await run("state", "export", str(back), env=shared)

    # The first directory has other records by now than the Redis: which sync has seen each persona last.
    refused = await run("state", "import", str(back), env=env, code=2)
    assert f"{CLUSTERS} personas have other records" in refused.err
    await run("state", "import", str(back), "--replace", env=env)
    assert actions(await cli("sync", "spa", "--json", env=env)) == ["unchanged"] * CLUSTERS
    assert_bought_once(sandbox)


async def test_half_a_file_changes_nothing(env: dict[str, str], redis_server: RedisServer, tmp_path: Path) -> None:
    file = tmp_path / "half.jsonl"
    file.write_text('{"format":"segment-personas-state","version":1,"program":"0","exported_at":""}\n')
    shared = {**env, "REDIS_URL": redis_server.url}
    assert "cut off" in (await run("state", "import", str(file), env=shared, code=2)).err
    with redis_server.client() as client:
        assert client.dbsize() == 0


async def test_a_purchase_in_doubt_stays_in_doubt_after_the_move(
    sandbox: Sandbox, env: dict[str, str], redis_server: RedisServer, start_worker: Start, tmp_path: Path
) -> None:
    file = tmp_path / "state.jsonl"
    sandbox.add_fault(Fault("mavera", "hold", route="create", at=2))
    first = await Command.start("sync", "spa", "--json", env=env)
    await sandbox.journal.wait_arrived("mavera.create", 2)
    first.interrupt(signal.SIGKILL)
    await first.end()
    busy = await run("state", "export", str(file), env=env, code=4)
    [listed] = json.loads((await cli("list", "--json", env=env)).out)
    assert listed["sync_id"] in busy.err
    await run("cancel", listed["sync_id"], env=env)
    await run("state", "export", str(file), env=env)
    shared = {**env, "REDIS_URL": redis_server.url}
    async with closing(redis_pool(redis_server.url)) as pool:
        await know_run(pool)  # or else a purchase waits anyway
    assert "1 claim" in (await run("state", "import", str(file), env=shared)).err
    start_worker(environment(redis_server.url, sandbox, **SOON_SETTLED))
    sandbox.set_options(listing_lag_s=2.0)  # shorter than the settle time
    sandbox.clear_faults()  # the first POST makes its persona only now
    await run("sync", "spa", "--json", env=shared)
    assert_bought_once(sandbox)


async def test_a_reset_removes_everything_and_forgets_that_nothing_was_lost(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "state")
    settings = load_settings(segment_personas_home=directory.path)
    assert not (await read_overview(directory, prefix="")).has_state
    async with joined_server(directory) as server, closing(server_pool(server, settings)) as pool:
        await pool.hset(keys.personas("live-0"), "reference", "{}")  # type: ignore[misc]
        before = server.run()
        found = await read_overview(directory, prefix="")
        assert found.running
        assert found.counts
        assert found.counts.personas == 1
        with pytest.raises(StateBusy):
            await asyncio.to_thread(reset_directory, directory)
    await asyncio.to_thread(reset_directory, directory)  # waits for the server, which is being stopped
    assert not directory.has_state
    assert not is_running(directory)
    async with joined_server(directory) as server, closing(server_pool(server, settings)) as pool:
        assert not await pool.exists(keys.personas("live-0"))
        assert server.run()[0] != before[0]
        assert server.run()[1] < float("inf")  # so a purchase waits until one that was forgotten is listed


def test_a_reset_ends_a_server_whose_keeper_was_killed(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "state")
    server = StateServer(directory)
    server.join()
    server._left.set()  # nothing starts another keeper
    server_pid = int(directory.lock("server").read_text())
    os.kill(int(Path(f"/proc/{server_pid}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    os.close(server._users)
    reset_directory(directory)
    assert not is_running(directory)
    assert not directory.has_state


async def test_the_command_asks_before_a_reset(env: dict[str, str]) -> None:
    directory = StateDirectory(Path(env["SEGMENT_PERSONAS_HOME"]))
    with state_server(directory):
        pass
    refused = await run("state", "reset", env=env, code=2)
    assert "--yes" in refused.err
    asked = await Terminal.start("state", "reset", env=env)
    await asked.until("[y/N]")
    asked.type("n\n")
    assert (await asked.end()).code == 3
    assert json.loads((await run("state", "where", "--json", env=env)).out)["has_state"]
    await run("state", "reset", "--yes", env={**env, "REDIS_URL": "redis://127.0.0.1:1"})
    assert not directory.has_state
