"""A worker as the process of a container: signals from its first moment, alive and ready told apart."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes.command_line import cli
from tests.support.scenarios.scenario import Start, start_scenario
from tests.support.servers.redis_server import RedisServer

COMMANDS = [(sys.executable, "-m", "worker"), (sys.executable, "-m", "producer", "worker")]

IMPORTS_FOR_EVER = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name in {"worker.errors", "producer.cli", "producer.cli.app"}:
            print("importing", flush=True)
            while True:  # a wait without end could miss a signal that comes just before it
                time.sleep(0.1)
sys.meta_path.insert(0, Slow())
"""
"""A `sitecustomize` that stops the process where its long imports begin."""


@pytest.mark.parametrize("command", COMMANDS, ids=["worker", "producer"])
@pytest.mark.parametrize("first", [False, True], ids=["child", "pid-1"])
def test_sigterm_ends_a_worker_while_it_still_imports(tmp_path: Path, command: tuple[str, ...], first: bool) -> None:
    (tmp_path / "sitecustomize.py").write_text(IMPORTS_FOR_EVER)
    wrapper = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"] if first else []
    if first and subprocess.run([*wrapper, "true"], capture_output=True).returncode:
        wrapper = []  # no right to make a namespace: the signal then reaches an ordinary process
    # Coverage would install its own handler of SIGTERM, before ours.
    own = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    env = {**own, "PYTHONPATH": str(tmp_path)}
    process = subprocess.Popen([*wrapper, *command], env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "importing\n"
        os.kill(_child_of(process.pid) if wrapper else process.pid, signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.communicate()


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


async def test_a_worker_is_alive_also_while_redis_is_away(
    session_redis: RedisServer, start_worker: Start, tmp_path: Path
) -> None:
    temporary = {"TMPDIR": str(tmp_path)}
    env = {"REDIS_URL": session_redis.url, **temporary}
    away = {"REDIS_URL": "redis://127.0.0.1:1", **temporary}
    assert (await cli("worker", "--check", "alive", env=env)).code == 1
    async with start_scenario(session_redis, start_worker, settings=temporary) as scenario:
        scenario.worker()
        assert (await cli("worker", "--check", "alive", env=env)).code == 0
        assert (await cli("worker", "--check", "alive", env=away)).code == 0
        assert (await cli("worker", "--check", "ready", env=away)).code == 4
        [file] = (tmp_path / f"segment-personas-{os.getuid()}").glob("*.alive")
        os.kill(int(file.stem), signal.SIGTERM)
        while file.exists():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)
        assert (await cli("worker", "--check", "alive", env=env)).code == 1
