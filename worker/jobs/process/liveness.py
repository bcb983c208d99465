"""The worker as a process of its machine: its heartbeat file, and its garbage collector.

The event loop renews the heartbeat file, without Redis. A probe that asks Redis would report every worker as dead while
Redis is away, and an orchestrator would end workers that only wait. The file holds a time of the monotonic clock, which
all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

log = logging.getLogger("segment_personas.worker")

SILENCE_S = 30.0
"""After this many seconds without a heartbeat, a process counts as dead. A page takes far less of the event loop."""

GC_THRESHOLD = 20_000
"""The collector runs when so many more containers were allocated than freed since its last run.

Python's default is 700 or 2,000, depending on its version. A page of 200 profiles has 400 containers, and several pages
are in memory at a time.
"""

_INTERVAL_S = 2.0
_SUFFIX = ".alive"


def heartbeat_folder() -> Path:
    """Returns the directory of the heartbeat files of this user's worker processes."""
    return Path(tempfile.gettempdir()) / f"segment-personas-{os.getuid()}"


@contextlib.asynccontextmanager
async def heartbeat_file() -> AsyncIterator[None]:
    """Renews the heartbeat file of this process during the block. Logs a warning if the file cannot be written."""
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
    """Returns the ids of this user's worker processes on this machine that have a recent heartbeat, in order."""
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


def tune_garbage_collector() -> None:
    """Makes the cyclic garbage collector run rarely, and exclude the objects that exist now, such as modules.

    A page consists of tens of thousands of dictionaries, strings and numbers that never form a cycle, so reference
    counts free all of them. With its default threshold the collector would traverse each page dozens of times during
    parsing and free nothing. The few cycles of this program (tasks, exceptions with their frames) can wait. Only
    processes of this program are tuned, never one that imports it.
    """
    gc.collect()
    gc.freeze()
    _, *older = gc.get_threshold()
    gc.set_threshold(GC_THRESHOLD, *older)


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
