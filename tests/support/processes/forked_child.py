"""What a child of the fork server does: it becomes the worker or the command of its request, and exits."""

from __future__ import annotations

import atexit
import fcntl
import importlib
import io
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import coverage

_ROOT = Path(__file__).parents[3]

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that say where trusted certificates are."""


def run_child(request: Mapping[str, Any], fds: Sequence[int], *, other_version: bool) -> None:
    """Runs the worker or the command of a request, and ends this process.

    Args:
        request: What to run, see `ForkServer`.
        fds: The streams of the process.
        other_version: Whether another version of the program is imported.
    """
    try:
        _run(request, fds, other_version=other_version)
    except SystemExit as end:
        if isinstance(end.code, int | None):
            _exit(end.code or 0)
        raise
    _exit(0)


def _run(request: Mapping[str, Any], fds: Sequence[int], *, other_version: bool) -> None:
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
        sys.exit(_run_arq() if request["arq"] else _run_worker(str(request["plan"]), other_version=other_version))
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


def _run_worker(plan: str, *, other_version: bool) -> int:
    if other_version:
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
