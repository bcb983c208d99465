"""Describes the content of a state directory, without starting its server."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from producer.state.directory import StateDirectory
from producer.state.server import StateServer, is_running
from producer.state.server_program import ServerProgram, find_server_program
from worker.errors import PersonasError
from worker.store import redis_pool
from worker.store.connection.pool import closing
from worker.store.transfer.copier import StateCounts, count_state

MAX_WAIT_S = 1.0


@dataclass(frozen=True)
class DirectoryOverview:
    """A state directory.

    Attributes:
        has_state: Whether anything was ever kept there.
        program: The server program that keeps it, or would; None if there is none.
        running: Whether the server runs.
        size_bytes: Size of its files.
        counts: What the server holds; None if it does not run.
    """

    has_state: bool
    program: ServerProgram | None
    running: bool
    size_bytes: int
    counts: StateCounts | None


async def read_overview(directory: StateDirectory, *, prefix: str) -> DirectoryOverview:
    """Reads what a directory holds. Nothing is started or created.

    Args:
        directory: The directory.
        prefix: The value of `REDIS_PREFIX`.
    """
    running = is_running(directory)
    counts = None
    if running:
        with contextlib.suppress(PersonasError):  # it has just stopped
            url = StateServer(directory).url
            async with closing(redis_pool(url, max_wait_s=MAX_WAIT_S, prefix=prefix)) as pool:
                counts = await count_state(pool)
    return DirectoryOverview(
        has_state=directory.has_state,
        program=find_server_program(directory),
        running=running,
        size_bytes=_size(directory),
        counts=counts,
    )


def _size(directory: StateDirectory) -> int:
    total = 0
    for path in directory.path.rglob("*"):
        with contextlib.suppress(OSError):  # it was replaced meanwhile
            total += path.lstat().st_size if path.is_file() else 0
    return total
