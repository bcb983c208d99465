"""A redis-server of one's own: append-only file, `noeviction`, a port of its own, and ways to make it fail."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from pathlib import Path

import redis

from tests.support.port import port_of_ones_own


class RedisServer:
    """Runs until `stop` or `kill`, and can be started again on the same port with the same data."""

    def __init__(self, folder: Path, *extra: str) -> None:
        self.port = port_of_ones_own()
        self.folder = folder
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self, *once: str) -> None:
        """Starts the server and returns when it answers. once: further options, for this run only."""
        binary = shutil.which("redis-server")
        if binary is None:
            raise RuntimeError("the integration tests need redis-server: apt-get install redis-server")
        self._process = subprocess.Popen(
            [
                *(binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"),
                *("--enable-debug-command", "yes", *self._extra, *once),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 20
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError:
                    if self._process.poll() is not None:
                        raise RuntimeError(f"redis-server ended with {self._process.returncode}") from None
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
                else:
                    return

    def client(self) -> redis.Redis:
        """A plain synchronous client."""
        return redis.Redis(port=self.port, socket_timeout=5)

    def stop(self) -> None:
        """A clean shutdown; the append-only file is complete."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """An unclean end. The kernel still has what was written; `cut_append_only_file` takes it away."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """It hangs: connections stand, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def append_only_file(self) -> Path:
        """The file that a power cut would leave incomplete."""
        return max(self.folder.glob("appendonlydir/*.incr.aof"), key=lambda path: path.stat().st_mtime)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
        self._process.wait(20)
        self._process = None
