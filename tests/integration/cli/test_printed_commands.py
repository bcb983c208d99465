"""Every command that the program prints is run as it is printed, in a shell, and leads on."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from tests.support.processes.command_line import Command, Done, cli, shell
from tests.support.processes.workers import WorkerProcess, environment
from tests.support.servers.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("real_pool")

Start = Callable[..., WorkerProcess]

PRINTED = re.compile(r"(?:^|\s)(\S*segment-personas [a-z][^\n]*)$", re.MULTILINE)

RULES = """
name = "own_rules"
[[traits]]
name = "ltv"
type = "number"
[[clusters]]
key = "rich"
when = { trait = "ltv", gt = 500 }
[[clusters]]
key = "others"
"""


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    spaces = {"spa_1": SpaceSpec(60), "spa_2": SpaceSpec(60), "large": SpaceSpec(100_000)}
    async with Sandbox(SandboxOptions(spaces, latency_s=0.01, credits=100_000)) as box:
        yield box


@pytest.fixture
def env(session_redis: RedisServer, sandbox: Sandbox) -> dict[str, str]:
    return environment(session_redis.url, sandbox, PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin")


@pytest.fixture
def alone(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """Without Redis."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return environment(None, sandbox, PATH=path, XDG_STATE_HOME=str(tmp_path / "state"))


def printed(done: Done) -> list[str]:
    """The commands that a command has printed, on either stream."""
    assert "Traceback" not in done.err
    return [found.strip() for found in PRINTED.findall(done.err)]


async def paste(line: str, env: dict[str, str], code: int = 0) -> Done:
    """Runs a printed line in a shell."""
    done = await shell(line, env)
    assert done.code == code, (line, done)
    assert "Traceback" not in done.err
    return done


async def ask(env: dict[str, str], *arguments: str, code: int = 0) -> Done:
    done = await cli(*arguments, env=env)
    assert done.code == code, (arguments, done)
    return done


def created(sandbox: Sandbox) -> int:
    return len(sandbox.personas)


async def test_a_plan_is_applied_by_the_printed_command(
    env: dict[str, str], sandbox: Sandbox, start_worker: Start
) -> None:
    start_worker({**env, "GUARD_PERSONAS": "0"})  # the personas are deleted, however long ago they were made
    cases = {
        (): "apply syn_",
        ("--max-credits", "600"): "--max-credits 900",
        ("--max-profiles", "40"): "--allow-partial",
    }
    for options, fragment in cases.items():
        for persona in [one.id for one in sandbox.personas]:
            sandbox.delete_persona(persona)
        (line,) = printed(await ask(env, "preview", "spa_1", *options))
        assert fragment in line
        assert created(sandbox) == 0
        await paste(line, env)
        assert created(sandbox) > 0
        await ask(env, "personas", "forget", "spa_1", "high_value")


async def test_a_failure_is_resumed_by_the_printed_command(
    env: dict[str, str], sandbox: Sandbox, start_worker: Start
) -> None:
    start_worker(env)
    (line,) = printed(await ask(env, "sync", "spa_1", "--max-credits", "600", code=1))
    assert "--max-credits 900" in line
    await paste(line, env)
    assert created(sandbox) == 3

    sandbox.set_options(spaces={"spa_1": SpaceSpec(30), "large": SpaceSpec(100_000)})
    stopped = await ask(env, "sync", "spa_1", "--json", code=1)
    (line,) = printed(stopped)
    assert line.endswith("--accept")
    assert line == json.loads(stopped.out)["error"]["hint"]
    await paste(line, env)

    sandbox.add_fault(Fault("segment", "expired_cursor", times=1))
    failed = await ask(env, "sync", "large", "--max-profiles", "500", "--allow-partial", code=1)
    (line,) = printed(failed)
    assert line.endswith("--restart")
    refused = await ask(env, *line.split()[1:3], code=2)
    assert printed(refused) == [line]
    await paste(line, env)


async def test_printed_commands_follow_apply_and_cancel_a_sync_left_behind(
    env: dict[str, str], sandbox: Sandbox, start_worker: Start
) -> None:
    sandbox.add_fault(Fault("segment", "hold"))
    start_worker(env)
    left = await ask(env, "preview", "spa_1", "--timeout", "0", code=4)
    apply, follow, cancel = printed(left)
    assert ["apply" in apply, "--follow" in follow, "cancel" in cancel] == [True] * 3
    assert "will change no persona" in left.err
    sandbox.clear_faults()
    await paste(apply, env)
    assert created(sandbox) == 3
    await paste(follow, env)
    assert (await shell(cancel, env)).code == 2  # it has ended

    sandbox.add_fault(Fault("segment", "hold"))
    follow, cancel = printed(await ask(env, "sync", "spa_2", "--timeout", "0", code=4))
    refused = await ask(env, "preview", "spa_2", "--json", code=4)
    error = json.loads(refused.out)["error"]
    assert (error["code"], error["hint"].endswith(follow)) == ("sync_running", True), error
    assert "plan_only" not in error["message"]
    await paste(cancel, env)
    await paste(follow, env, code=3)


async def test_without_a_worker_or_a_sync_the_printed_commands_start_one(env: dict[str, str], sandbox: Sandbox) -> None:
    assert [line.split()[1:] for line in printed(await ask(env, "list"))] == [["sync", "--help"]]
    (line,) = printed(await ask(env, "sync", "spa_1", "--no-wait"))
    for command in (("list",), ("status", (await ask(env, "list", "--json")).out.split('"')[3])):
        assert printed(await ask(env, *command))[0] == line
    worker = await Command.start(*line.split()[1:], env=env)
    await worker.until("takes jobs")
    worker.interrupt(signal.SIGTERM)
    assert (await worker.end()).code == 0


async def test_without_redis_a_plan_is_applied_by_the_printed_command(
    alone: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    rules = tmp_path / "own rules.toml"
    rules.write_text(RULES)
    given = ("spa_2", "--clusters", str(rules), "--min-cluster-size", "5")
    (line,) = printed(await ask({**alone, "SEGMENT_SPACE_ID": "spa_1"}, "preview", *given))
    await paste(line, {**alone, "SEGMENT_SPACE_ID": "spa_1"})
    assert sorted(persona.fields["psychographic"]["cluster"] for persona in sandbox.personas) == ["others", "rich"]

    (line,) = printed(await ask(alone, "preview", "spa_1", "--max-credits=600"))
    assert "apply syn_" in line
    assert line.endswith("--max-credits 900")
    await paste(line, alone)
    assert created(sandbox) == 5


async def test_without_redis_a_failure_is_resumed_by_the_printed_command(
    alone: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    profiles = [{"id": f"u{n}", "traits": {"ltv": "?" if n % 2 else 10, "churn_risk": 0.9}} for n in range(100)]
    file = tmp_path / "profiles.ndjson"
    file.write_bytes(b"\n".join(map(orjson.dumps, profiles)) + b"\n")
    stopped = await ask(alone, "sync", "spa_1", "--from-file", str(file), code=1)
    assert "guard_trait_errors" in stopped.out
    (line,) = printed(stopped)
    assert "resume syn_" in line
    assert line.endswith("--accept")
    await paste(line, alone)
    assert created(sandbox) == 1

    failed = await ask({**alone, "SEGMENT_TOKEN": "wrong"}, "sync", "spa_1", code=1)
    (line,) = printed(failed)
    assert "resume syn_" in line
    await paste(line, alone)

    over = await ask(alone, "sync", "spa_2", "--max-credits", "600", code=1)
    (line,) = printed(over)
    assert line.endswith("--max-credits 900")
    await paste(line, alone)

    resume, cancel = printed(await ask(alone, "sync", "spa_1", "--timeout", "0", code=4))
    assert "cancel syn_" in cancel
    await paste(resume, alone)


async def test_without_keys_the_printed_command_shows_it_on_made_up_profiles(alone: dict[str, str]) -> None:
    bare = {name: value for name, value in alone.items() if not name.startswith(("SEGMENT_", "MAVERA_API"))}
    done = await ask(bare, "sync", "spa_1", code=2)
    (line,) = printed(done)
    assert line.endswith("sync --sandbox")
    await paste(line, bare)
