"""Which commands the worker sends to Redis, and what for.

Redis' MONITOR shows each command with its connection, and marks those that a script runs. The worker's connections are
told apart by their name. A transaction is for what its first command is for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

import redis

from tests.bench.testbed import WORKER
from tests.support.project.lua_scripts import typed_scripts
from worker.store import keys
from worker.store.typed_script.lua_script import script_text

_END = "bench-end"
_READING = frozenset(
    {
        "sync/commit",
        "sync/heartbeat",
        "sync/commit_listing",
        "batch/begin",
        "batch/heartbeat",
        "batch/count",
        "batch/requeue",
    }
)
_WATCHING = frozenset({"watchdog/revive_sync", "watchdog/revive_batch", "watchdog/list_due", "watchdog/lock_watch"})
_HOUSEKEEPING = frozenset({keys.WATCH, keys.DUE, keys.WORKERS})
_FRAME = frozenset({"MULTI", "EXEC", "DISCARD"})


class Purpose(StrEnum):
    """What a command is for."""

    #: ours, with every page or so: a slot of the limiter, a checkpoint, a heartbeat; a batch
    READING = "reading"
    #: ours, a bounded number of times a sync: begin, look-up, claims, records, end
    SYNC = "sync"
    #: arq's own, for a job
    ARQ = "arq"
    #: looking for jobs, or waiting for one
    POLLING = "polling"
    #: watcher, signs of life, connections
    HOUSEKEEPING = "housekeeping"


@dataclass(frozen=True)
class Command:
    """One command as MONITOR shows it. client: address of the connection. words: the command and its arguments."""

    client: str
    words: tuple[str, ...]


def script_names() -> dict[str, str]:
    """SHA-1 → name of each of the store's scripts."""
    return {script_text(name, "", script.header)[1]: name for name, script in typed_scripts().items()}


def purpose(words: tuple[str, ...], names: dict[str, str]) -> Purpose:
    """What one command outside a transaction is for; names: as of `script_names`."""
    name, first = words[0].upper(), words[1] if len(words) > 1 else ""
    if name in {"EVALSHA", "EVAL"}:
        return _of_script(names.get(first, ""), words[3] if len(words) > 3 else "")
    if name == "BLPOP":
        return Purpose.POLLING
    if name == "INFO":
        return Purpose.SYNC  # asks with every purchase whether Redis was restarted
    if first in _HOUSEKEEPING or first.startswith(("sp:host:", f"{keys.WORKERS}:")):
        return Purpose.HOUSEKEEPING
    if first.startswith(("arq:", keys.QUEUE)):
        return Purpose.ARQ
    return Purpose.SYNC if first.startswith("sp:") else Purpose.HOUSEKEEPING


def _of_script(script: str, first_key: str) -> Purpose:
    if script == "queue/take_jobs":
        return Purpose.POLLING
    if script in _READING or (script == "ratelimit/reserve_slot" and first_key.startswith(keys.limit("segment:"))):
        return Purpose.READING
    return Purpose.HOUSEKEEPING if script in _WATCHING else Purpose.SYNC


def count(commands: Iterable[Command], names: dict[str, str]) -> Counter[Purpose]:
    """How many commands there are for each purpose, those that frame a transaction included."""
    counts: Counter[Purpose] = Counter()
    framed: dict[str, Purpose | None] = {}
    for command in commands:
        client, name = command.client, command.words[0].upper()
        if name == "MULTI":
            framed[client] = None
            continue
        if client not in framed:
            counts[purpose(command.words, names)] += 1
            continue
        found = framed[client] or purpose(command.words, names)
        if name in _FRAME:
            counts[found] += 2  # this one and its MULTI
            del framed[client]
        else:
            framed[client] = found
            counts[found] += 1
    return counts


@dataclass
class Traffic:
    """What was seen. sent: the worker's commands by purpose. executed: those and all that scripts ran."""

    sent: Counter[Purpose] = field(default_factory=Counter)
    executed: int = 0


@contextmanager
def watched(client: redis.Redis) -> Iterator[Traffic]:
    """Sees all traffic while the block runs; what it yields is filled at the end of the block."""
    traffic = Traffic()
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]
        yield traffic
        # Redis buffers what is not read yet, so that reading needs no thread.
        client.echo(_END)
        seen = list(_until_end(monitor))
    connections = cast(list[dict[str, str]], client.client_list())
    named = {connection["addr"]: connection["name"] for connection in connections}
    sent = [command for command, inside in seen if not inside and named.get(command.client) == WORKER]
    traffic.sent = count(sent, script_names())
    traffic.executed = sum(1 for command, inside in seen if inside or named.get(command.client) == WORKER)


def _until_end(monitor: redis.client.Monitor) -> Iterator[tuple[Command, bool]]:
    """The commands, and whether a script ran them; a script's address is that of no connection."""
    while True:
        entry = monitor.next_command()  # type: ignore[no-untyped-call]
        words = tuple(str(entry["command"]).split(" "))
        if words == ("ECHO", _END):
            return
        inside = entry["client_type"] == "lua"
        yield Command("script" if inside else f"{entry['client_address']}:{entry['client_port']}", words), inside
