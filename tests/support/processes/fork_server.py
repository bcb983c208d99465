"""A fork server: a process that has imported the whole program forks workers and commands from itself.

Each of them is a process like any other, with its own environment, streams and exit code, and is really killed, frozen
and interrupted. It only saves the second or two of imports, of which the tests would otherwise pay hundreds. What
`python -m worker` and `python -m producer` do before their imports end is tested with real starts, elsewhere.

The server waits for its children, reports their exit codes, and kills each one when the process that asked for it is
gone. What a child costs beside its work is kept small, because the tests start more than a thousand: see
`_prepare_to_fork`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import fcntl
import functools
import gc
import importlib
import io
import json
import logging
import os
import pkgutil
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import coverage

_ROOT = Path(__file__).parents[3]

_MEASURED_WORKERS = 4
"""One in so many workers is measured by coverage, which makes a worker twice as slow; every command is measured."""

_MOST = 1 << 17
"""Bytes of a request: in essence the environment."""

_SHARED = "TESTS_FORK_SERVER"
"""The variable with the folder of the fork server that pytest and the processes of pytest-xdist share."""

_LIFE = "life"

_LARGE_PAGE = 1 << 21
_MADV_COLLAPSE = 25

_OTHER_VERSION = "--other-version"
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that say where trusted certificates are."""

_AS_MODULE = str(_ROOT / "producer" / "__main__.py")
"""The program's name in `sys.argv` after `python -m producer`."""

_MAX_FDS = 16
"""The most file descriptors of a request."""

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
            server = subprocess.Popen(
                (sys.executable, "-m", __name__, str(listening.fileno()), *([_OTHER_VERSION] if checkout else [])),
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
        self.pid = int(line.recv(_MOST))
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
            self._set_exit_code(self._line.recv(_MOST))
        assert self.returncode is not None
        return self.returncode

    async def ended(self) -> int:
        """The exit code, as soon as there is one."""
        if self.returncode is None:
            self._set_exit_code(await asyncio.get_running_loop().sock_recv(self._line, _MOST))
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


def main() -> None:
    """Runs the fork server: standard input ends it, and the socket of the first argument is where it is asked."""
    _import_everything()
    if _OTHER_VERSION not in sys.argv:
        _import_later_modules()
        _build_commands()
    _prepare_to_fork()
    child = _Children(socket.socket(fileno=int(sys.argv[1]))).serve()
    if child is None:
        return
    request, fds = child
    try:
        _run(request, fds)
    except SystemExit as end:
        if isinstance(end.code, int | None):
            _exit(end.code or 0)
        raise
    _exit(0)


class _Children:
    """The children of the server, and the connections of those who asked for them.

    Args:
        listening: The socket where they ask.
    """

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._lines: dict[int, socket.socket] = {}
        self._children: dict[int, tuple[int, socket.socket]] = {}
        """Of each file descriptor of a process: its id and the connection of who asked for it."""
        self._waiting = select.poll()

    def serve(self) -> tuple[Mapping[str, Any], Sequence[int]] | None:
        """Forks until standard input ends. Returns None then; and in each child its request and its streams."""
        for readable in (0, self._listening):
            self._waiting.register(readable, select.POLLIN)
        while True:
            (fd, _), *_ = self._waiting.poll()  # one at a time: to handle it may close another
            if fd == 0:
                self._end()
                return None
            if fd == self._listening.fileno():
                line, _ = self._listening.accept()
                self._lines[line.fileno()] = line
                self._waiting.register(line, select.POLLIN)
            elif fd in self._children:
                self._report(fd)
            else:
                self._waiting.unregister(fd)
                if child := self._answer(self._lines.pop(fd)):
                    return child

    def _answer(self, line: socket.socket) -> tuple[Mapping[str, Any], Sequence[int]] | None:
        """Kills the child of a connection that has ended, or forks one. Returns, in that child only, its request."""
        for process, (_, asked) in self._children.items():
            if asked is line:
                signal.pidfd_send_signal(process, signal.SIGKILL)
                return None
        received, fds, _, _ = socket.recv_fds(line, _MOST, _MAX_FDS)
        if not received:
            line.close()
            return None
        pid = os.fork()
        if pid == 0:
            self._close()
            line.close()
            return json.loads(received), fds
        for fd in fds:
            os.close(fd)
        process = os.pidfd_open(pid)
        self._children[process] = pid, line
        self._lines[line.fileno()] = line
        for readable in (process, line):
            self._waiting.register(readable, select.POLLIN)
        _send(line, pid)
        return None

    def _report(self, process: int) -> None:
        """Sends the exit code of a process that has ended."""
        pid, line = self._children.pop(process)
        self._waiting.unregister(process)
        os.close(process)
        _, status = os.waitpid(pid, 0)
        _send(line, os.waitstatus_to_exitcode(status))
        if self._lines.pop(line.fileno(), None):
            self._waiting.unregister(line)
        line.close()

    def _end(self) -> None:
        """Kills what is left."""
        for process in self._children:
            signal.pidfd_send_signal(process, signal.SIGKILL)
        for process in list(self._children):
            self._report(process)

    def _close(self) -> None:
        """Closes in a child what belongs to the server and to other children."""
        self._listening.close()
        for line in self._lines.values():
            line.close()
        for process, (_, line) in self._children.items():
            os.close(process)
            line.close()


def _send(line: socket.socket, number: int) -> None:
    """Sends a number to the one who asked for a child, if it is still there."""
    with contextlib.suppress(OSError):
        line.send(str(number).encode())


def _prepare_to_fork() -> None:
    """Makes children cheap: they share the memory of this process, and most of them do not write to it."""
    gc.collect()
    gc.freeze()
    # Of what runs at exit, only this is of use to a child. What duckdb does there touches, and so copies, all objects.
    atexit._clear()
    atexit.register(logging.shutdown)
    # A fork takes half the time if memory is in large pages. A system without large pages ignores this.
    collapse = ctypes.CDLL(None).madvise
    collapse.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, rights, *_, inode_or_name = line.split()
        start, end = (int(number, 16) for number in place.split("-"))
        if rights == "rw-p" and inode_or_name in ("0", "[heap]"):
            for page in range(-(-start // _LARGE_PAGE) * _LARGE_PAGE, end - _LARGE_PAGE + 1, _LARGE_PAGE):
                collapse(page, _LARGE_PAGE, _MADV_COLLAPSE)


def _exit(code: int) -> None:
    """Ends this process as the interpreter does, but leaves the imported modules as they are.

    To take them down would touch, and so copy, all the memory that is shared with the fork server: ten times the
    processor time of a small command.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        code = 120  # as the interpreter does
    os._exit(code & 0xFF)


def _import_everything() -> None:
    import producer
    import worker

    if _OTHER_VERSION in sys.argv:
        assert str(worker.__file__).startswith(os.getcwd()), worker.__file__
    else:
        importlib.import_module("tests.chaos.worker_process")
        importlib.import_module("arq.cli")
    for package in (worker, producer):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(LARGE_DRIVERS):
                importlib.import_module(module.name)


def _import_later_modules() -> None:
    """Imports what the program imports only when it is used, which each child would do for itself.

    Of this, sqlglot takes longest: half a second for the first statement.
    """
    from sqlglot import exp

    from worker.clusters import RECIPE
    from worker.clusters.sql import SourceShape, compile_statement

    for dialect in ("duckdb", "postgres"):
        compile_statement(RECIPE, SourceShape("tall", id="id"), exp.to_table("t"), dialect=dialect, as_of=0.0)
    for name in _LATER_MODULES:
        importlib.import_module(name)


_LATER_MODULES = (
    "concurrent.futures.thread",
    "fakeredis.aioredis",
    "lupa.lua51",
    "platformdirs.unix",
    "typer._adapters",
)


def _build_commands() -> None:
    """Lets typer make the tree of all commands once, which each command would do for itself."""
    import typer.main
    import typer.rich_utils

    from producer.cli.app import app

    tree = typer.main.get_command(app)
    typer.main.get_command = lambda _: tree


LARGE_DRIVERS = ("bigquery", "databricks", "snowflake")
"""Modules whose drivers are large, and which few tests need."""


def _run(request: Mapping[str, Any], fds: Sequence[int]) -> None:
    """Becomes the worker or the command of a request."""
    numbers = request.get("fds", (0, 1, 2))
    assert isinstance(numbers, Sequence)
    free = [fcntl.fcntl(fd, fcntl.F_DUPFD, max(numbers) + 1) for fd in fds]  # above all numbers that they get
    for fd in fds:
        os.close(fd)
    for number, fd in zip(numbers, free, strict=True):
        os.dup2(fd, number)
        os.close(fd)
    env = request["env"]
    assert isinstance(env, dict)
    certificates = {name: os.environ.get(name) for name in _CERTIFICATES}
    os.environ.clear()
    os.environ.update(env)
    sys.path[1:1] = [place for place in env.get("PYTHONPATH", "").split(os.pathsep) if place not in ("", *sys.path)]
    time.tzset()
    if {name: env.get(name) for name in _CERTIFICATES} != certificates:
        # aiohttp reads the trusted certificates when it is imported, which was in another environment.
        connector = importlib.import_module("aiohttp.connector")
        connector._SSL_CONTEXT_VERIFIED = connector._make_ssl_context(True)  # type: ignore[attr-defined]
    _open_standard_streams(unbuffered=bool(env.get("PYTHONUNBUFFERED")))
    if request.get("measured"):
        _measure_coverage()
    if "plan" in request:
        sys.exit(_run_arq() if request["arq"] else _run_worker(str(request["plan"])))
    if request["session"]:
        import termios

        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if plan := request.get("kill_at"):
        from tests.chaos.points import arm

        arm(str(plan))
    os.chdir(str(request["cwd"]))
    argv = request["argv"]
    assert isinstance(argv, list)
    sys.argv = argv
    from producer.__main__ import main as run_command

    run_command()


def _measure_coverage() -> None:
    """Measures this process until it exits by itself. Lines that the imports ran are not counted."""
    measuring = coverage.Coverage(
        data_file=str(_ROOT / ".coverage"), data_suffix=True, config_file=str(_ROOT / "pyproject.toml")
    )
    measuring.start()
    atexit.register(measuring.save)
    atexit.register(measuring.stop)


def _run_worker(plan: str) -> int:
    if _OTHER_VERSION in sys.argv:
        from worker.__main__ import main as run_worker

        return run_worker([])
    from tests.chaos import worker_process

    return worker_process.run(plan)


def _run_arq() -> int:
    from arq.cli import cli

    sys.argv = ["arq", "worker.WorkerSettings"]
    return int(cli() or 0)


def _open_standard_streams(*, unbuffered: bool) -> None:
    """Opens `sys.stdin`, `stdout` and `stderr` as the interpreter does when it starts."""
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    for name, fd, errors in (("stdout", 1, "strict"), ("stderr", 2, "backslashreplace")):
        raw = open(fd, "wb", 0 if unbuffered else -1, closefd=False)  # noqa: SIM115
        lines = name == "stderr" or os.isatty(fd)
        stream = io.TextIOWrapper(raw, "utf-8", errors, line_buffering=lines, write_through=unbuffered)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    main()
