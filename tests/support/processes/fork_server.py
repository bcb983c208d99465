"""A fork server: a process that has imported the whole program forks workers and commands from itself.

Each of them is a process like any other, with its own environment, streams and exit code, and is really killed, frozen
and interrupted. It only saves the second or two of imports, of which the tests would otherwise pay hundreds. What
`python -m worker` and `python -m producer` do before their imports end is tested with real starts, elsewhere.

This is what tests use; the server itself is `fork_server_main`, and what a child does is in `forked_child`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import fcntl
import functools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import coverage

from tests.support.processes import fork_server_main
from tests.support.processes.fork_server_main import MOST_BYTES, OTHER_VERSION

_ROOT = Path(__file__).parents[3]

_MEASURED_WORKERS = 4
"""One in so many workers is measured by coverage, which makes a worker twice as slow; every command is measured."""

_SHARED = "TESTS_FORK_SERVER"
"""The variable with the folder of the fork server that pytest and the processes of pytest-xdist share."""

_LIFE = "life"

_AS_MODULE = str(_ROOT / "producer" / "__main__.py")
"""The program's name in `sys.argv` after `python -m producer`."""

_CLIENT = """#!{python} -IS
import json, os, re, signal, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
    line.connect({path!r})
    fds = [0, 1, 2, *(int(part[8:]) for part in sys.argv if re.fullmatch("/dev/fd/[0-9]+", part))]
    request = {{"argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd(), "session": False, "fds": fds}}
    socket.send_fds(line, [json.dumps(request).encode()], fds)
    pid = int(line.recv(100))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: os.kill(pid, number))
    code = int(line.recv(100))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""
"""A `segment-personas` for shells: it asks the fork server for a process with its own streams, and with the pipes that
bash makes of `<(...)`."""


class ForkServer:
    """Runs until the process ends that made its folder.

    Args:
        folder: Of the server: if none runs there yet, it starts. See `new_folder`.
        checkout: A folder with another version of the program, of which it forks workers without a plan.

    Attributes:
        bin: A folder with a `segment-personas` that comes from this server, for the PATH of a shell.
    """

    def __init__(self, folder: Path, checkout: Path | None = None) -> None:
        self._workers = 0
        self._measures = checkout is None and coverage.Coverage.current() is not None
        self._path = str(folder / "socket")
        self.bin = folder / "bin"
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.bin.exists():
                self._start_server(folder / _LIFE, checkout)

    def _start_server(self, life: Path, checkout: Path | None) -> None:
        self.bin.mkdir()
        client = self.bin / "segment-personas"
        client.write_text(_CLIENT.format(python=sys.executable, path=self._path))
        client.chmod(0o755)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening, life.open("rb") as stdin:
            listening.bind(self._path)
            listening.listen(64)
            command = (sys.executable, "-m", fork_server_main.__name__, str(listening.fileno()))
            server = subprocess.Popen(
                (*command, OTHER_VERSION) if checkout else command,
                cwd=checkout or _ROOT,  # the first place where modules are looked for
                stdin=stdin,
                pass_fds=[listening.fileno()],
            )
        server.returncode = 0  # it may outlive this process, and Python warns of a process that was not waited for

    def start_worker(self, plan: str, env: Mapping[str, str], log_fd: int, *, arq: bool = False) -> Child:
        """Starts a worker.

        Args:
            plan: How it ends, see `tests.chaos.points`.
            env: The whole environment.
            log_fd: What it writes to.
            arq: Whether it is started as by `arq worker.WorkerSettings`; then without a plan.
        """
        self._workers += 1
        measured = self._measures and self._workers % _MEASURED_WORKERS == 1
        with open(os.devnull, "rb") as nothing:
            request = {"plan": plan, "arq": arq, "env": dict(env), "measured": measured}
            return self._start(request, nothing.fileno(), log_fd, log_fd)

    def start_command(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        fds: tuple[int, int, int],
        *,
        session: bool = False,
        kill_at: str = "",
    ) -> Child:
        """Starts `python -m producer ARGUMENTS`.

        Args:
            arguments: Those of the command line.
            env: The whole environment.
            fds: Its standard input, output and error.
            session: Whether it starts a session, with its standard input as terminal.
            kill_at: A plan of `tests.chaos.points`; empty: it is not killed.
        """
        request = {
            "argv": [_AS_MODULE, *arguments],
            "env": dict(env),
            "cwd": os.getcwd(),
            "session": session,
            "kill_at": kill_at,
            "measured": self._measures,
        }
        return self._start(request, *fds)

    def _start(self, request: Mapping[str, object], *fds: int) -> Child:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.connect(self._path)
        socket.send_fds(line, [json.dumps(request).encode()], fds)
        return Child(line)


def new_folder() -> Path:
    """A folder for a fork server, which ends when this process does."""
    folder = Path(tempfile.mkdtemp(prefix="fork-server-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.mkfifo(folder / _LIFE)
    os.open(folder / _LIFE, os.O_RDWR)  # the server reads the end of it once nothing has it open any more
    return folder


def share_fork_server() -> None:
    """Lets this process and those that it starts have one fork server. It starts when one of them first needs it."""
    if _SHARED not in os.environ:
        os.environ[_SHARED] = str(new_folder())


@functools.cache
def shared_fork_server() -> ForkServer:
    """The fork server of this process, and of those that started it."""
    share_fork_server()
    return ForkServer(Path(os.environ[_SHARED]))


class Child:
    """A process from the fork server; what the tests use of `subprocess.Popen`, and `ended` for event loops."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.returncode: int | None = None
        self.pid = int(line.recv(MOST_BYTES))
        line.setblocking(False)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; if a signal ended it, that as a negative number. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._line, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired("worker", timeout or 0)
            self._set_exit_code(self._line.recv(MOST_BYTES))
        assert self.returncode is not None
        return self.returncode

    async def ended(self) -> int:
        """The exit code, as soon as there is one."""
        if self.returncode is None:
            self._set_exit_code(await asyncio.get_running_loop().sock_recv(self._line, MOST_BYTES))
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and was not waited for yet
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _set_exit_code(self, received: bytes) -> None:
        self.returncode = int(received)
        self._line.close()
