"""The command `serve` as a process, and the examples of docs/http-api.md as printed."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import signal
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from producer.cli.commands.serve import serve
from producer.cli.terminal import stderr
from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec
from tests.support.http_api.api_server import start_api
from tests.support.http_api.event_reader import events_of
from tests.support.processes.command_line import Command, cli
from tests.support.processes.workers import environment
from tests.support.project.docs import code_blocks, page
from tests.support.servers.redis_server import RedisServer, in_ci
from worker.errors import ConfigurationError
from worker.settings import load_settings

CURL = [
    command
    for block in code_blocks(page("http-api"), "sh")
    for line in block.replace("\\\n", " ").splitlines()
    if (command := shlex.split(line, comments=True)) and command[0] == "curl"
]


def serving_at(command: Command) -> str:
    """The URL that the command has printed."""
    return command.err.split("Serving ")[1].split(";")[0]


async def test_one_command_serves_a_whole_sync_and_stops_on_sigterm() -> None:
    command = await Command.start("serve", "--sandbox", "--port", "0", env=environment(None, None))
    await command.until("Ctrl-C stops it")
    url = serving_at(command)
    async with aiohttp.ClientSession(url) as http:
        async with http.post("/v1/syncs", json={"space_id": "demo", "max_profiles": 300, "plan_only": True}) as asked:
            assert asked.status == 202
            place = asked.headers["Location"]
        async with http.get(f"{place}/events") as response:
            *_, end = [event async for event in events_of(response) if not event.comment]
        assert (end.name, end.json["status"]) == ("end", "planned")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(b"no HTTP\x00\r\n\r\n")
        assert b" 400 " in await reader.read()
        writer.close()
        async with http.post("/v1/syncs", json={"space_id": "demo"}) as asked:
            place = asked.headers["Location"]
        async with http.get(f"{place}/events") as response:
            stream = events_of(response)
            await anext(stream)
            command.interrupt(signal.SIGTERM)
            assert [event.comment async for event in stream if event.comment] == ["the server stops"]
    done = await command.end()
    assert (done.code, done.out) == (0, "")
    assert "Traceback" not in done.err


async def test_without_redis_a_server_continues_what_it_left(tmp_path: Path) -> None:
    spaces = {"spa": SpaceSpec(4000, "recipe")}
    async with Sandbox(SandboxOptions(spaces=spaces, latency_s=0.05)) as sandbox:
        env = environment(None, sandbox, SEGMENT_PERSONAS_HOME=str(tmp_path))
        command = await Command.start("serve", "--port", "0", env=env)
        await command.until("Ctrl-C stops it")
        async with aiohttp.ClientSession(serving_at(command)) as http:
            async with http.post("/v1/syncs", json={"space_id": "spa", "file": "/etc/passwd"}) as refused:
                assert refused.status == 422
            async with http.post("/v1/syncs", json={"space_id": "spa"}) as asked:
                place = asked.headers["Location"]
            async with http.get(f"{place}/events") as response:
                async for event in events_of(response):
                    if event.data and event.json["pages_fetched"]:
                        break
        command.interrupt(signal.SIGTERM)
        assert (await command.end()).code == 0
        again = await Command.start("serve", "--port", "0", env=env)
        await again.until("Ctrl-C stops it")
        async with (
            aiohttp.ClientSession(serving_at(again)) as http,
            http.get(f"{place}/events") as response,
        ):
            *_, end = [event async for event in events_of(response) if not event.comment]
        assert (end.json["status"], end.json["profiles_fetched"]) == ("completed", 4000)
        again.interrupt(signal.SIGTERM)
        assert (await again.end()).code == 0
    assert len(sandbox.posts) == 3


@pytest.mark.parametrize(
    ("options", "settings", "fragment"),
    [
        ({"host": "0.0.0.0", "sandbox": True}, {}, "this machine only"),
        ({"port": 0}, {}, "SEGMENT_TOKEN"),
        ({"sandbox": True}, {"api_tokens_file": Path("/none.toml")}, "/none.toml cannot be read"),
    ],
    ids=["another host", "no keys", "no tokens"],
)
async def test_what_cannot_be_served_is_refused_with_a_sentence(
    options: dict[str, Any], settings: dict[str, Any], fragment: str
) -> None:
    chosen = {"host": "127.0.0.1", "port": 0, "sandbox": False, **options}
    with pytest.raises(ConfigurationError, match=fragment):
        await serve(load_settings(redis_url=None, **settings), stderr(), **chosen)


async def test_a_port_that_is_taken_is_named(session_redis: RedisServer) -> None:
    done = await cli("serve", "--port", str(session_redis.port), env=environment(session_redis.url, None))
    assert done.code == 2
    assert f":{session_redis.port}" in done.err
    assert "Traceback" not in done.err


def curl_program() -> str:
    """curl. Without it the test is skipped; in CI that is an error."""
    found = shutil.which("curl")
    if found is None and in_ci():
        raise RuntimeError("the test of the examples needs curl: apt-get install curl")
    if found is None:
        pytest.skip("the test of the examples needs curl: apt-get install curl")
    return found


async def test_the_examples_with_curl_work_as_printed(session_redis: RedisServer) -> None:
    program = curl_program()
    assert len(CURL) >= 5
    async with start_api(session_redis) as api:
        known = {"http://127.0.0.1:8000": api.url, "spa_123": "spa"}
        for words in CURL:
            line = words[1:]
            for printed, real in known.items():
                line = [word.replace(printed, real) for word in line]
            process = await asyncio.create_subprocess_exec(program, *line, stdout=PIPE, stderr=PIPE)
            out, err = await process.communicate()
            assert process.returncode == 0, err.decode()
            if "text/event-stream" in out.decode() or out.startswith(b"retry:"):
                assert b"event: end" in out
                continue
            document = json.loads(out) if out else {}
            assert "code" not in document, document
            if schedule_id := document.get("schedule_id"):
                known["sch_0123456789abcdef"] = schedule_id
            if sync_id := document.get("sync_id"):
                known["syn_9f2b6c1d0e4a7f83"] = sync_id
                await api.client.wait(sync_id)
