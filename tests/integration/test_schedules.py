"""Schedules with real workers: a tick has exactly one sync, whichever worker dies."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from producer import SyncRequest
from producer.cli.app import app
from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec
from producer.state.pool import state_pool
from tests.support.processes.command_line import Command, cli
from tests.support.processes.workers import WorkerProcess, environment
from tests.support.scenarios.checks import assert_no_twins, until
from tests.support.scenarios.scenario import Scenario, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.models.schedule import ScheduleStatus
from worker.settings import load_settings
from worker.store import StorePool, keys

Start = Callable[..., WorkerProcess]


@pytest.fixture
async def scenario(session_redis: RedisServer, start_worker: Start) -> AsyncIterator[Scenario]:
    async with start_scenario(session_redis, start_worker) as scenario:
        yield scenario


async def come_due(pool: StorePool, schedule_id: str) -> None:
    """Lets the tick of a schedule come now."""
    await pool.hset(keys.schedule(schedule_id), "next", "60000")  # type: ignore[misc]
    await pool.zadd(keys.TICKS, {schedule_id: 60_000})


async def handled(scenario: Scenario, status: ScheduleStatus) -> ScheduleStatus:
    """The schedule once its tick is handled."""

    async def is_handled() -> bool:
        return (await scenario.client.schedules.get(status.id)).last_tick is not None

    await until(is_handled)
    return await scenario.client.schedules.get(status.id)


@pytest.mark.parametrize("point", ["before_fire", "after_fire"])
async def test_a_tick_has_one_sync_if_its_worker_is_killed(scenario: Scenario, point: str) -> None:
    dying = scenario.worker(f"{point}:1:kill")
    status = await scenario.client.schedules.add(SyncRequest(space_id="spa"), "0 3 * * *", timezone="Europe/Vienna")
    await come_due(scenario.pool, status.id)
    await asyncio.to_thread(dying.process.wait)
    scenario.worker()
    scenario.worker()
    after = await handled(scenario, status)
    sync = await scenario.client.wait(after.last_sync_id)
    await scenario.assert_bought_once(sync)
    assert [one.id for one in await scenario.client.list()] == [sync.id]
    assert after.last_result == "started"
    assert after.next_tick == after.schedule.times.next_after(await scenario.client.now())


@pytest.fixture
def _environment(session_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("MAVERA_API_KEY", "SEGMENT_TOKEN", "CLUSTERS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REDIS_URL", session_redis.url)
    with session_redis.client() as redis:
        redis.flushall()
        yield
        redis.flushall()


@pytest.mark.usefixtures("_environment")
def test_the_commands_add_show_pause_and_remove_a_schedule() -> None:
    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["schedule", *words])
        assert done.exit_code == code, done.output
        return done.stdout

    added = json.loads(run("add", "spa", "0 3 * * *", "--timezone", "Europe/Vienna", "--max-credits", "900", "--json"))
    assert (added["space_id"], added["options"], len(added["next"])) == ("spa", {"max_credits": 900}, 3)
    name = added["schedule_id"]
    shown = run("add", "spa", "0 3 * * *", "--timezone", "Europe/Vienna", "--preview")
    assert shown.count("next:") + shown.count("then:") == 3
    assert "preview of spa" in shown
    run("pause", name)
    (row,) = json.loads(run("list", "--json"))
    assert (row["paused"], row["next"], row["options"]) == (True, [], {"plan_only": True})
    run("unpause", name)
    assert name in run("list")
    run("remove", name)
    assert json.loads(run("list", "--json")) == []


@pytest.mark.parametrize("words", ["worker", "serve --port 0"])
async def test_without_redis_a_worker_of_the_state_directory_fires_schedules(tmp_path: Path, words: str) -> None:
    spaces = {"spa": SpaceSpec(60, "recipe")}
    async with Sandbox(SandboxOptions(spaces=spaces)) as sandbox:
        env = environment(None, sandbox, SEGMENT_PERSONAS_HOME=str(tmp_path / "state"))
        assert (await cli("schedule", "list", "--json", env=env)).out == "[]\n"
        assert not (tmp_path / "state").exists()  # a command that only looks starts nothing
        added = await cli("schedule", "add", "spa", "0 3 * * *", "--json", env=env)
        assert added.code == 0
        assert "only while one of these commands runs" in added.err
        async with state_pool(load_settings(segment_personas_home=tmp_path / "state")) as pool:
            await come_due(pool, json.loads(added.out)["schedule_id"])
        worker = await Command.start(*words.split(), env=env)
        await worker.until("is started")
        (row,) = json.loads((listed := await cli("schedule", "list", "--json", env=env)).out)
        assert listed.err == ""
        done = await cli("status", row["last_sync_id"], "--follow", "--json", env=env)
        assert json.loads(done.out)["status"] == "completed"
        worker.interrupt(signal.SIGTERM)
        assert (await worker.end()).code == 0
    assert_no_twins(sandbox)
    assert len(sandbox.personas) == 3


@pytest.mark.usefixtures("_environment")
@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (("add", "spa", "0 25 * * *"), "hour"),
        (("add", "spa", "0 3 * * *", "--timezone", "Mars/Base"), "Mars/Base"),
        (("pause", "sch_none"), "No schedule sch_none"),
        (("add", "spa", "0 3 * * *", "--from-file", "-"), "no worker can read it"),
    ],
)
def test_what_cannot_be_scheduled_is_reported_in_a_sentence(words: tuple[str, ...], fragment: str) -> None:
    done = CliRunner().invoke(app, ["schedule", *words])
    assert fragment in str(done.exception)
