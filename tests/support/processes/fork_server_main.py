"""The process of a fork server: it imports the program, forks children on request and reports their exit codes.

It waits for its children, and kills each one when the process that asked for it is gone. What a child costs beside its
work is kept small, because the tests start more than a thousand: see `_prepare_to_fork`.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import logging
import os
import pkgutil
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.processes.forked_child import run_child

MOST_BYTES = 1 << 17
"""Bytes of a request: in essence the environment."""

_LARGE_PAGE = 1 << 21
_MADV_COLLAPSE = 25

OTHER_VERSION = "--other-version"

_MAX_FDS = 16
"""The most file descriptors of a request."""


def main() -> None:
    """Runs the fork server: standard input ends it, and the socket of the first argument is where it is asked."""
    _import_everything()
    if OTHER_VERSION not in sys.argv:
        _import_later_modules()
        _build_commands()
    _prepare_to_fork()
    child = _Children(socket.socket(fileno=int(sys.argv[1]))).serve()
    if child is None:
        return
    run_child(*child, other_version=OTHER_VERSION in sys.argv)


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
        received, fds, _, _ = socket.recv_fds(line, MOST_BYTES, _MAX_FDS)
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


def _import_everything() -> None:
    import producer
    import worker

    if OTHER_VERSION in sys.argv:
        assert str(worker.__file__).startswith(os.getcwd()), worker.__file__
    else:
        importlib.import_module("tests.chaos.worker_process")
        importlib.import_module("arq.cli")
    for package in (worker, producer):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(_LARGE_DRIVERS):
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


_LARGE_DRIVERS = ("bigquery", "databricks", "snowflake")
"""Modules whose drivers are large, and which few tests need."""


if __name__ == "__main__":
    main()
