"""Records and claims: one purchase at a time, known for good, counted once."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest

from tests.support.syncs.model import without_times
from tests.support.syncs.syncs import FAILURE, STATES, Syncs, after
from worker.clusters.analysis.change_detection import PersonaFigures
from worker.errors import LeaseLost
from worker.models.outcome import PersonaOutcome
from worker.models.sync import SyncState
from worker.store import Claim, ClaimAnswer, LeaseGrant, PersonaRecord, PersonaStore, SentPersona, StorePool, keys
from worker.store.personas.account_name import account_name, former_account_name

RECORD = PersonaRecord("per_1", "space", "new", "s1", n=3)
CREATED = PersonaOutcome("new", "per_1", "created", 300, ("plans",))
UPDATED = PersonaOutcome("new", "per_1", "updated", 0)
UNCHANGED = PersonaOutcome("new", "per_1", "unchanged", 0)
SENT = SentPersona(
    "wording", PersonaFigures(0.1 + 0.2, {"ltv": 1 / 3, "churn_risk": None}, {"plans": {"pro": 0.5}}), at=1.5
)


@pytest.fixture
def syncs(pool: StorePool) -> Syncs:
    return Syncs(pool)


async def credits_of(syncs: Syncs, sync_id: str = "s1") -> int:
    return (await syncs.get(sync_id)).credits


# Claims


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


# Accounts


async def test_accounts_know_nothing_of_each_other(pool: StorePool) -> None:
    live = account_name("https://mavera.example/api", "mvra_live_1")
    test = account_name("https://mavera.example/api", "mvra_test_1")
    elsewhere = account_name("https://mavera.example/v2", "mvra_live_1")
    assert len({live, test, elsewhere}) == 3
    assert live == account_name("https://mavera.example/api", "mvra_live_2")
    await PersonaStore(pool, live).record("reference", RECORD, CREATED)
    assert await PersonaStore(pool, test).find_record("reference") is None
    assert await PersonaStore(pool, live).find_record("reference") == RECORD


@pytest.mark.parametrize(
    "spelling",
    [
        "https://MAVERA.example/api",
        "https://mavera.example:443/api",
        "https://mavera.example./api",
        "https://mavera.example//api/",
    ],
)
async def test_spellings_of_one_url_are_one_account(pool: StorePool, spelling: str) -> None:
    plain = "https://mavera.example/api"
    account = account_name(spelling, "mvra_live_1")
    former = former_account_name(spelling, "mvra_live_1")
    assert account == account_name(plain, "mvra_live_1")
    assert former_account_name(plain, "mvra_live_1") == ""
    # What an earlier version kept under the spelling is found, moved, and counts.
    earlier = PersonaStore(pool, former)
    await earlier.record("reference", RECORD, CREATED)
    await earlier.record("another", replace(RECORD, persona_id="per_2"), CREATED)
    lease = await Syncs(pool).lease(SyncState.FINALIZING)
    await earlier.claim(lease, "doubtful", "by")
    store = PersonaStore(pool, account, former)
    assert await store.find_record("reference") == RECORD
    assert await PersonaStore(pool, account).find_record("reference") == RECORD
    assert set(await store.all_records()) == {"reference", "another"}
    assert await earlier.all_records() == {}
    assert (await store.claim(lease, "another", "by")).kind == "recorded"
    held = await store.claim(lease, "doubtful", "other")
    assert held.claim
    assert held.claim.by == "by"
    await store.record("doubtful", replace(RECORD, persona_id="per_3"), CREATED)
    assert await store.find_claim("doubtful") is None
    await store.delete_record("doubtful", replace(RECORD, persona_id="per_3"))
    await earlier.claim(lease, "doubtful", "by")
    assert await store.release_claim("doubtful", "by")
    assert (await store.claim(lease, "doubtful", "other")).kind == "won"


def test_names_of_this_machine_are_one_and_other_parts_of_a_url_count() -> None:
    names = {account_name(f"http://{host}:8080/api", "k") for host in ("localhost", "127.0.0.1", "[::1]", "LOCALHOST")}
    assert len(names) == 1
    urls = ["http://m/api", "https://m/api", "https://m:8443/api", "https://m/API", "https://m/api/v1", "https://n/api"]
    assert len({account_name(url, "k") for url in urls}) == len(urls)


# The run of Redis


async def test_of_a_run_that_has_always_been_there_its_age_counts(syncs: Syncs) -> None:
    run, age_s = await syncs.pool.server_run()
    await syncs.pool.hset(keys.RUN, mapping={"id": run, "at": ""})
    for _ in range(2):
        seen, steady_s = await syncs.personas.redis_run()
        assert seen == run
        assert steady_s >= age_s


async def test_data_that_does_not_know_its_run_may_have_been_emptied(pool: StorePool) -> None:
    syncs = Syncs(pool)
    _, age_s = await pool.server_run()
    for _ in range(2):
        assert (await syncs.personas.redis_run())[1] == (age_s if age_s == math.inf else pytest.approx(0, abs=60))
    marked = await pool.hash_field(keys.RUN, "at")
    assert bool(marked) is (age_s != math.inf)


async def test_after_a_change_of_redis_the_time_since_then_counts(syncs: Syncs) -> None:
    await syncs.pool.hset(keys.RUN, mapping={"id": "an earlier run", "at": ""})
    run, steady_s = await syncs.personas.redis_run()
    assert steady_s == 0
    assert 0 <= (await syncs.personas.redis_run())[1] < 60
    _, age_s = await syncs.pool.server_run()
    await syncs.pool.hincrby(keys.RUN, "at", -100_000)
    assert (await syncs.personas.redis_run())[1] >= min(age_s, 100)
    await syncs.pool.hset(keys.RUN, "id", "another earlier run")
    again, steady_s = await syncs.personas.redis_run()
    assert (again.partition("@")[0], steady_s) == (run.partition("@")[0], 0)
    assert await syncs.pool.pttl(keys.RUN) == -1


async def test_a_clock_that_was_set_back_since_a_change_makes_nothing_older(syncs: Syncs) -> None:
    await syncs.pool.hset(keys.RUN, mapping={"id": "an earlier run", "at": ""})
    await syncs.personas.redis_run()
    await syncs.pool.hincrby(keys.RUN, "at", 3_600_000)
    assert (await syncs.personas.redis_run())[1] == 0


async def test_a_redis_that_was_emptied_is_another_run(real_pool: StorePool) -> None:
    syncs = Syncs(real_pool)
    before, _ = await syncs.personas.redis_run()
    assert (await syncs.personas.redis_run())[0] == before
    await asyncio.sleep(0.002)
    await real_pool.flushall()
    after, steady_s = await syncs.personas.redis_run()
    assert after != before
    assert steady_s == 0
