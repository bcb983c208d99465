"""What must hold of an ended sync, whatever happened to it on the way."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable

import orjson
import pytest

from producer.sandbox import Sandbox
from tests.support.scenarios.expected_clusters import ExpectedClusters
from worker.clusters import Aggregate, summarise
from worker.mavera.reference import find_reference
from worker.models.sync import Sync, SyncState
from worker.store import StorePool

#: Keys that stand in Redis for good, or for as long as an ended sync is kept.
LASTING = (
    "sp:sync:",
    "sp:syncs",
    "sp:request:",
    "sp:limit:",
    "sp:dialect:",
    "sp:personas:",
    "sp:history:",
    "sp:run",
    "sp:schedule:",
    "sp:schedules",
    "sp:ticks",
    "sp:overdue",
    "sp:webhooks",
    "sp:alerts:",
    "sp:workers",
    "sp:clock",
    "sp:host:",
)
#: Keys of passing worth that end by themselves.
PASSING = ("sp:wake", "sp:watch")


def assert_exact(sync: Sync, expected: ExpectedClusters) -> None:
    """State completed, counts equal to `expected`, means to 1e-9 relative."""
    assert sync.state is SyncState.COMPLETED, sync.error
    assert sync.complete, sync
    aggregate = Aggregate.from_bytes(sync.aggregate)
    assert (aggregate.profiles, aggregate.profile_errors, aggregate.unclassified) == (
        expected.profiles,
        expected.profile_errors,
        expected.unclassified,
    )
    assert sync.profiles == expected.profiles
    assert +aggregate.trait_errors == +expected.trait_errors
    for summary in summarise(aggregate):
        assert summary.n == expected.sizes[summary.key], summary
        for trait, number in summary.numbers.items():
            assert number.coverage == expected.coverage.get((summary.key, trait), 0)
            mean = expected.mean(summary.key, trait)
            assert number.mean == (None if mean is None else pytest.approx(mean, rel=1e-9, abs=0))
        for trait, category in summary.categories.items():
            assert list(category.values) == expected.top(summary.key, trait)


def assert_one_persona_each(
    sandbox: Sandbox, sync: Sync, expected: ExpectedClusters, min_cluster_size: int = 3
) -> None:
    """Every large enough cluster has one persona at Mavera, and its id is the recorded one."""
    bought = {cluster for cluster, n in expected.sizes.items() if n >= min_cluster_size}
    assert {outcome.cluster for outcome in sync.outcomes} == bought
    at_mavera = {persona.id for persona in sandbox.personas}
    assert {outcome.persona_id for outcome in sync.outcomes} <= at_mavera, (sync.outcomes, at_mavera)


def assert_no_twins(sandbox: Sandbox) -> None:
    """No reference is in two personas."""
    found = [find_reference(str(persona.fields.get("description"))) for persona in sandbox.personas]
    references = Counter(str(reference) for reference in found if reference)
    twins = {text: n for text, n in references.items() if n > 1}
    assert twins == {}, twins


def same_statistics(ours: bytes, theirs: bytes) -> bool:
    """Whether encoded aggregates are equal but for digits that depend on the order of sums.

    These are the last digits of spreads, and of sums what is beyond the digits of a double.
    """
    return _same(orjson.loads(ours), orjson.loads(theirs))


def _same(ours: object, theirs: object, name: str = "") -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_same(ours[key], theirs[key], key) for key in ours)
    if name == "sum" and isinstance(ours, list) and isinstance(theirs, list):
        return math.fsum(ours) == pytest.approx(math.fsum(theirs), rel=1e-15)
    return bool(ours == (pytest.approx(theirs, rel=1e-12) if name == "squares" else theirs))


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Returns when `holds` is true; checks often, because nothing announces it. Only the test's own timeout ends it."""
    while not await holds():  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.05)


async def leftovers(pool: StorePool) -> list[str]:
    """Keys that should not be there once every sync has ended."""
    keys = sorted([key.decode(errors="replace") async for key in pool.scan_iter(count=1000)])
    return [key for key in keys if not key.startswith(LASTING + PASSING)]


async def contents(pool: StorePool) -> str:
    """The contents of Redis, keys and values, as one text."""
    readers = {
        b"string": pool.get,
        b"hash": pool.hgetall,
        b"list": lambda key: pool.lrange(key, 0, -1),
        b"zset": lambda key: pool.zrange(key, 0, -1, withscores=True),
    }
    found = []
    async for key in pool.scan_iter(count=1000):
        kind = await pool.type(key)
        if kind != b"none":
            found.append(f"{key!r} {await readers[kind](key)!r}")  # type: ignore[operator, misc]
    return "\n".join(found)
