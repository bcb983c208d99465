"""Redis servers that this program cannot use, or not now: one sentence and exit code 2, never a traceback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec
from tests.support.processes.command_line import cli
from tests.support.processes.workers import WorkerProcess, environment
from tests.support.servers.port import port_of_ones_own
from tests.support.servers.redis_server import Kind, RedisServer, server_binary

Start = Callable[..., WorkerProcess]

COMMANDS = (("sync", "spa", "--no-wait"), ("list",), ("doctor", "spa"), ("status", "syn_1"))


async def assert_one_sentence(url: str, start_worker: Start, fragment: str, commands: Sequence[Sequence[str]]) -> None:
    """Commands and worker end with a sentence; `doctor` reports it as a finding. All run at the same time."""
    async with Sandbox(SandboxOptions(spaces={"spa": SpaceSpec(60, "recipe")})) as sandbox:
        env = environment(url, sandbox)
        worker = start_worker(env, ready=False)
        all_done = await asyncio.gather(*(cli(*command, env=env) for command in commands))
        for command, done in zip(commands, all_done, strict=True):
            text = done.out + done.err
            assert "Traceback" not in text
            if command[0] == "doctor":
                assert done.code == 1
                assert fragment in " ".join(done.out.split())
            else:
                assert done.code in {2, 4}, (command, text)  # 4: later it may do
                assert fragment in " ".join(done.err.split())
        assert await asyncio.to_thread(worker.process.wait) in {2, 4}
        assert fragment in worker.text()
        assert "Traceback" not in worker.text()


@contextlib.contextmanager
def server(folder: Path, *options: str, kind: Kind = "redis") -> Iterator[RedisServer]:
    folder.mkdir()
    one = RedisServer(folder, *options, kind=kind)
    one.start()
    try:
        yield one
    finally:
        one.kill()


@pytest.mark.parametrize("kind", ["redis", "valkey"])
async def test_a_cluster_is_one_sentence(tmp_path: Path, start_worker: Start, kind: Kind) -> None:
    with server(tmp_path / "cluster", "--cluster-enabled", "yes", kind=kind) as cluster:
        with cluster.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        await assert_one_sentence(cluster.url, start_worker, "Cluster", COMMANDS[2:3])
        url = cluster.user("~* +@all -info")  # found without INFO too
        await assert_one_sentence(url, start_worker, "Cluster", (COMMANDS[0], COMMANDS[2]))


@pytest.mark.parametrize("kind", ["redis", "valkey"])
async def test_a_replica_is_one_sentence(tmp_path: Path, start_worker: Start, kind: Kind) -> None:
    with (
        server(tmp_path / "primary", kind=kind) as primary,
        server(tmp_path / "replica", "--replicaof", f"127.0.0.1 {primary.port}", kind=kind) as replica,
    ):
        await assert_one_sentence(replica.url, start_worker, "replica", (COMMANDS[0], COMMANDS[2]))


async def test_a_sentinel_is_one_sentence(tmp_path: Path, start_worker: Start) -> None:
    with server(tmp_path / "primary") as primary:
        port = port_of_ones_own()
        configuration = tmp_path / "sentinel.conf"
        configuration.write_text(f"port {port}\nsentinel monitor mine 127.0.0.1 {primary.port} 1\n")
        sentinel = await asyncio.create_subprocess_exec(
            server_binary("redis")[0], str(configuration), "--sentinel", stdout=asyncio.subprocess.DEVNULL
        )
        try:
            await until_open(port)
            await assert_one_sentence(f"redis://127.0.0.1:{port}", start_worker, "Sentinel", COMMANDS)
        finally:
            sentinel.kill()
            await sentinel.wait()


async def until_open(port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """A server that gives one answer to every command."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(answer * max(1, data.count(b"*")))
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "fragment"),
    [
        (b"-ERR max requests limit exceeded. Limit: 10000, Usage: 10000.\r\n", "max requests limit exceeded"),
        (
            b"-ERR unknown command 'EVALSHA', with args beginning with: 'secret'\r\n",
            "does not know the command EVALSHA",
        ),
        (b"-MOVED 3999 127.0.0.1:7001\r\n", "Cluster"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is not a Redis"),
    ],
    ids=["quota", "unknown", "moved", "http"],
)
async def test_an_unexpected_answer_is_one_sentence(start_worker: Start, answer: bytes, fragment: str) -> None:
    async with answering(answer) as url:
        await assert_one_sentence(url, start_worker, fragment, COMMANDS[1:3])


@pytest.mark.parametrize("key", ["sp:workers", "sp:run", "sp:due", "sp:syncs"])
async def test_a_key_of_another_type_is_one_sentence(redis_server: RedisServer, start_worker: Start, key: str) -> None:
    with redis_server.client() as client:
        client.set(key, "something else")
    await assert_one_sentence(redis_server.url, start_worker, key, COMMANDS[2:3])


async def test_a_worker_says_at_its_start_what_may_lose_syncs(redis_server: RedisServer, start_worker: Start) -> None:
    with redis_server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
    async with Sandbox(SandboxOptions(spaces={"spa": SpaceSpec(60, "recipe")})) as sandbox:
        worker = start_worker(environment(redis_server.url, sandbox))
    warnings = [line for line in worker.text().splitlines() if "WARNING" in line]
    assert [word in " ".join(warnings) for word in ("append-only", "allkeys-lru")] == [True, True]
