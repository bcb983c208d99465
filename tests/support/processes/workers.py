"""Real worker processes, as a container would run them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from producer.sandbox import Sandbox
from tests.support.processes.fork_server import Child, ForkServer

WORKER = (sys.executable, "-m", "worker")
READY = "takes jobs"

#: Times short enough for tests; their proportions are those of the defaults.
QUICK = {
    "HEARTBEAT_S": "0.5",
    "STALL_S": "2",
    "LEASE_S": "1",
    "MAVERA_TIMEOUT_S": "1.5",
    "MAVERA_SETTLE_S": "4",
    "MAVERA_GAP_S": "0.01",
    "MAVERA_RATE": "100000",
    "SEGMENT_RATE": "100000",
    "SEGMENT_TIMEOUT_S": "5",
    "RETRY_BASE_S": "0.02",
}


def environment(redis_url: str | None, sandbox: Sandbox | None, **settings: str) -> dict[str, str]:
    """An environment for a worker or the command line: quick times, the sandbox's URLs and keys, then `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEGMENT_", "MAVERA_", "REDIS_"))}
    result = {**kept, **QUICK, "PYTHONUNBUFFERED": "1", "SEGMENT_PERSONAS_ENV_FILE": ""}
    if redis_url:
        result["REDIS_URL"] = redis_url
    if sandbox:
        result |= {
            "SEGMENT_TOKEN": "sandbox",
            "MAVERA_API_KEY": "mvra_test_sandbox",
            "SEGMENT_BASE_URL": sandbox.segment_url,
            "MAVERA_BASE_URL": sandbox.mavera_url,
        }
    return {**result, **settings}


class WorkerProcess:
    """One worker process. Its log is in `log`; end it by `terminate`, `kill` or `close`.

    It is started by its command, or comes from a fork server: then `plan` says how it ends, see `tests.chaos.points`,
    and with `arq` it is started by arq's command line.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        log: Path,
        command: Sequence[str] = WORKER,
        *,
        fork_server: ForkServer | None = None,
        plan: str = "",
        arq: bool = False,
    ) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | Child
        with log.open("ab") as out:
            if fork_server:
                self.process = fork_server.start_worker(plan, env, out.fileno(), arq=arq)
            else:
                self.process = subprocess.Popen(command, env=dict(env), stdout=out, stderr=subprocess.STDOUT)

    def wait_ready(self, timeout_s: float = 250) -> None:
        """Returns once the worker takes jobs."""
        deadline = time.monotonic() + timeout_s
        while READY not in self.text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the worker did not start: {self.text()}")
            time.sleep(0.02)

    def text(self) -> str:
        return self.log.read_text()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def processor_wait_s(self) -> float:
        """Returns for how many seconds it has waited for a processor since it started; 0 once it has ended."""
        try:
            return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[1]) / 1e9
        except OSError:
            return 0.0

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def wait_frozen(self, timeout_s: float = 250) -> None:
        """Returns once the process has been stopped by a signal."""
        deadline = time.monotonic() + timeout_s
        while Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            if time.monotonic() > deadline:
                raise RuntimeError(f"the worker was not stopped: {self.text()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait(250)

    def terminate(self, timeout_s: float = 250) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        return self.process.wait(timeout_s)

    def ask_to_stop(self) -> None:
        """Sends SIGTERM and does not wait."""
        if self.alive:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()

    def close(self, max_wait_s: float = 3) -> None:
        """Ends it in any case; after a while by `kill -9`."""
        self.ask_to_stop()
        try:
            self.process.wait(max_wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(250)
