"""What tests of commands without REDIS_URL share: a sandbox of small spaces, and looks at documents and processes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path

from producer.sandbox import Sandbox
from producer.state.directory import StateDirectory
from producer.state.server import is_running
from tests.support.processes.command_line import Done
from tests.support.scenarios.checks import assert_no_twins, until

CREDITS = 6000
CLUSTERS = 3
PROFILES = 60


def slowly(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run whose POST is held for as long as the test takes."""
    return {**env, "MAVERA_TIMEOUT_S": "300", "MAVERA_SETTLE_S": "303"}


def assert_bought_once(sandbox: Sandbox) -> None:
    assert_no_twins(sandbox)
    assert len(sandbox.personas) == CLUSTERS
    assert sandbox.credits == CREDITS - 300 * CLUSTERS


def document(done: Done) -> dict[str, object]:
    assert done.code == 0, done
    found: dict[str, object] = json.loads(done.out)
    return found


def actions(done: Done) -> list[str]:
    personas = document(done)["personas"]
    assert isinstance(personas, list)
    return [persona["action"] for persona in personas]


def printed_command(done: Done, name: str) -> list[str]:
    """The arguments of a command that was printed for the user."""
    found = re.search(rf"^  \S*segment-personas ({name} .*)$", done.err, re.MULTILINE)
    assert found, done.err
    return found[1].split()


def server_processes(directory: StateDirectory) -> tuple[int, int]:
    """The process ids of the keeper and of the server."""
    server = int(directory.lock("server").read_text())
    keeper = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
    assert b"keeper.py" in Path(f"/proc/{keeper}/cmdline").read_bytes()
    return keeper, server


async def wait_stopped(directory: StateDirectory) -> None:
    await until(lambda: asyncio.to_thread(lambda: not is_running(directory)))
