"""Claims: one purchase at a time, and who holds the claim."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.syncs.persona_records import CREATED, RECORD
from tests.support.syncs.syncs import Syncs, after
from worker.errors import LeaseLost
from worker.models.sync import SyncState
from worker.store import Claim, ClaimAnswer, keys


async def test_the_first_to_claim_has_won_and_the_second_sees_who_did(syncs: Syncs) -> None:
    first, second = await syncs.lease(SyncState.FINALIZING, "s1"), await syncs.lease(SyncState.FINALIZING, "s2")
    assert await syncs.personas.claim(first, "reference", "a") == ClaimAnswer("won")
    before = await syncs.dump()
    answer = await syncs.personas.claim(second, "reference", "b")
    assert answer.kind == "held"
    assert answer.claim == Claim("a", "s1", answer.claim.age_s)
    assert 0 <= answer.claim.age_s < 60
    assert await syncs.dump() == before
    assert await syncs.personas.claim(second, "another", "b") == ClaimAnswer("won")


async def test_a_claim_whose_answer_was_lost_is_still_won_and_no_younger(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.claim(lease, "reference", "a")
    before = await syncs.dump()
    assert await syncs.personas.claim(lease, "reference", "a") == ClaimAnswer("won")
    assert await syncs.dump() == before


async def test_a_claim_outlives_its_sync_and_ages_by_the_clock_of_redis(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.claim(lease, "reference", "a")
    await syncs.jobs.hand_over(lease, after(lease), "token")
    await syncs.pool.hincrby(keys.claim("account", "reference"), "at", -25_000)
    answer = await syncs.personas.claim((await syncs.begin()).lease, "reference", "b")
    assert answer.claim is not None
    assert 25 <= answer.claim.age_s < 85
    await syncs.client.cancel("s1")
    assert await syncs.pool.pttl(keys.claim("account", "reference")) == -1


async def test_a_claim_can_be_looked_at(syncs: Syncs) -> None:
    assert await syncs.personas.find_claim("reference") is None
    await syncs.personas.claim(await syncs.lease(SyncState.FINALIZING), "reference", "a")
    await syncs.pool.hincrby(keys.claim("account", "reference"), "at", -25_000)
    claim = await syncs.personas.find_claim("reference")
    assert claim is not None
    assert (claim.by, claim.sync_id) == ("a", "s1")
    assert 25 <= claim.age_s < 85


async def test_a_claim_keeps_its_settle_time_and_an_old_claim_has_none(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.claim(lease, "reference", "a", settle_s=75)
    answer = await syncs.personas.claim(lease, "reference", "b", settle_s=25)
    assert answer.claim
    assert answer.claim.settle_s == 75
    await syncs.pool.hdel(keys.claim("account", "reference"), "settle_ms")
    answer = await syncs.personas.claim(lease, "reference", "b", settle_s=25)
    found = await syncs.personas.find_claim("reference")
    assert answer.claim
    assert found
    assert (answer.claim.settle_s, found.settle_s) == (0, 0)


async def test_what_is_recorded_is_not_claimed(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.record("reference", RECORD, CREATED)
    before = await syncs.dump()
    assert await syncs.personas.claim(lease, "reference", "a") == ClaimAnswer("recorded", record=RECORD)
    assert await syncs.dump() == before


@pytest.mark.parametrize("wrong", [{"epoch": 1}, {"holder": "another"}, {"sync_id": "none"}])
async def test_only_who_owns_a_finalizing_sync_may_claim(syncs: Syncs, wrong: dict[str, object]) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    before = await syncs.dump()
    with pytest.raises(LeaseLost):
        await syncs.personas.claim(replace(lease, **wrong), "reference", "a")
    assert await syncs.dump() == before


async def test_a_claim_is_released_by_its_holder_only(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.claim(lease, "reference", "a")
    before = await syncs.dump()
    assert not await syncs.personas.release_claim("reference", "b")
    assert not await syncs.personas.release_claim("another", "a")
    assert await syncs.dump() == before
    assert await syncs.personas.release_claim("reference", "a")
    assert not await syncs.personas.release_claim("reference", "a")
    assert await syncs.personas.claim(lease, "reference", "b") == ClaimAnswer("won")
