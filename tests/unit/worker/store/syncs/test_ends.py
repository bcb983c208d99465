"""How a sync ends and begins again: complete, fail, cancel, resume; and what is kept of it for how long."""

from __future__ import annotations

import pytest

from tests.support.store_model.redis_contents import without_times
from tests.support.syncs.syncs import ENDED, FAILURE, REQUEST, RETENTION_MS, STATES, UNDER_WAY, Syncs, after
from worker.errors import LeaseLost
from worker.jobs.job_payloads import sync_payload
from worker.models.outcome import PersonaOutcome
from worker.models.sync import SyncState, job_kind
from worker.store import Checkpoint, PersonaRecord, StorePool, keys

OUTCOME = PersonaOutcome("new", "per_1", "created", 300)


async def buy(syncs: Syncs, sync_id: str = "s1", persona_id: str = "per_1") -> None:
    """Records a purchase of the sync."""
    outcome = PersonaOutcome("new", persona_id, "created", 300)
    await syncs.personas.record("reference", PersonaRecord(persona_id, "space", "new", sync_id, n=3), outcome)


async def credits_of(syncs: Syncs) -> int:
    sync = await syncs.client.get("s1")
    assert sync
    return sync.credits


# The end


@pytest.mark.parametrize("state", ENDED)
async def test_an_ended_sync_leaves_nothing_but_what_is_kept_for_a_while(syncs: Syncs, state: SyncState) -> None:
    await syncs.create("s1", REQUEST.model_copy(update={"space_id": "s1"}), idempotency_key="mine")
    await syncs.jobs.commit(
        (await syncs.begin()).lease,
        Checkpoint(pages=1, aggregate=b"1"),
        "token",
        move="finalize",
        payload=sync_payload("s1", "finalize", 2),
    )
    lease = (await syncs.begin()).lease
    assert len((await syncs.queue.take_jobs(1, 60)).jobs) == 1
    await syncs.pool.set("arq:retry:s1:finalize:2", "1")
    await buy(syncs)
    match state:
        case SyncState.COMPLETED:
            await syncs.jobs.complete(lease, "end")
        case SyncState.FAILED:
            await syncs.jobs.fail(lease, FAILURE, "end")
        case _:
            await syncs.client.cancel("s1")

    found = await syncs.dump()
    kept = {keys.sync("s1"), keys.outcomes("s1"), keys.request("mine")}
    for_good = {keys.SYNCS, keys.personas("account")}
    assert set(found) == kept | for_good | {keys.WAKE}
    assert {name for name, key in found.items() if key.expires} == kept
    left = {name: await syncs.pool.pttl(name) for name in kept}
    assert all(0 < ms <= RETENTION_MS for ms in left.values())
    sync = await syncs.get()
    assert (sync.state, sync.epoch, sync.note) == (state, 3, "")
    assert sync.finished_at is not None
    assert sync.outcomes == (OUTCOME,)


async def test_a_failed_sync_says_why_and_where(syncs: Syncs) -> None:
    await syncs.bring(SyncState.FAILED, failed_in=SyncState.FINALIZING)
    sync = await syncs.get()
    assert (sync.error, sync.failed_in) == (FAILURE, SyncState.FINALIZING)


@pytest.mark.parametrize(("retention_ms", "least", "most"), [(0, -1, 1), (10**40, 10**12, 10**13)])
async def test_an_odd_retention_cannot_make_a_script_fail_half_way(
    pool: StorePool, retention_ms: int, least: int, most: int
) -> None:
    syncs = Syncs(pool, retention_ms=retention_ms)
    await syncs.bring(SyncState.FINALIZING)
    await syncs.client.cancel("s1")
    assert await pool.zcard(keys.DUE) == await pool.zcard(keys.QUEUE) == 0
    left = await pool.pttl(keys.sync("s1"))
    assert left == -2 or least < left <= most


async def test_the_key_of_the_outcomes_is_not_a_sync(syncs: Syncs, pool: StorePool) -> None:
    await syncs.bring(SyncState.FINALIZING)
    await pool.hset(keys.outcomes("s1"), "growth", b"{}")
    assert await syncs.client.get("s1:outcomes") is None
    assert await syncs.client.cancel("s1:outcomes") is None


# Cancel


@pytest.mark.parametrize("state", STATES)
async def test_cancel_stops_what_runs_and_leaves_the_rest(syncs: Syncs, state: SyncState) -> None:
    await syncs.bring(state)
    before = await syncs.dump()
    now = await syncs.client.cancel("s1")
    if state in ENDED:
        assert now is state
        assert await syncs.dump() == before
    else:
        assert now is SyncState.CANCELLED
        assert (await syncs.get()).state is SyncState.CANCELLED
        assert await syncs.pool.zrange(keys.QUEUE, 0, -1) == []
        again = await syncs.dump()
        assert await syncs.client.cancel("s1") is SyncState.CANCELLED
        assert await syncs.dump() == again


async def test_cancel_of_what_is_not_known_says_so(syncs: Syncs) -> None:
    assert await syncs.client.cancel("none") is None
    assert await syncs.names() == set()


async def test_cancel_of_a_forced_sync_leaves_the_other_one_alone(syncs: Syncs) -> None:
    await syncs.create("s1")
    await syncs.create("s2", force=True)
    await syncs.client.cancel("s1")
    assert await syncs.pool.zrange(keys.active(REQUEST.identity), 0, -1) == [b"s2"]
    assert await syncs.pool.zrange(keys.DUE, 0, -1) == [b"s2"]
    assert await syncs.pool.zrange(keys.QUEUE, 0, -1) == [b"s2:walk:1"]


# Resume


@pytest.mark.parametrize("failed_in", [SyncState.FETCHING, SyncState.FINALIZING])
async def test_resume_continues_where_the_sync_failed(syncs: Syncs, failed_in: SyncState) -> None:
    await syncs.bring(SyncState.FAILED, failed_in=failed_in)
    failed = await syncs.get()
    following = sync_payload("s1", job_kind(failed_in), failed.epoch + 1)

    assert await syncs.client.resume(failed, following) == "ok"

    sync = await syncs.get()
    assert (sync.state, sync.epoch, sync.error, sync.failed_in) == (failed_in, failed.epoch + 1, None, None)
    assert (sync.pages, sync.aggregate, sync.finished_at) == (1, b"statistics of 1", None)
    assert (sync.started_at, sync.fetched_at) == (failed.started_at, failed.fetched_at)
    found = await syncs.dump()
    assert {name for name, key in found.items() if key.expires} == {f"arq:job:{following.job_id}"}
    begun = await syncs.begin()
    assert (begun.lookup, begun.checkpoint.trouble_ms) == ("", 0)
    assert begun.checkpoint.cursor == "c1"


async def test_resume_of_a_sync_that_never_began_queues_it_again(syncs: Syncs) -> None:
    await syncs.create()
    await syncs.pool.zadd(keys.DUE, {"s1": 1})
    await syncs.queue.drop_job(b"s1:walk:1")
    following = sync_payload("s1", "walk", 2)
    assert (
        await syncs.watchdog.revive_sync("s1", SyncState.QUEUED, 1, following, max_revivals=0, message="lost")
        == "failed"
    )
    assert await syncs.client.resume(await syncs.get(), sync_payload("s1", "walk", 3)) == "ok"
    assert (await syncs.get()).state is SyncState.QUEUED
    assert (await syncs.begin()).lease.state is SyncState.FETCHING


async def test_restart_reads_again_with_fresh_sums_and_keeps_what_was_paid(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await buy(syncs)
    await syncs.jobs.store_lookup(lease, "found")
    await syncs.jobs.hand_over(lease, after(lease), "token", trouble_ms=9)
    await syncs.jobs.fail((await syncs.begin()).lease, FAILURE, "end")
    failed = await syncs.get()

    assert await syncs.client.resume(failed, sync_payload("s1", "walk", failed.epoch + 1), restart=True) == "ok"

    sync = await syncs.get()
    assert (sync.state, sync.pages, sync.profiles, sync.complete) == (SyncState.FETCHING, 0, 0, False)
    assert (sync.aggregate, sync.outcomes, sync.fetched_at) == (b"", (), None)
    begun = await syncs.begin()
    assert await credits_of(syncs) == 300
    at = begun.checkpoint
    assert (at.cursor, at.guard, at.trouble_ms, begun.lookup) == ("", "", 0, "")


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("state", STATES)
async def test_only_a_failed_sync_is_resumed_and_only_once(syncs: Syncs, state: SyncState, restart: bool) -> None:
    await syncs.bring(state)
    seen = await syncs.get()
    before = await syncs.dump()
    following = sync_payload("s1", "walk", seen.epoch + 1)
    answer = await syncs.client.resume(seen, following, restart=restart)
    assert answer == ("ok" if state is SyncState.FAILED else "changed")
    if state is not SyncState.FAILED:
        assert await syncs.dump() == before
    before = await syncs.dump()
    assert await syncs.client.resume(seen, following, restart=restart) == "changed"
    assert await syncs.dump() == before


async def test_a_resume_from_an_earlier_failure_is_refused(syncs: Syncs) -> None:
    await syncs.bring(SyncState.FAILED)
    seen = await syncs.get()
    await syncs.client.resume(seen, sync_payload("s1", "walk", seen.epoch + 1))
    await syncs.jobs.fail((await syncs.begin()).lease, FAILURE, "again")
    before = await syncs.dump()
    assert await syncs.client.resume(seen, sync_payload("s1", "walk", seen.epoch + 1)) == "changed"
    assert await syncs.dump() == before


async def test_a_sync_that_is_no_longer_kept_is_gone(syncs: Syncs) -> None:
    await syncs.bring(SyncState.FAILED)
    seen = await syncs.get()
    await syncs.pool.flushall()
    assert await syncs.client.resume(seen, sync_payload("s1", "walk", 9)) == "gone"
    assert await syncs.names() == set()


@pytest.mark.parametrize("other", UNDER_WAY)
async def test_resume_waits_for_another_sync_of_the_same_space(syncs: Syncs, other: SyncState) -> None:
    await syncs.bring(SyncState.FAILED)
    failed = await syncs.get()
    await syncs.create("s2", failed.request)
    if other is not SyncState.QUEUED:
        lease = (await syncs.begin("s2")).lease
        if other is SyncState.FINALIZING:
            following = sync_payload("s2", "finalize", 2)
            await syncs.jobs.commit(lease, Checkpoint(), "token", move="finalize", payload=following)
    before = await syncs.dump()
    following = sync_payload("s1", "walk", failed.epoch + 1)
    assert await syncs.client.resume(failed, following) == "s2"
    assert await syncs.dump() == before
    await syncs.client.cancel("s2")
    assert await syncs.client.resume(failed, following) == "ok"


async def test_a_failure_sent_again_after_the_resume_does_not_fail_it_again(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    await syncs.jobs.fail(lease, FAILURE, "end")
    failed = await syncs.get()
    await syncs.client.resume(failed, sync_payload("s1", "walk", failed.epoch + 1))
    before = await syncs.dump()
    await syncs.jobs.fail(lease, FAILURE, "end")
    assert await syncs.dump() == before
    lease = (await syncs.begin()).lease
    await syncs.jobs.hand_over(lease, after(lease), "later")
    with pytest.raises(LeaseLost):
        await syncs.jobs.fail(lease, FAILURE, "end")


async def test_a_record_from_before_a_restart_is_not_an_outcome_after_it(syncs: Syncs) -> None:
    await syncs.bring(SyncState.FAILED, failed_in=SyncState.FINALIZING)
    failed = await syncs.get()
    await syncs.client.resume(failed, sync_payload("s1", "walk", failed.epoch + 1), restart=True)
    begun = await syncs.begin()
    await buy(syncs)  # by a job that slept through the restart
    following = sync_payload("s1", "finalize", begun.lease.epoch + 1)
    await syncs.jobs.commit(begun.lease, begun.checkpoint, "token", move="finalize", payload=following)
    assert (await syncs.get()).outcomes == ()
    assert await credits_of(syncs) == 300
    assert await syncs.personas.find_record("reference") is not None


@pytest.mark.parametrize("state", STATES)
async def test_a_late_record_of_an_ended_sync_is_kept_no_longer_than_the_sync(syncs: Syncs, state: SyncState) -> None:
    await syncs.bring(state)
    await buy(syncs)
    assert (await syncs.get()).outcomes == (OUTCOME,)
    assert await credits_of(syncs) == 300
    found = without_times(await syncs.dump())
    assert found[keys.outcomes("s1")].expires is (state in ENDED)
    assert not found[keys.personas("account")].expires
