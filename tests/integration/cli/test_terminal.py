"""The command line at terminals and pipes: what is asked where, what fits the screen, and what a Ctrl-C leaves."""

from __future__ import annotations

import asyncio
import json
import math
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable

import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from tests.support.processes.command_line import Command, Terminal, cli
from tests.support.processes.workers import WorkerProcess, environment
from tests.support.servers.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("real_pool")

Start = Callable[..., WorkerProcess]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    spaces = {"spa_1": SpaceSpec(60), "mixed": SpaceSpec(4000, "mixed")}
    async with Sandbox(SandboxOptions(spaces, latency_s=0.01)) as box:
        yield box


@pytest.fixture
def env(session_redis: RedisServer, sandbox: Sandbox) -> dict[str, str]:
    return environment(session_redis.url, sandbox)


async def test_a_pipe_is_never_asked_whatever_force_color_says(sandbox: Sandbox) -> None:
    done = await cli("sync", "spa_1", env=environment(None, sandbox, FORCE_COLOR="1"))
    assert done.code == 0
    assert "[y/N]" not in done.out + done.err
    assert len(sandbox.posts) == 3


async def test_the_first_plan_of_four_clusters_fits_a_screen_of_80_by_24(sandbox: Sandbox) -> None:
    terminal = await Terminal.start("sync", "mixed", env=environment(None, sandbox, NO_COLOR="1"))
    await terminal.until("[y/N]")
    terminal.type("n\n")
    done = await terminal.end()
    assert done.code == 3
    report = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", done.out)
    plan = report[report.rindex("mixed  syn_") : report.index("[y/N]")].split("\r\n")
    assert sum(max(1, math.ceil(len(line) / 80)) for line in plan) <= 24
    assert plan[-2] == "mixed: create 4 personas for 1,200 credits."
    assert all(f"{label}: create, 300 credits" in report for label in ("High Value", "Growth", "At Risk", "New"))


async def test_after_a_guard_a_terminal_is_asked_whether_that_is_normal(
    env: dict[str, str], sandbox: Sandbox, start_worker: Start
) -> None:
    start_worker(env)
    assert (await cli("sync", "spa_1", env=env)).code == 0
    sandbox.set_options(spaces={"spa_1": SpaceSpec(2)})
    terminal = await Terminal.start("sync", "spa_1", env=env, columns=120)
    await terminal.until("[y/N]")
    assert "The space shrank from 60 to 2 profiles. Accept this as the new state? [y/N]" in terminal.shown
    terminal.type("n\n")
    done = await terminal.end()
    assert done.code == 3
    assert "--accept" in done.out
    history = json.loads((await cli("history", "spa_1", "--json", env=env)).out)
    assert [one["profiles"] for one in history] == [60]
    listed = json.loads((await cli("list", "--json", env=env)).out)
    assert [(one["status"], one["plan_only"]) for one in listed] == [("planned", True), ("completed", False)]
    assert "planned" in (await cli("history", "spa_1", env=env)).err


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_a_second_ctrl_c_does_not_take_the_line_with_the_sync_id(
    env: dict[str, str], sandbox: Sandbox, start_worker: Start, times: int
) -> None:
    sandbox.add_fault(Fault("segment", "hold"))
    start_worker(env)
    command = await Command.start("sync", "spa_1", env=env)
    await command.until("fetching")
    for _ in range(times):
        command.interrupt()
    done = await command.end()
    assert done.code == 130
    assert re.search(r"segment-personas status syn_\w+ --follow", done.err)
    assert "Traceback" not in done.err


@pytest.mark.parametrize("module", ["typer.models", "pydantic.main", "redis.asyncio.client"])
async def test_a_ctrl_c_while_the_program_is_imported_shows_no_traceback(env: dict[str, str], module: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "importtime", "-m", "producer", "sync", "spa_1"),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    while not (await process.stderr.readline()).decode().rstrip().endswith(module):
        assert not process.stderr.at_eof()
    process.send_signal(signal.SIGINT)
    rest = (await process.stderr.read()).decode()
    assert await process.wait() == 130
    assert "Traceback" not in rest


async def test_a_terminal_that_is_left_says_that_nothing_will_be_made(
    env: dict[str, str], sandbox: Sandbox, start_worker: Start
) -> None:
    sandbox.add_fault(Fault("segment", "hold"))
    start_worker(env)
    terminal = await Terminal.start("sync", "spa_1", env=env, columns=120)
    await terminal.until("fetching")
    terminal.interrupt()
    done = await terminal.end()
    assert done.code == 130
    assert "will change no persona" in done.out
    assert re.search(r"segment-personas apply syn_\w+", done.out)
    sandbox.clear_faults()


async def test_the_exit_code_of_a_preview_shows_whether_it_changes_anything(
    env: dict[str, str], sandbox: Sandbox, start_worker: Start
) -> None:
    start_worker(env)
    assert (await cli("preview", "spa_1", "--exit-code", env=env)).code == 5
    assert (await cli("preview", "spa_1", env=env)).code == 0
    assert (await cli("preview", "spa_1", "--exit-code", "--max-credits", "300", env=env)).code == 6
    assert (await cli("sync", "spa_1", env=env)).code == 0
    assert (await cli("preview", "spa_1", "--exit-code", env=env)).code == 0
    sandbox.set_options(spaces={"spa_1": SpaceSpec(20)})
    assert (await cli("preview", "spa_1", "--exit-code", env=env)).code == 6
