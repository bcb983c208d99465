"""Reads a copy of a Redis' records, claims and history, and writes one into another Redis.

Both are done while no sync runs, as one transaction: a sync that starts meanwhile writes to the set of due times, which
is watched, so nothing is bought between the look and the write.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, WatchError
from redis.exceptions import TimeoutError as RedisTimeoutError

from worker.errors import StoreUnavailable, StoreUnusable
from worker.store import keys
from worker.store.connection.errors import to_store_error
from worker.store.connection.pool import StorePool
from worker.store.transfer.state_copy import Merge, Place, StateCopy, merge

_RECORDS, _CLAIMS, _HISTORIES = keys.personas(""), keys.claim("", "")[:-1], keys.history("")
_SCAN_COUNT = 1000
_ATTEMPTS = 10
"""Attempts to read while nothing changes. A Redis without running syncs changes only when a command changes it."""


class StateIsChanging(Exception):
    """Syncs run, or the state changes all the time, so it cannot be copied.

    Attributes:
        sync_ids: The syncs that run, at most ten of them.
    """

    def __init__(self, sync_ids: tuple[str, ...] = ()) -> None:
        super().__init__(*sync_ids)
        self.sync_ids = sync_ids


@dataclass(frozen=True)
class StateCounts:
    """The number of records, claims and syncs in a Redis.

    Attributes:
        personas: Records of personas.
        claims: Purchases in progress or in doubt.
        syncs: Syncs that can be listed.
        running: Syncs that run or were interrupted.
    """

    personas: int
    claims: int
    syncs: int
    running: int


@dataclass(frozen=True)
class _Found:
    """The keys of one kind each, without the prefix."""

    records: tuple[str, ...]
    claims: tuple[str, ...]
    histories: tuple[str, ...]


async def count_state(pool: StorePool) -> StateCounts:
    """Counts what `read_copy` copies, and syncs.

    Raises:
        StoreUnavailable, StoreUnusable: As of `StorePool`.
    """
    found = await _find_keys(pool)
    async with pool.pipeline(transaction=False) as pipe:
        pipe.zcard(keys.SYNCS)
        pipe.zrange(keys.DUE, 0, -1)
        for key in found.records:
            pipe.hlen(key)
        syncs, due, *personas = await pipe.execute()
    running = {entry.split(b" ")[0] for entry in due}
    return StateCounts(sum(personas), len(found.claims), syncs, len(running))


async def read_copy(pool: StorePool) -> StateCopy:
    """Reads all records, claims and histories, of every Mavera account.

    Raises:
        StateIsChanging: A sync runs.
        StoreUnusable: Redis may not be asked for its keys, or a value is not text.
    """
    for _ in range(_ATTEMPTS):
        async with _transaction(pool) as pipe:
            await _watch(pipe)
            found = await _find_keys(pool)
            # A claim that was recorded during the first look may have made a key that this look has passed by then.
            if found != await _find_keys(pool):
                continue
            copy = await _read(pipe, found)
            if copy is not None and len(copy.claims) == len(found.claims):
                return copy
    raise StateIsChanging


async def write_copy(pool: StorePool, copy: StateCopy, *, replace: bool = False, dry_run: bool = False) -> Merge:
    """Merges a copy into Redis. Nothing is written if a record differs, unless `replace` is set.

    A written record or claim counts as a new run of Redis (`PersonaStore.redis_run`), because a copy may lack what its
    source did later: purchases wait for the settle time.

    Args:
        pool: Client of the target.
        copy: The copy.
        replace: As of `merge`.
        dry_run: Whether to write nothing.

    Returns:
        What was written, or would be.

    Raises:
        StateIsChanging: A sync runs in the target.
    """
    accounts = sorted({account for account, _ in (*copy.records, *copy.claims)})
    found = _Found(
        tuple(map(keys.personas, accounts)),
        tuple(keys.claim(*place) for place in copy.claims),
        tuple(map(keys.history, copy.histories)),
    )
    for _ in range(_ATTEMPTS):
        async with _transaction(pool) as pipe:
            await _watch(pipe, *found.records, *found.claims, *found.histories)
            present = await _read(pool.pipeline(transaction=True), found)
            assert present is not None
            merged = merge(present, copy, replace=replace)
            if dry_run or (merged.conflicts and not replace) or not merged.changes:
                return merged
            _queue_writes(pipe, merged.changes)
            if merged.changes.records or merged.changes.claims:
                seconds, micros = await pool.time()
                now_ms = int(seconds) * 1000 + int(micros) // 1000
                pipe.hset(keys.RUN, mapping={"id": f"imported-{token_hex(4)}", "at": str(now_ms)})
            try:
                await pipe.execute()
            except WatchError:
                continue
            return merged
    raise StateIsChanging


@contextlib.asynccontextmanager
async def _transaction(pool: StorePool) -> AsyncIterator[Any]:
    """A pipeline that may watch keys; errors of Redis become those of the store."""
    try:
        async with pool.pipeline(transaction=True) as pipe:
            yield pipe
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise StoreUnavailable(
            f"The connection to Redis was lost ({type(error).__name__}); either everything was changed or nothing"
        ) from error
    except RedisError as error:
        raise to_store_error(error, ()) from error


async def _watch(pipe: Any, *watched: str) -> None:
    """Watches the set of due times, and `watched`. Raises StateIsChanging if a sync runs."""
    await pipe.watch(keys.DUE, *watched)
    due = await pipe.zrange(keys.DUE, 0, 99)
    if due:
        ids = dict.fromkeys(raw.decode(errors="replace").split(" ")[0] for raw in due)
        raise StateIsChanging(tuple(ids)[:10])
    pipe.multi()


async def _find_keys(pool: StorePool) -> _Found:
    found: dict[str, set[str]] = {_RECORDS: set(), _CLAIMS: set(), _HISTORIES: set()}
    pattern = re.sub(r"([\\*?\[\]^-])", r"\\\1", pool.prefix) + "sp:*"
    async for raw in pool.scan_iter(match=pattern, count=_SCAN_COUNT):
        key = raw.decode(errors="replace")[len(pool.prefix) :]
        for start, names in found.items():
            if key.startswith(start):
                names.add(key)
    return _Found(*(tuple(sorted(names)) for names in found.values()))


async def _read(pipe: Any, found: _Found) -> StateCopy | None:
    """Reads the values of keys in one transaction. None if a watched key has changed; empty keys are left out."""
    for key in (*found.records, *found.claims):
        pipe.hgetall(key)
    for key in found.histories:
        pipe.lrange(key, 0, -1)
    pipe.time()  # a transaction without commands would not be sent
    try:
        *values, _ = await pipe.execute()
    except WatchError:
        return None
    of_key = dict(zip((*found.records, *found.claims, *found.histories), values, strict=True))
    records: dict[Place, str] = {}
    for key in found.records:
        for reference, record in of_key[key].items():
            records[key.removeprefix(_RECORDS), _text(key, reference)] = _text(key, record)
    claims: dict[Place, dict[str, str]] = {}
    for key in found.claims:
        if of_key[key]:
            account, _, reference = key.removeprefix(_CLAIMS).partition(":")
            claims[account, reference] = {_text(key, name): _text(key, value) for name, value in of_key[key].items()}
    histories = {key.removeprefix(_HISTORIES): _texts(key, of_key[key]) for key in found.histories if of_key[key]}
    return StateCopy(records, claims, histories)


def _queue_writes(pipe: Any, changes: StateCopy) -> None:
    for (account, reference), record in changes.records.items():
        pipe.hset(keys.personas(account), reference, record)
    for place, claim in changes.claims.items():
        pipe.delete(keys.claim(*place))
        pipe.hset(keys.claim(*place), mapping=dict(claim))
    for identity, entries in changes.histories.items():
        pipe.delete(keys.history(identity))
        pipe.rpush(keys.history(identity), *entries)


def _texts(key: str, values: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(_text(key, value) for value in values)


def _text(key: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise StoreUnusable(f"{key}: a value is not UTF-8 text, so this program did not write it") from None
