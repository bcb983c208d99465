"""The contents of Redis as plain data, key by key, to compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worker.store import (
    StorePool,
    keys,
)

TIMES = ("created_at", "started_at", "fetched_at", "finished_at", "applied_at")


@dataclass(frozen=True)
class Key:
    """One key of Redis: its value as plain data, and whether it will expire."""

    value: Any
    expires: bool


async def read(pool: StorePool) -> dict[str, Key]:
    """The contents of Redis. Sorted sets as member → score, lists as they are; all in bytes."""
    names = sorted([key async for key in pool.scan_iter(count=1000)])
    async with pool.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.type(name)
            pipe.pttl(name)
        found = await pipe.execute()
    present = [
        (name, kind, left) for name, kind, left in zip(names, found[::2], found[1::2], strict=True) if left != -2
    ]
    async with pool.pipeline(transaction=False) as pipe:
        for name, kind, _ in present:
            match kind:
                case b"string":
                    pipe.get(name)
                case b"hash":
                    pipe.hgetall(name)
                case b"list":
                    pipe.lrange(name, 0, -1)
                case b"set":
                    pipe.smembers(name)
                case _:
                    pipe.zrange(name, 0, -1, withscores=True)
        values = await pipe.execute()
    return {
        name.decode(errors="backslashreplace"): Key(dict(value) if kind == b"zset" else value, left >= 0)
        for (name, kind, left), value in zip(present, values, strict=True)
    }


def without_times(found: dict[str, Key]) -> dict[str, Key]:
    """What `read` found, with True for each time that is not empty, and the mark of a suspect without its time."""
    result = {}
    for name, key in found.items():
        value = key.value
        if name.startswith("sp:sync:") and isinstance(value, dict):
            value = {field_: True if text and field_.decode() in TIMES else text for field_, text in value.items()}
            if mark := value.get(b"suspect"):
                value[b"suspect"] = mark.split()[0]
        elif name.startswith("sp:claim:"):
            value = {**value, b"at": True, b"settle_ms": b"0"}
        elif name in (keys.SYNCS, keys.DUE, keys.QUEUE, keys.later("")) or name.startswith("sp:active:"):
            value = dict.fromkeys(value, True)
        result[name] = Key(value, key.expires)
    return result
