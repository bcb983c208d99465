"""The keeper: a small process that runs the server of one state directory for as long as a command uses it.

It runs as `python -I -S keeper.py DIRECTORY SOCKET PROGRAM`, so this file imports a part of the standard library only.
What is alive is decided by `flock`, which the kernel ends with its process, never by a process id alone:

| file | held by |
|---|---|
| `users.lock` | every command that uses the server (shared); the keeper while it stops the server (exclusive) |
| `keeper.lock` | the keeper |
| `server.lock` | the server, which inherits the lock from its keeper; so two servers never write to one directory |
| `start.lock` | the command that waits for a keeper to start |

It prints `ready`, `kept` (another keeper runs) or `failed` with a sentence, and then closes its standard output.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

LOOK_S = 0.1
"""Seconds between two checks of the server and its users."""
START_S = 30.0
"""Seconds in which a server must listen; it listens before it loads its data."""
STOP_S = 30.0
"""Seconds that a server gets for a clean end; it has a file to write."""
ORPHAN_STOP_S = 5.0
"""Seconds that a server without a keeper gets for a clean end before it is killed."""
MOST_RESTARTS = 5
"""Restarts in a row, each of a server that ended before it answered or within `SHORT_RUN_S`, before the keeper ends."""
SHORT_RUN_S = 1.0
LONGEST_LOG = 1 << 20
"""Bytes after which the server's log begins again."""

OPTIONS = (
    *("--port", "0", "--unixsocketperm", "700", "--daemonize", "no"),
    # `always` would end a Redis whose disk is full; with `everysec` it refuses writes until there is space again.
    *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
    # Plain commands, which other versions of Redis and Valkey can read.
    *("--aof-use-rdb-preamble", "no"),
    *("--maxmemory-policy", "noeviction", "--loglevel", "notice"),
)


class StartFailed(Exception):
    """The server did not start; the text says why."""


def acquire(path: str, *, shared: bool = False, wait_s: float = 0.0) -> int | None:
    """Locks a file, which is made if it is missing.

    Args:
        path: The file.
        shared: Whether others may hold it too.
        wait_s: How long to wait for it, in seconds.

    Returns:
        The descriptor that holds the lock until it is closed; None if others still hold it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if lock_within(descriptor, wait_s, shared=shared):
        return descriptor
    os.close(descriptor)
    return None


def lock_within(descriptor: int, wait_s: float, *, shared: bool = False) -> bool:
    """Locks an open file; False if others still hold it after `wait_s` seconds."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    ends_at = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends_at:
                return False
            time.sleep(0.01)
        else:
            return True


def ask(socket_path: str, command: bytes, timeout_s: float = 1.0) -> bytes:
    """Sends one command without keys to the server.

    Returns:
        The beginning of its answer, at most 64 KiB; empty if no server answers.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(socket_path)
        connection.sendall(command + b"\r\n")
        return connection.recv(1 << 16)
    return b""


class RunFile:
    """`run.json`: a name for the time in which the directory's data cannot have lost anything.

    The name stays through clean ends of the server. After any other end it is a new one, because the last moments
    before it may be missing in the file.
    """

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, "run.json")
        self._data = os.path.join(folder, "data")

    def read(self) -> dict[str, object]:
        """Returns what the file says; empty if it cannot be read."""
        try:
            with open(self._path, encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def begin(self) -> None:
        """Notes that a server starts: from now on, anything but `end` is an unclean end."""
        found = self.read()
        if found.pop("clean", False) and found.get("id"):
            self._write({**found, "clean": False})
            return
        is_new = not found and not os.path.exists(self._data)
        self._write({"id": secrets.token_hex(8), "new": is_new, "since": time.monotonic(), "clean": False})

    def note_reset(self) -> None:
        """Notes that all data is being removed, and a purchase in progress may be among it."""
        self._write({"id": secrets.token_hex(8), "new": False, "since": time.monotonic(), "clean": True})

    def end(self) -> None:
        """Notes that the server has ended with all data on the disk."""
        self._write({**self.read(), "clean": True})

    def _write(self, content: dict[str, object]) -> None:
        temporary = f"{self._path}.tmp"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)


class Keeper:
    """Runs one server.

    Args:
        folder: The state directory.
        socket_path: Where the server listens.
        program: Path of redis-server or valkey-server.
    """

    def __init__(self, folder: str, socket_path: str, program: str) -> None:
        self._folder = folder
        self._socket = socket_path
        self._program = program
        self._run = RunFile(folder)
        self._log = os.path.join(folder, "server.log")
        self._server: subprocess.Popen[bytes] | None = None
        self._server_lock = -1
        self._started_at = 0.0
        self._told_to_stop = False

    def run(self, report: Callable[[str], None]) -> int:
        """Keeps the server until no command uses it; returns an exit code.

        Args:
            report: Called once, with `ready`, `kept` or `failed …`.
        """
        # A command that looks whether there is a keeper holds the lock for a moment.
        if acquire(os.path.join(self._folder, "keeper.lock"), wait_s=0.2) is None:
            report("kept")
            return 0
        signal.signal(signal.SIGTERM, self._stop_soon)
        try:
            self._take_server_lock()
            self._start()
        except (StartFailed, OSError) as error:
            report(f"failed {error}")
            return 1
        report("ready")
        users = os.open(os.path.join(self._folder, "users.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        restarts = 0
        while not (lock_within(users, 0) or self._told_to_stop):
            time.sleep(LOOK_S)
            assert self._server
            if self._server.poll() is None:
                continue
            restarts = restarts + 1 if time.monotonic() - self._started_at < SHORT_RUN_S else 1
            if restarts > MOST_RESTARTS:
                return 1
            with contextlib.suppress(StartFailed, OSError):
                self._start()
        self._stop()
        return 0

    def _stop_soon(self, *_: object) -> None:
        self._told_to_stop = True

    def _take_server_lock(self) -> None:
        """Ends a server that an earlier keeper has left, and takes its lock. Raises StartFailed."""
        self._server_lock = os.open(
            os.path.join(self._folder, "server.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        if lock_within(self._server_lock, 0):
            return
        ask(self._socket, b"SHUTDOWN", ORPHAN_STOP_S)
        if lock_within(self._server_lock, ORPHAN_STOP_S):
            return
        # The id is that of a living process: it holds the lock.
        process_id = os.pread(self._server_lock, 20, 0).strip()
        if process_id.isdigit():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process_id), signal.SIGKILL)
            if lock_within(self._server_lock, ORPHAN_STOP_S):
                return
        raise StartFailed("an earlier server of this directory still runs; end that redis-server or valkey-server")

    def _start(self) -> None:
        """Starts the server and waits until it answers. Raises StartFailed with the last line of its log."""
        data = os.path.join(self._folder, "data")
        self._run.begin()
        os.makedirs(data, 0o700, exist_ok=True)
        os.ftruncate(self._server_lock, 0)
        if os.path.exists(self._log) and os.path.getsize(self._log) > LONGEST_LOG:
            os.truncate(self._log, 0)
        with open(self._log, "ab") as log:
            begins_at = log.tell()
            self._server = subprocess.Popen(
                [self._program, *OPTIONS, "--unixsocket", self._socket, "--dir", data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._server_lock,),
            )
        os.pwrite(self._server_lock, str(self._server.pid).encode(), 0)
        self._started_at = time.monotonic()
        # A server that loads its data listens already; the commands wait until it has.
        while not ask(self._socket, b"PING"):
            if time.monotonic() - self._started_at > START_S:
                self._server.kill()
            if self._server.poll() is not None:
                raise StartFailed(self._last_line(begins_at) or f"it ended with code {self._server.returncode}")
            time.sleep(0.005)

    def _stop(self) -> None:
        """Stops the server, and notes whether everything is on the disk."""
        assert self._server
        is_written = b"aof_last_write_status:ok" in ask(self._socket, b"INFO persistence")
        ask(self._socket, b"SHUTDOWN", STOP_S)
        try:
            ended_well = self._server.wait(STOP_S) == 0
        except subprocess.TimeoutExpired:
            self._server.kill()
            ended_well = self._server.wait() == 0
        if is_written and ended_well:
            with contextlib.suppress(OSError):
                self._run.end()

    def _last_line(self, begins_at: int) -> str:
        """Returns the end of what the server has written since it started, without time and process id."""
        with open(self._log, "rb") as log:
            log.seek(begins_at)
            lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        marks = ("#", "*", "-", "Fatal", "Bad")
        telling = [line for line in lines if any(f" {mark} " in line for mark in marks)] or lines
        return telling[-1].split(" # ")[-1].split(" * ")[-1].strip()[:300] if telling else ""


def main(arguments: list[str]) -> int:
    """Runs the keeper of `DIRECTORY SOCKET PROGRAM`."""
    if os.fork():
        os._exit(0)  # the keeper gets another parent, so that no command has to wait for it
    os.setsid()  # no Ctrl-C of a terminal reaches it
    os.umask(0o077)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def report(text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(1, f"{text}\n".encode())
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 1)

    return Keeper(*arguments).run(report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
