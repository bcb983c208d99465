"""The local sign of life of a worker process: a file that its event loop renews, and that Redis has no part in.

A probe that asks Redis calls every worker dead while Redis is away, and an orchestrator would end workers that only
wait. The file holds a time of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

log = logging.getLogger("segment_personas.worker")

SILENCE_S = 30.0
"""After this many seconds without a heartbeat, a process counts as dead. A page takes far less of the event loop."""

_INTERVAL_S = 2.0
_SUFFIX = ".alive"


def heartbeat_folder() -> Path:
    """Where the worker processes of this user keep their files."""
    return Path(tempfile.gettempdir()) / f"segment-personas-{os.getuid()}"


@contextlib.asynccontextmanager
async def heartbeat() -> AsyncIterator[None]:
    """Renews the file of this process during the block. Only logs it if the file cannot be written."""
    file = heartbeat_folder() / f"{os.getpid()}{_SUFFIX}"
    try:
        _prepare(file.parent)
        _beat(file)
    except OSError as error:
        log.warning("`worker --check alive` cannot see this worker: %s: %s", file, error.strerror)
        yield
        return
    task = asyncio.create_task(_keep_beating(file), name="heartbeat file")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(OSError):
            file.unlink()


def living_processes() -> list[int]:
    """The ids of the worker processes of this user on this machine with a recent heartbeat."""
    found, now = [], time.monotonic()
    for file in heartbeat_folder().glob(f"*{_SUFFIX}"):
        try:
            pid, beat = int(file.stem), float(file.read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            continue
        if 0 <= now - beat <= SILENCE_S:
            found.append(pid)
    return sorted(found)


def _prepare(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(1, f"{folder} belongs to another user")


def _beat(file: Path) -> None:
    new = file.with_suffix(".new")
    new.write_text(repr(time.monotonic()))
    new.replace(file)


async def _keep_beating(file: Path) -> None:
    while True:
        await asyncio.sleep(_INTERVAL_S)
        with contextlib.suppress(OSError):  # a full disk: the next one may succeed
            _beat(file)
