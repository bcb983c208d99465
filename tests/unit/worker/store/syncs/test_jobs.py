"""The moves of a job: the owner of a sync moves it once, and no other job moves it at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.store_model.redis_contents import without_times
from tests.support.syncs.syncs import ENDED, MOVES, PAGE, STATES, Syncs, after
from worker.errors import LeaseLost
from worker.jobs.job_payloads import sync_payload
from worker.models.sync import JobKind, SyncState, job_kind
from worker.store import Checkpoint, LeaseGrant, StorePool, keys


async def score(pool: StorePool, key: str, member: str) -> float:
    found = await pool.zscore(key, member)
    assert found is not None
    return float(found)


async def refused(syncs: Syncs, name: str, lease: LeaseGrant) -> str:
    """Makes a move that must be refused, and leave no trace."""
    before = await syncs.dump()
    with pytest.raises(LeaseLost) as error:
        await MOVES[name][1](syncs, lease, "token")
    assert await syncs.dump() == before
    return str(error.value)


# Begin


async def test_a_job_that_begins_gets_all_that_it_needs(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    await syncs.jobs.store_lookup(lease, "found")
    await syncs.jobs.commit(lease, PAGE, "token", move="walk", payload=after(lease))

    begun = await syncs.begin()

    assert begun.lease == LeaseGrant("s1", SyncState.FETCHING, 2, begun.lease.holder)
    assert begun.checkpoint == replace(PAGE, seq=2)
    assert (begun.lookup, begun.request.space_id) == ("found", "s1")


async def test_the_first_job_finds_an_empty_checkpoint_and_starts_the_clock(syncs: Syncs) -> None:
    await syncs.create()
    assert (await syncs.get()).started_at is None
    assert (await syncs.begin()).checkpoint == Checkpoint()
    sync = await syncs.get()
    assert sync.state is SyncState.FETCHING
    assert sync.started_at is not None


async def test_an_epoch_is_begun_once(syncs: Syncs) -> None:
    await syncs.create()
    first = await syncs.begin()
    before = await syncs.dump()
    with pytest.raises(LeaseLost, match="fetching, epoch 1"):
        await syncs.begin()
    assert await syncs.dump() == before
    assert await syncs.jobs.begin("s1", 1, "walk", first.lease.holder) == first
    assert without_times(await syncs.dump()) == without_times(before)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", ["walk", "finalize"])
@pytest.mark.parametrize("later", [-1, 0, 1])
async def test_only_the_present_epoch_of_the_right_kind_is_begun(
    syncs: Syncs, state: SyncState, kind: JobKind, later: int
) -> None:
    await syncs.bring(state)
    if state in (SyncState.FETCHING, SyncState.FINALIZING):
        lease = LeaseGrant("s1", state, 1 if state is SyncState.FETCHING else 2, "")
        holder = await syncs.pool.hget(keys.sync("s1"), "holder")
        await syncs.jobs.hand_over(replace(lease, holder=holder.decode()), after(lease), "token")
    epoch = (await syncs.get()).epoch + later
    if later == 0 and state not in ENDED and job_kind(state) == kind:
        assert (await syncs.jobs.begin("s1", epoch, kind, "holder")).lease.epoch == epoch
        return
    before = await syncs.dump()
    with pytest.raises(LeaseLost):
        await syncs.jobs.begin("s1", epoch, kind, "holder")
    assert await syncs.dump() == before


async def test_a_sync_that_does_not_exist_is_not_begun(syncs: Syncs) -> None:
    with pytest.raises(LeaseLost, match="gone"):
        await syncs.jobs.begin("none", 1, "walk", "holder")
    assert await syncs.names() == set()


# Every move


@pytest.mark.parametrize("name", MOVES)
async def test_a_move_whose_answer_was_lost_is_made_once(syncs: Syncs, name: str) -> None:
    state, move = MOVES[name]
    lease = await syncs.lease(state)
    first = await move(syncs, lease, "token")
    before = await syncs.dump()
    assert await move(syncs, lease, "token") == first
    assert without_times(await syncs.dump()) == without_times(before)


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("wrong", ["epoch", "holder", "no holder", "sync"])
async def test_a_job_that_does_not_own_the_sync_writes_nothing(syncs: Syncs, name: str, wrong: str) -> None:
    lease = await syncs.lease(MOVES[name][0])
    changes: dict[str, object] = {
        "epoch": {"epoch": lease.epoch - 1},
        "holder": {"holder": "another"},
        "no holder": {"holder": ""},
        "sync": {"sync_id": "none"},
    }[wrong]
    message = await refused(syncs, name, replace(lease, **changes))
    assert ("gone" in message) is (wrong == "sync")


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("end", ENDED)
async def test_a_job_of_an_ended_sync_writes_nothing(syncs: Syncs, name: str, end: SyncState) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    match end:
        case SyncState.COMPLETED:
            await syncs.jobs.complete(lease, "end")
        case SyncState.FAILED:
            await MOVES["fail"][1](syncs, lease, "end")
        case _:
            await syncs.client.cancel("s1")
    assert end.value in await refused(syncs, name, lease)


@pytest.mark.parametrize("name", MOVES)
async def test_a_job_that_has_handed_over_writes_nothing(syncs: Syncs, name: str) -> None:
    lease = await syncs.lease(MOVES[name][0])
    await syncs.jobs.hand_over(lease, after(lease), "hand-over")
    await refused(syncs, name, lease)


@pytest.mark.parametrize("name", [name for name, (state, _) in MOVES.items() if state is SyncState.FINALIZING])
async def test_a_fetch_job_does_not_finalize(syncs: Syncs, name: str) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    await refused(syncs, name, replace(lease, state=SyncState.FINALIZING))


@pytest.mark.parametrize("name", ["commit", "commit and walk on", "commit and finalize"])
async def test_a_finalizer_does_not_commit_pages(syncs: Syncs, name: str) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await refused(syncs, name, lease)


# Commit


async def test_a_commit_writes_checkpoint_and_statistics_together(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    assert await syncs.jobs.commit(lease, PAGE, "token", note="waits") == replace(PAGE, seq=2)
    sync = await syncs.get()
    assert (sync.pages, sync.profiles, sync.complete, sync.aggregate) == (2, 400, True, b"statistics of 2")
    assert (sync.state, sync.epoch, sync.note, sync.fetched_at) == (SyncState.FETCHING, 1, "waits", None)


@pytest.mark.parametrize("seq", [0, 2, 9])
async def test_a_commit_that_does_not_follow_the_last_one_is_refused(syncs: Syncs, seq: int) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    before = await syncs.dump()
    with pytest.raises(LeaseLost):
        await syncs.jobs.commit(lease, replace(PAGE, seq=seq), "token")
    assert await syncs.dump() == before


async def test_a_commit_that_arrives_after_its_successor_is_refused(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    second = await syncs.jobs.commit(lease, PAGE, "first")
    await syncs.jobs.commit(lease, replace(second, pages=3), "second")
    before = await syncs.dump()
    with pytest.raises(LeaseLost):
        await syncs.jobs.commit(lease, PAGE, "first")
    assert await syncs.dump() == before


@pytest.mark.parametrize(("pages", "left"), [(1, b"2"), (2, b"0")])
async def test_only_progress_makes_earlier_revivals_forgotten(syncs: Syncs, pages: int, left: bytes) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    await syncs.pool.hset(keys.sync("s1"), "revivals", "2")
    await syncs.jobs.commit(lease, replace(PAGE, pages=pages), "token")
    assert await syncs.pool.hget(keys.sync("s1"), "revivals") == left


@pytest.mark.parametrize("delay_s", [0.0, 60.0])
async def test_a_hand_over_exchanges_the_job_and_wakes_a_worker_unless_it_waits(syncs: Syncs, delay_s: float) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    woken = await syncs.pool.llen(keys.WAKE)
    following = after(lease)
    await syncs.jobs.commit(lease, PAGE, "token", move="walk", payload=following, delay_s=delay_s)

    assert await syncs.pool.zrange(keys.QUEUE, 0, -1) == [b"s1:walk:2"]
    assert {name for name in await syncs.names() if name.startswith("arq:")} == {"arq:job:s1:walk:2"}
    assert await syncs.pool.get("arq:job:s1:walk:2") == following.job
    assert await syncs.pool.llen(keys.WAKE) - woken == (delay_s == 0)
    starts, due = await score(syncs.pool, keys.QUEUE, "s1:walk:2"), await score(syncs.pool, keys.DUE, "s1")
    seconds, _ = await syncs.pool.time()
    assert starts >= (seconds + delay_s - 60) * 1000
    assert due - starts == 3_600_000


@pytest.mark.parametrize("state", [SyncState.FETCHING, SyncState.FINALIZING])
async def test_a_hand_over_begins_a_new_epoch_of_the_same_state(syncs: Syncs, state: SyncState) -> None:
    lease = await syncs.lease(state)
    following = after(lease)
    await syncs.jobs.hand_over(lease, following, "token", delay_s=60, trouble_ms=7, note="waits")
    sync = await syncs.get()
    assert (sync.state, sync.epoch, sync.note) == (state, lease.epoch + 1, "waits")
    job_id = following.job_id
    assert await syncs.pool.zrange(keys.QUEUE, 0, -1) == [job_id.encode()]
    assert await score(syncs.pool, keys.DUE, "s1") - await score(syncs.pool, keys.QUEUE, job_id) == 3_600_000
    assert (await syncs.begin()).checkpoint.trouble_ms == 7


async def test_the_last_commit_of_a_fetch_job_moves_the_sync_on(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    await syncs.pool.hset(keys.sync("s1"), "revivals", "2")
    await syncs.jobs.commit(
        lease, replace(PAGE, pages=1), "token", move="finalize", payload=sync_payload("s1", "finalize", 2)
    )
    sync = await syncs.get()
    assert (sync.state, sync.epoch, sync.revivals) == (SyncState.FINALIZING, 2, 0)
    assert sync.fetched_at is not None
    assert await syncs.pool.zrange(keys.QUEUE, 0, -1) == [b"s1:finalize:2"]


async def test_a_commit_without_the_ticket_that_it_needs_is_a_mistake(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    with pytest.raises(ValueError, match="payload"):
        await syncs.jobs.commit(lease, PAGE, "token", move="walk")
    with pytest.raises(ValueError, match="payload"):
        await syncs.jobs.commit(lease, PAGE, "token", payload=after(lease))


# Signs of life


async def test_a_heartbeat_postpones_the_due_time_and_stores_the_note(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    await syncs.pool.zadd(keys.DUE, {"s1": 1})
    await syncs.jobs.heartbeat(lease, note="waits")
    assert (await syncs.get()).note == "waits"
    due = await score(syncs.pool, keys.DUE, "s1")
    seconds, _ = await syncs.pool.time()
    assert 3_500 < due / 1000 - seconds < 3_700
    await syncs.jobs.heartbeat(lease)
    assert (await syncs.get()).note == ""


async def test_at_most_a_hundred_wake_tokens_pile_up(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    await syncs.pool.lpush(keys.WAKE, *["1"] * 150)
    await syncs.jobs.hand_over(lease, after(lease), "token")
    assert await syncs.pool.llen(keys.WAKE) == 100
