"""Scripts that learn about the Redis itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from worker.store.connection.pool import StorePool
from worker.store.keys import HashKey, ListKey, SortedSetKey, StringKey
from worker.store.typed_script.lua_script import Unchecked, lua_script


@dataclass(frozen=True)
class DeniedCommand:
    """A command that the user of the connection may not run on a key.

    Attributes:
        error: The message of Redis.
    """

    command: str
    key: str
    error: str


@dataclass(frozen=True)
class DeniedCommands:
    """All that is not allowed; empty if everything is."""

    word: ClassVar[str] = "ok"
    denied: tuple[DeniedCommand, ...]


@dataclass(frozen=True)
class SeenRun:
    """The time for which a run of Redis is known.

    Attributes:
        since_ms: Milliseconds since this run was first seen; -1: no other run was seen before it.
        mark: When it was first seen; empty for -1.
    """

    word: ClassVar[str] = "ok"
    since_ms: int
    mark: str


@lua_script("connection/probe")
async def probe(
    pool: StorePool,
    *,
    hash: Unchecked[HashKey],
    sorted_set: Unchecked[SortedSetKey],
    list: Unchecked[ListKey],
    text: Unchecked[StringKey],
    kinds: tuple[Unchecked[StringKey], ...],
) -> DeniedCommands:
    """Runs every command of the scripts on temporary keys, and reads and deletes a key of each kind."""


@lua_script("connection/note_restart")
async def note_restart(pool: StorePool, *, noted: HashKey, run_id: str, permanent: bool) -> SeenRun:
    """Notices that Redis was restarted."""
