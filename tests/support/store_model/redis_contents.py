"""What Redis holds, and what it should hold by the model, as plain data that can be compared.

The model knows no clock: that something has a time, or a time to live, is compared; which, is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from tests.support.store_model.sync_model import TIMES
from worker.store import StorePool, keys

if TYPE_CHECKING:
    from tests.support.store_model.model import Model


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
        elif name.startswith("arq:in-progress:"):
            value = b"1"  # the token of the call that took it, and its place in the queue
        elif name in (keys.SYNCS, keys.DUE, keys.QUEUE, keys.later("")) or name.startswith("sp:active:"):
            value = dict.fromkeys(value, True)
        result[name] = Key(value, key.expires)
    return result


def expected_contents(model: Model) -> dict[str, Key]:
    """Every key that Redis should hold, with True instead of each time."""
    found: dict[str, Key] = {}
    for sync in model.syncs.values():
        ended = not sync.runs
        times = {name.encode(): True for name in sync.times}
        found[keys.sync(sync.id)] = Key({**sync.fields(), **times}, ended)
        if sync.outcomes:
            texts = {name.encode(): orjson.dumps(one.as_json()) for name, one in sync.outcomes.items()}
            found[keys.outcomes(sync.id)] = Key(texts, ended)
        if sync.asked:
            found[sync.asked] = Key(sync.id.encode(), ended)
    waiting = {job_id for job_id in model.later if ":finalize:" in job_id}
    times_of = {keys.SYNCS: model.syncs, keys.DUE: model.due, keys.QUEUE: model.queue, keys.later(""): waiting}
    for name, members in times_of.items():
        if members:
            found[name] = Key({member.encode(): True for member in members}, expires=False)
    for identity, ids in model.active.items():
        if ids:
            found[keys.active(identity)] = Key({sync_id.encode(): True for sync_id in ids}, expires=False)
    if model.history:
        entries = [snapshot.encode().encode() for snapshot in model.history]
        found[keys.history("identity")] = Key(entries, expires=False)
    if model.wake:
        found[keys.WAKE] = Key([b"1"] * model.wake, expires=False)
    found |= {f"arq:job:{job_id}": Key(job, expires=True) for job_id, job in model.jobs.items()}
    found |= {f"arq:in-progress:{job_id}": Key(b"1", expires=True) for job_id in model.in_progress}
    if model.personas.records:
        records = {reference.encode(): record.encode() for reference, record in model.personas.records.items()}
        found[keys.personas("account")] = Key(records, expires=False)
    for reference, (by, sync_id) in model.personas.claims.items():
        claim = {b"by": by.encode(), b"sync": sync_id.encode(), b"at": True, b"settle_ms": b"0"}
        found[keys.claim("account", reference)] = Key(claim, expires=False)
    return found
