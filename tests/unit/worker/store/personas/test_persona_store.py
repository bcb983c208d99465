"""Records of personas: they never expire, count once, and only the finalizer or a user replaces them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.store_model.redis_contents import without_times
from tests.support.syncs.persona_records import CREATED, RECORD, SENT, UNCHANGED, UPDATED
from tests.support.syncs.syncs import FAILURE, STATES, Syncs, after
from worker.errors import LeaseLost
from worker.models.sync import SyncState
from worker.store import LeaseGrant, keys


async def credits_of(syncs: Syncs, sync_id: str = "s1") -> int:
    return (await syncs.get(sync_id)).credits


# Records


async def test_a_record_ends_the_claim_and_stays_for_good(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.claim(lease, "reference", "a")
    await syncs.personas.record("reference", RECORD, CREATED)
    assert await syncs.personas.find_record("reference") == RECORD
    assert await syncs.personas.all_records() == {"reference": RECORD}
    assert await syncs.jobs.outcomes("s1") == (CREATED,)
    assert await syncs.pool.exists(keys.claim("account", "reference")) == 0
    assert await syncs.pool.pttl(keys.personas("account")) == -1


@pytest.mark.parametrize("state", STATES)
async def test_a_record_is_accepted_in_any_state(syncs: Syncs, state: SyncState) -> None:
    await syncs.bring(state)
    await syncs.personas.record("reference", RECORD, CREATED)
    before = without_times(await syncs.dump())
    await syncs.personas.record("reference", RECORD, CREATED)
    assert without_times(await syncs.dump()) == before
    sync = await syncs.get()
    assert (sync.state, sync.outcomes) == (state, (CREATED,))
    assert await credits_of(syncs) == 300


async def test_a_record_of_a_sync_that_is_no_longer_kept_leaves_no_other_trace(syncs: Syncs) -> None:
    await syncs.personas.record("reference", RECORD, CREATED)
    assert await syncs.names() == {keys.personas("account")}


async def test_a_persona_is_paid_for_once_by_whichever_job_records_it(syncs: Syncs) -> None:
    await syncs.bring(SyncState.FINALIZING)
    await syncs.personas.record("reference", RECORD, CREATED)
    await syncs.personas.record("reference", RECORD, replace(CREATED, ignored=()))
    await syncs.personas.record("reference", RECORD, UPDATED)
    await syncs.personas.record("reference", RECORD, CREATED)
    await syncs.personas.record("reference", RECORD, replace(CREATED, credits=301))
    await syncs.personas.record("reference", RECORD, CREATED)
    assert await credits_of(syncs) == 300
    second = replace(CREATED, cluster="growth", persona_id="per_2")
    await syncs.personas.record("another", replace(RECORD, persona_id="per_2"), second)
    assert await credits_of(syncs) == 600
    assert set(await syncs.jobs.outcomes("s1")) == {CREATED, second}


async def test_an_update_costs_nothing(syncs: Syncs) -> None:
    await syncs.bring(SyncState.FINALIZING)
    await syncs.personas.record("reference", RECORD, UPDATED)
    assert await credits_of(syncs) == 0
    assert await syncs.jobs.outcomes("s1") == (UPDATED,)


async def test_a_purchase_before_a_restart_is_not_paid_for_again_after_it(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.record("reference", RECORD, CREATED)
    await syncs.jobs.fail(lease, FAILURE, "end")
    failed = await syncs.get()
    await syncs.client.resume(failed, after(replace(lease, state=SyncState.FETCHING, epoch=failed.epoch)), restart=True)
    await syncs.personas.record("reference", RECORD, CREATED)
    assert await credits_of(syncs) == 300


async def test_an_outcome_from_statistics_of_before_a_restart_is_not_noted(syncs: Syncs) -> None:
    first = await syncs.lease(SyncState.FINALIZING)
    taken_back = 1.0  # Redis lost its last moments, and the sync has been fetched to its end once more
    for fetched_at, noted in ((taken_back, ()), (await fetched_at_of(syncs), (CREATED,))):
        await syncs.personas.claim(first, "reference", "a")
        await syncs.personas.record("reference", RECORD, CREATED, fetched_at=fetched_at)
        assert await syncs.personas.find_record("reference") == RECORD
        assert await syncs.jobs.outcomes("s1") == noted
        assert await credits_of(syncs) == 300


async def fetched_at_of(syncs: Syncs) -> float:
    fetched_at = (await syncs.get()).fetched_at
    assert fetched_at
    return fetched_at


async def test_a_new_outcome_is_progress(syncs: Syncs) -> None:
    await syncs.bring(SyncState.FINALIZING)
    for outcome, left in ((CREATED, b"0"), (CREATED, b"4")):
        await syncs.pool.hset(keys.sync("s1"), "revivals", "4")
        await syncs.personas.record("reference", RECORD, outcome)
        assert await syncs.pool.hget(keys.sync("s1"), "revivals") == left


async def test_only_the_very_record_is_forgotten(syncs: Syncs) -> None:
    await syncs.personas.record("reference", RECORD, CREATED)
    for other in (replace(RECORD, persona_id="per_2"), replace(RECORD, n=4), replace(RECORD, sync_id="s2")):
        await syncs.personas.delete_record("reference", other)
    await syncs.personas.delete_record("another", RECORD)
    assert await syncs.personas.find_record("reference") == RECORD
    await syncs.personas.delete_record("reference", RECORD)
    await syncs.personas.delete_record("reference", RECORD)
    assert await syncs.personas.find_record("reference") is None
    assert await syncs.personas.all_records() == {}


async def test_forgetting_says_whether_anything_was_forgotten(syncs: Syncs) -> None:
    await syncs.personas.record("reference", RECORD, CREATED)
    assert not await syncs.personas.delete_record("reference", replace(RECORD, n=4))
    assert await syncs.personas.delete_record("reference", RECORD)
    assert not await syncs.personas.delete_record("reference", RECORD)


async def test_a_record_is_read_as_it_was_written(syncs: Syncs) -> None:
    full = replace(RECORD, collection="accounts", rules="saas", complete=False, sent=SENT)
    await syncs.personas.record("reference", full, CREATED)
    assert await syncs.personas.find_record("reference") == full


async def test_a_record_of_an_earlier_version_is_read_replaced_and_forgotten(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    old = b'{"cluster":"new","n":3,"persona_id":"per_1","space_id":"space","sync_id":"s1"}'
    for name in ("replaced", "forgotten"):
        await syncs.pool.hset(keys.personas("account"), name, old)
    assert await syncs.personas.find_record("replaced") == RECORD
    assert (RECORD.sent, RECORD.complete) == (None, True)
    await syncs.personas.record_unsent(lease, "replaced", RECORD, replace(RECORD, n=4), UNCHANGED)
    assert await syncs.personas.delete_record("forgotten", RECORD)
    assert await syncs.personas.all_records() == {"replaced": replace(RECORD, n=4)}


# What is left as it is


async def test_what_is_left_is_noted_at_the_sync_and_seen_at_its_record(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.record("reference", replace(RECORD, sync_id="s0"), UPDATED)
    for _ in range(2):
        await syncs.personas.record_unsent(lease, "reference", replace(RECORD, sync_id="s0"), RECORD, UNCHANGED)
        assert await syncs.personas.find_record("reference") == RECORD
        assert await syncs.jobs.outcomes("s1") == (UNCHANGED,)
    assert await credits_of(syncs) == 0


async def test_a_record_that_another_sync_has_replaced_meanwhile_stays(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    newer = replace(RECORD, sync_id="s2", sent=SENT)
    await syncs.personas.record("reference", newer, UPDATED)
    await syncs.personas.record_unsent(lease, "reference", RECORD, replace(RECORD, n=4), UNCHANGED)
    await syncs.personas.record_unsent(lease, "reference", None, replace(RECORD, n=4), UNCHANGED)
    assert await syncs.personas.find_record("reference") == newer
    assert await syncs.jobs.outcomes("s1") == (UNCHANGED,)


async def test_a_persona_found_at_mavera_is_recorded_though_nothing_is_sent(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.record_unsent(lease, "reference", None, RECORD, UNCHANGED)
    assert await syncs.personas.find_record("reference") == RECORD


async def test_a_cluster_is_skipped_without_a_record_too(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.record_unsent(lease, "reference", None, None, UNCHANGED)
    assert await syncs.personas.all_records() == {}
    assert await syncs.jobs.outcomes("s1") == (UNCHANGED,)


async def test_only_the_finalizer_keeps_a_record_also_just_after_completion(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    before = await syncs.dump()
    for wrong in ({"epoch": 1}, {"holder": "another"}, {"sync_id": "none"}):
        with pytest.raises(LeaseLost):
            await syncs.personas.record_unsent(replace(lease, **wrong), "reference", None, RECORD, UNCHANGED)
    assert await syncs.dump() == before
    await syncs.jobs.complete(lease, "end")
    await syncs.pool.pexpire(keys.sync("s1"), 60_000)
    await syncs.personas.record_unsent(lease, "reference", None, RECORD, UNCHANGED)
    assert await syncs.jobs.outcomes("s1") == (UNCHANGED,)
    assert 0 < await syncs.pool.pttl(keys.outcomes("s1")) <= 60_000
    with pytest.raises(LeaseLost):
        await syncs.personas.record_unsent(replace(lease, epoch=lease.epoch - 1), "reference", None, RECORD, UNCHANGED)


@pytest.mark.parametrize("state", [SyncState.FAILED, SyncState.CANCELLED])
async def test_nothing_is_left_by_a_sync_that_ended_otherwise(syncs: Syncs, state: SyncState) -> None:
    await syncs.bring(state)
    lease = LeaseGrant("s1", SyncState.FINALIZING, (await syncs.get()).epoch - 1, "")
    with pytest.raises(LeaseLost):
        await syncs.personas.record_unsent(lease, "reference", None, RECORD, UNCHANGED)


# By hand


async def test_a_persona_is_adopted_once_and_ends_a_doubt(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.claim(lease, "reference", "a")
    assert await syncs.personas.adopt("reference", RECORD, "identity") == "ok"
    assert await syncs.personas.find_claim("reference") is None
    assert await syncs.personas.adopt("reference", RECORD, "identity") == "ok"
    assert await syncs.personas.adopt("reference", replace(RECORD, persona_id="per_2"), "identity") == "exists"
    assert await syncs.personas.all_records() == {"reference": RECORD}


async def test_adopt_and_rename_wait_for_running_syncs_of_the_identity(syncs: Syncs) -> None:
    await syncs.bring(SyncState.FETCHING)
    identity = (await syncs.get()).request.identity
    await syncs.personas.record("reference", replace(RECORD, sync_id="s0"), UPDATED)
    before = await syncs.dump()
    assert await syncs.personas.adopt("another", RECORD, identity) == "s1"
    assert await syncs.personas.rename("reference", "another", RECORD, RECORD, identity) == "s1"
    assert await syncs.dump() == before
    await syncs.client.cancel("s1")
    assert await syncs.personas.adopt("another", RECORD, identity) == "ok"


async def test_a_persona_moves_to_another_reference_once(syncs: Syncs) -> None:
    await syncs.personas.record("old", RECORD, CREATED)
    renamed = replace(RECORD, cluster="newer")
    for _ in range(2):
        assert await syncs.personas.rename("old", "new", RECORD, renamed, "identity") == "ok"
        assert await syncs.personas.all_records() == {"new": renamed}


async def test_the_first_half_of_a_move_alone_does_no_harm(syncs: Syncs) -> None:
    renamed = replace(RECORD, cluster="newer")
    await syncs.personas.record("old", RECORD, CREATED)
    await syncs.personas.record("new", renamed, CREATED)
    assert await syncs.personas.rename("old", "new", RECORD, renamed, "identity") == "ok"
    assert await syncs.personas.all_records() == {"new": renamed}


async def test_a_persona_does_not_move_where_another_is_or_may_be(syncs: Syncs) -> None:
    await syncs.personas.record("old", RECORD, CREATED)
    await syncs.personas.record("taken", replace(RECORD, persona_id="per_2"), CREATED)
    await syncs.personas.claim(await syncs.lease(SyncState.FINALIZING), "doubtful", "a")
    renamed = replace(RECORD, cluster="newer")
    before = await syncs.dump()
    assert await syncs.personas.rename("old", "taken", RECORD, renamed, "identity") == "exists"
    assert await syncs.personas.rename("old", "old", RECORD, RECORD, "identity") == "exists"
    assert await syncs.personas.rename("old", "doubtful", RECORD, renamed, "identity") == "doubt"
    assert await syncs.personas.rename("old", "new", replace(RECORD, n=9), renamed, "identity") == "changed"
    assert await syncs.personas.rename("none", "new", RECORD, renamed, "identity") == "changed"
    assert await syncs.dump() == before
