"""What a command without REDIS_URL pays for its state: the time to its first request, with and without a server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from producer.sandbox import SandboxOptions, SpaceSpec
from producer.state.directory import StateDirectory
from producer.state.server import StateServer, is_running
from tests.bench.figure import BenchError, Goal, Plot, Sample
from tests.bench.testbed import OUT_OF_THE_WAY, TOKEN, Testbed
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.state_server import state_server
from worker.settings import Settings

SPACE = SpaceSpec(60, "recipe")

STARTED = "start of a command to its first request, no server running"
JOINED = "start of a command to its first request, a server running"
SERVER = "starting the server of a state directory"
JOINING = "joining a running server"


class StartUp:
    name = "start-up"
    title = "Start-up of a command without REDIS_URL"
    goals = (Goal(SERVER, of="value", bound=500), Goal(JOINING, of="value", bound=50))
    opt_in = False
    plot: Plot | None = None

    def measure(self, redis: RedisServer) -> list[Sample]:
        """Four previews of a small space, two of them beside a server that runs already; and the server alone."""
        with Testbed(redis, SandboxOptions({}, SPACE)) as testbed:
            directory = StateDirectory(testbed.folder / "state")
            env = _environment(testbed, directory.path)
            _first_request_ms(testbed, env, "spa_new")  # makes the directory
            _wait_stopped(directory)
            started = _first_request_ms(testbed, env, "spa_1")
            _wait_stopped(directory)
            began_at = time.monotonic()
            with state_server(directory):
                server_ms = 1000 * (time.monotonic() - began_at)
                began_at = time.monotonic()
                second = StateServer(directory)
                second.join()
                joining_ms = 1000 * (time.monotonic() - began_at)
                joined = _first_request_ms(testbed, env, "spa_2")
                second.leave()
        return [
            Sample(STARTED, started, "ms"),
            Sample(JOINED, joined, "ms"),
            Sample(SERVER, server_ms, "ms"),
            Sample(JOINING, joining_ms, "ms"),
        ]


def _environment(testbed: Testbed, home: Path) -> dict[str, str]:
    ours = {name.upper() for name in Settings.model_fields}
    return {
        **{name: value for name, value in os.environ.items() if name.upper() not in ours},
        "SEGMENT_PERSONAS_ENV_FILE": "",
        "SEGMENT_PERSONAS_HOME": str(home),
        "SEGMENT_TOKEN": TOKEN,
        "SEGMENT_BASE_URL": testbed.sandbox.segment_url,
        "MAVERA_API_KEY": "mvra_test_sandbox",
        "MAVERA_BASE_URL": testbed.sandbox.mavera_url,
        **OUT_OF_THE_WAY,
    }


def _first_request_ms(testbed: Testbed, env: Mapping[str, str], space_id: str) -> float:
    """Milliseconds from the start of a preview to its first request at either API."""
    before = len(testbed.sandbox.entries())
    began_at = time.monotonic()
    command = [sys.executable, "-m", "producer", "preview", space_id, "--json"]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"a preview has failed: {done.stderr}")
    return 1000 * (min(entry.at for entry in testbed.sandbox.entries()[before:]) - began_at)


def _wait_stopped(directory: StateDirectory) -> None:
    while is_running(directory):
        time.sleep(0.01)


FIGURE = StartUp()
