"""Copies between Redis servers: exact, whatever the prefix, only while no sync runs, and a claim stays a claim."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.servers.redis_server import RedisServer
from tests.support.syncs.syncs import FAILURE, Syncs
from worker.errors import StoreUnusable
from worker.models.outcome import PersonaOutcome
from worker.models.sync import SyncState
from worker.store import PersonaRecord, StorePool, keys, redis_pool
from worker.store.connection.pool import closing
from worker.store.transfer.copier import StateIsChanging, count_state, read_copy, write_copy
from worker.store.transfer.state_copy import StateCopy

RECORD = PersonaRecord("per_1", "space", "new", "s1", n=3)
CREATED = PersonaOutcome("new", "per_1", "created", 300)


async def fill(pool: StorePool) -> Syncs:
    """A record, a claim in doubt of a failed sync, and a history."""
    syncs = Syncs(pool)
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.record("bought", RECORD, CREATED)
    await syncs.personas.claim(lease, "doubtful", "attempt", settle_s=60)
    await pool.rpush(keys.history("0" * 24), '{"sync_id":"s2","read_to":2}', '{"sync_id":"s1","read_to":1}')  # type: ignore[misc]
    await syncs.jobs.fail(lease, FAILURE, "token")
    return syncs


async def test_a_copy_arrives_exactly_under_any_prefix(session_redis: RedisServer, real_pool: StorePool) -> None:
    await fill(real_pool)
    copy = await read_copy(real_pool)
    assert (len(copy.records), len(copy.claims), len(copy.histories)) == (1, 1, 1)
    async with closing(redis_pool(session_redis.url, prefix="a*[b]?:", max_wait_s=5)) as target:
        assert not await read_copy(target)
        merged = await write_copy(target, copy)
        assert merged.changes == copy
        assert await read_copy(target) == copy
        assert not (await write_copy(target, copy)).changes
        counts = await count_state(target)
        assert (counts.personas, counts.claims, counts.syncs, counts.running) == (1, 1, 0, 0)
    assert await read_copy(real_pool) == copy


async def test_a_copied_claim_is_in_doubt_and_purchases_wait(pool: StorePool) -> None:
    copy = await read_copy((await fill(pool)).pool)
    await pool.flushall()
    await write_copy(pool, copy)
    syncs = Syncs(pool)
    held = await syncs.personas.claim(await syncs.lease(SyncState.FINALIZING), "doubtful", "another")
    assert held.kind == "held"
    assert held.claim is not None
    assert (held.claim.by, held.claim.settle_s) == ("attempt", 60)
    _, age_s = await syncs.personas.redis_run()
    assert age_s < 60  # nothing is bought before the settle time: the copy may lack a later purchase


async def test_nothing_is_copied_while_a_sync_runs(pool: StorePool) -> None:
    syncs = Syncs(pool)
    await syncs.lease(SyncState.FINALIZING)
    before = await syncs.dump()
    for attempt in (read_copy(pool), write_copy(pool, StateCopy({("live-0", "x"): "{}"}))):
        with pytest.raises(StateIsChanging) as caught:
            await attempt
        assert caught.value.sync_ids == ("s1",)
    assert await syncs.dump() == before


async def test_a_conflict_writes_nothing_until_it_is_to_be_replaced(pool: StorePool) -> None:
    syncs = await fill(pool)
    copy = await read_copy(pool)
    other = replace(RECORD, persona_id="per_2")
    await syncs.personas.record("bought", other, CREATED)
    before = await syncs.dump()
    assert len((await write_copy(pool, copy)).conflicts) == 1
    assert (await write_copy(pool, copy, replace=True, dry_run=True)).changes.records == copy.records
    assert await syncs.dump() == before
    await write_copy(pool, copy, replace=True)
    assert await syncs.personas.find_record("bought") == RECORD


async def test_a_value_that_is_not_text_is_named(pool: StorePool) -> None:
    await pool.hset(keys.personas("live-0"), "x", b"\xff")  # type: ignore[misc]
    with pytest.raises(StoreUnusable, match="sp:personas:live-0"):
        await read_copy(pool)
