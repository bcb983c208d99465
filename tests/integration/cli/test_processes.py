"""The command line as processes: streams, signals, terminals, pipes. What commands do is in `test_cli_commands`."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator, Callable

import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from tests.support.processes.command_line import Command, Terminal, cli, shell
from tests.support.processes.workers import WorkerProcess, environment
from tests.support.scenarios.checks import leftovers
from tests.support.servers.redis_server import RedisServer
from worker.store import StorePool

pytestmark = pytest.mark.usefixtures("real_pool")

Start = Callable[..., WorkerProcess]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """The sandbox, with the recipe's space and a large slow one."""
    async with Sandbox(SandboxOptions({"spa_1": SpaceSpec(60), "large": SpaceSpec(1_000_000)}, latency_s=0.02)) as box:
        yield box


@pytest.fixture
def env(session_redis: RedisServer, sandbox: Sandbox) -> dict[str, str]:
    return environment(session_redis.url, sandbox)


async def test_without_a_worker_it_says_so_at_once_and_continues_when_one_comes(
    env: dict[str, str], start_worker: Start
) -> None:
    command = await Command.start("sync", env={**env, "SEGMENT_SPACE_ID": "spa_1"})
    await command.until("No worker is running, so the sync waits. Start one")
    await command.until("segment-personas worker\nWaiting for a worker.")
    start_worker(env, ready=False)
    done = await command.end()
    assert done.code == 0
    assert "spa_1: queued as syn_" in done.err
    assert "spa_1: completed in " in done.err
    assert "│ High Value │       20 │ $1,200 │         5% │ created per_" in done.out
    assert "3 personas, 900 credits charged." in done.out
    assert "\x1b" not in done.out + done.err  # no terminal, no colours


async def test_ctrl_c_leaves_the_sync_running_and_says_how_to_follow_it_again(
    env: dict[str, str], sandbox: Sandbox, start_worker: Start
) -> None:
    sandbox.add_fault(Fault("segment", "hold", page=3))
    start_worker(env)
    command = await Command.start("sync", "large", "--max-profiles", "2000", env=env)
    await command.until("fetching")
    command.interrupt()
    done = await command.end()
    assert (done.code, done.out) == (130, "")
    assert "Interrupted: no longer following." in done.err
    (again,) = [line.split()[2] for line in done.err.splitlines() if line.endswith("--follow")]
    assert f"segment-personas cancel {again}" in done.err

    sandbox.clear_faults()
    followed = await cli("status", again, "--follow", "--json", env=env)
    assert followed.code == 0
    document = json.loads(followed.out)
    assert (document["profiles_fetched"], document["complete"]) == (2000, False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_stops_an_embedded_sync_cleanly(sandbox: Sandbox, number: signal.Signals) -> None:
    command = await Command.start("sync", "large", env=environment(None, sandbox, LOG_LEVEL="WARNING"))
    await command.until("pages, ")
    command.interrupt(number)
    done = await command.end()
    assert (done.code, done.out) == (130, "")
    lines = done.err.splitlines()
    assert lines[0].startswith("REDIS_URL is not set: the state of syncs is kept in ")
    assert "Interrupted." in lines
    assert any("segment-personas resume syn_" in line for line in lines)
    assert "segment-personas cancel syn_" in lines[-1]
    assert not any(word in done.err for word in ("Traceback", "Task", "never", "WARNING"))


async def test_the_sandbox_option_never_meets_real_workers_or_keys(
    real_pool: StorePool, sandbox: Sandbox, env: dict[str, str]
) -> None:
    done = await cli("sync", "--sandbox", "--max-profiles", "400", "--json", env={**env, "SEGMENT_SPACE_ID": "spa_1"})
    document = json.loads(done.out)
    assert (done.code, document["space_id"], document["profiles_fetched"]) == (0, "demo", 400)
    assert {one["reason"] for one in document["skipped"]} == {"partial"}
    assert "made-up profiles" in done.err
    assert "--allow-partial" in done.err
    assert await leftovers(real_pool) == []
    assert not sandbox.journal.arrived


async def test_a_terminal_shows_live_progress_and_ends_with_a_table_and_the_result(sandbox: Sandbox) -> None:
    terminal = await Terminal.start(
        "sync", "--sandbox", "--max-profiles", "2000", "--allow-partial", env=environment(None, None)
    )
    await terminal.until("fetching")
    await terminal.until("█")
    done = await terminal.end()
    assert done.code == 0
    assert "\x1b[1A" in done.out  # drawn again in its place
    assert "\x1b[?25h" in done.out  # the cursor is back
    progress, _, end = done.out.rpartition("╭")
    assert "█" in progress
    assert "created per_" in end
    result = end[end.index("{") : end.rindex("}") + 1]
    assert json.loads(result)["status"] == "completed"


async def test_ctrl_c_on_a_narrow_terminal_leaves_it_in_order(sandbox: Sandbox) -> None:
    terminal = await Terminal.start("sync", "large", env=environment(None, sandbox), columns=40)
    await terminal.until("█")
    terminal.interrupt()
    done = await terminal.end()
    assert done.code == 130
    assert done.out.rindex("\x1b[?25h") < done.out.rindex("Interrupted")
    assert "Traceback" not in done.out


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
async def test_a_terminal_is_asked_once_before_anything_is_paid_for(sandbox: Sandbox, answer: str) -> None:
    sandbox.add_fault(Fault("segment", "hold"))
    terminal = await Terminal.start("sync", "spa_1", env=environment(None, sandbox))
    await terminal.until("spa_1")
    terminal.type("n\n")  # too early: it answers nothing
    sandbox.clear_faults()
    await terminal.until("Create 3 personas for 900 credits? [y/N]")
    assert sandbox.posts == []
    assert "create, 300 credits" in terminal.shown
    assert "--details" in terminal.shown
    terminal.type(answer)
    done = await terminal.end()
    assert done.code == 0
    assert done.out.count("[y/N]") == 1
    assert done.out.count("│ High Value │") == 1  # the table of the plan is not repeated
    assert "3 personas, 900 credits charged." in done.out
    assert len(sandbox.posts) == 3


@pytest.mark.parametrize("answer", ["n\n", "\n", "yes please\n", "\x04", "ctrl-c"])
async def test_a_plan_that_is_declined_costs_nothing_and_can_be_applied(
    env: dict[str, str], sandbox: Sandbox, start_worker: Start, answer: str
) -> None:
    start_worker(env)
    terminal = await Terminal.start("sync", "spa_1", env=env, columns=200)
    await terminal.until("[y/N]")
    if answer == "ctrl-c":
        terminal.interrupt()
    else:
        terminal.type(answer)
    done = await terminal.end()
    assert done.code == 3
    assert "Nothing was changed. The plan: create 3 personas for 900 credits." in done.out
    assert sandbox.posts == []
    (line,) = [line for line in done.out.splitlines() if "segment-personas apply syn_" in line]
    applied = await cli("apply", line.split()[-1], "--json", env=env)
    assert (applied.code, json.loads(applied.out)["credits_charged"]) == (0, 900)


async def test_a_terminal_is_not_asked_about_what_costs_nothing_or_was_agreed_to(
    env: dict[str, str], sandbox: Sandbox, start_worker: Start
) -> None:
    start_worker(env)
    agreed = await (await Terminal.start("sync", "spa_1", "--yes", env=env)).end()
    free = await (await Terminal.start("sync", "spa_1", env=env)).end()
    assert (agreed.code, free.code) == (0, 0)
    assert "[y/N]" not in agreed.out + free.out
    assert len(sandbox.posts) == 3


async def test_a_yes_at_a_terminal_lets_a_part_of_a_space_create_personas(sandbox: Sandbox) -> None:
    terminal = await Terminal.start("sync", "spa_1", "--max-profiles", "30", env=environment(None, sandbox))
    await terminal.until("Create 3 personas for 900 credits (only a part of the space was read)? [y/N]")
    terminal.type("y\n")
    done = await terminal.end()
    assert (done.code, len(sandbox.posts)) == (0, 3), done.out


async def test_yes_as_an_option_does_not_let_a_part_of_a_space_create_personas(sandbox: Sandbox) -> None:
    terminal = await Terminal.start("sync", "spa_1", "--max-profiles", "30", "--yes", env=environment(None, sandbox))
    done = await terminal.end()
    assert (done.code, sandbox.posts) == (0, [])
    assert "[y/N]" not in done.out
    assert "--allow-partial" in done.out


async def test_a_terminal_follows_a_sync_that_was_confirmed_before(
    env: dict[str, str], sandbox: Sandbox, start_worker: Start
) -> None:
    sandbox.add_fault(Fault("segment", "hold"))
    start_worker(env)
    first = await cli("sync", "spa_1", "--no-wait", env=env)
    terminal = await Terminal.start("sync", "spa_1", env=env)
    await terminal.until(f"already requested; following {first.out.strip()}")
    refused = await cli("preview", "spa_1", env=env)
    assert (refused.code, refused.out) == (4, "")
    assert "this request only plans, the other changes personas" in refused.err
    assert "plan_only" not in refused.err
    sandbox.clear_faults()
    done = await terminal.end()
    assert done.code == 0
    assert "[y/N]" not in done.out
    assert "900 credits charged" in done.out


async def test_a_reader_that_goes_away_causes_no_error(env: dict[str, str]) -> None:
    for line in ("$P sync spa_1 --no-wait 2>/dev/null | true", "$P list 2>&1 | head -1"):
        done = await shell(line, env)
        assert (done.code, done.err) == (0, "")


async def test_worker_and_sandbox_run_with_only_what_the_sandbox_prints(
    session_redis: RedisServer,
) -> None:
    fault = '{"api": "segment", "kind": "status", "status": 503, "at": 1}'
    sandbox_server = await Command.start(
        *("sandbox", "--port", "0", "--profiles", "30", "--kind", "recipe", "--fault", fault),
        env=environment(None, None),
    )
    await sandbox_server.until("For another terminal:")
    exported = [line.removeprefix("export ").split("=") for line in await sandbox_server.printed(5)]
    env = environment(session_redis.url, None, **dict(exported))
    assert (await cli("worker", "--check", env=env)).code == 1
    worker = await Command.start("worker", env=env)
    await worker.until("takes jobs")
    assert (await cli("worker", "--check", env=env)).code == 0
    done = await cli("sync", env=env)
    assert (done.code, "30 profiles" in done.out) == (0, True)
    worker.interrupt()
    assert (await worker.end()).code == 0
    sandbox_server.interrupt(signal.SIGTERM)
    assert (await sandbox_server.end()).code == 0
