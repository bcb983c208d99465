"""The watcher's moves: a sync that fell silent gets its next job, or its reason, once, however many look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from tests.support.store_model.redis_contents import without_times
from tests.support.syncs.schedules import LATER, NIGHTLY, Schedules
from tests.support.syncs.syncs import ENDED, FAILURE, PAGE, REQUEST, UNDER_WAY, Syncs, after
from worker.jobs.job_payloads import sync_payload
from worker.models.outcome import SyncFailure
from worker.models.sync import SyncState, job_kind
from worker.store import StorePool, keys
from worker.store.keys import DUE, QUEUE, WATCH
from worker.store.progress.sync_progress import new_token
from worker.store.schedules.alert_store import AlertStore
from worker.store.scripts.watchdog import Duty


async def silence(syncs: Syncs, sync_id: str = "s1") -> None:
    """Its time is over, without a heartbeat."""
    await syncs.pool.zadd(DUE, {sync_id: 1})


async def revive(syncs: Syncs, *, most: int = 5, sync_id: str = "s1") -> str:
    """What a watcher does that looks now."""
    sync = await syncs.get(sync_id)
    following = sync_payload(sync_id, job_kind(sync.state), sync.epoch + 1)
    return await syncs.watchdog.revive_sync(
        sync_id, sync.state, sync.epoch, following, max_revivals=most, message="Lost."
    )


async def test_one_watchdog_looks_at_a_time(syncs: Syncs) -> None:
    answers = await asyncio.gather(*(syncs.watchdog.lock_watch(60) for _ in range(50)))
    assert len([answer for answer in answers if answer is not None]) == 1
    assert 0 < await syncs.pool.pttl(WATCH) <= 60_000
    await syncs.pool.delete(WATCH)
    assert await syncs.watchdog.lock_watch(0) is not None


async def duties(syncs: Syncs) -> Sequence[Duty]:
    """What a look finds to do."""
    await syncs.pool.delete(WATCH)
    found = await syncs.watchdog.lock_watch(1)
    assert found is not None
    return found


async def test_a_look_names_the_duties_that_have_something_to_do(syncs: Syncs) -> None:
    await syncs.create()  # its job waits, and it is due later
    schedules = Schedules(syncs.pool)
    await schedules.client.add(NIGHTLY)
    assert await duties(syncs) == []
    await silence(syncs)
    assert await duties(syncs) == [Duty.SILENT]
    await schedules.come_due()
    assert await duties(syncs) == [Duty.SILENT, Duty.TICKS]
    await syncs.pool.zadd(keys.OVERDUE, {NIGHTLY.id: 1})
    await syncs.pool.rpush(keys.INBOX, "{}")
    assert await duties(syncs) == [*Duty]


async def test_after_the_clock_was_set_back_a_look_names_what_lies_ahead(syncs: Syncs) -> None:
    schedules, alerts = Schedules(syncs.pool), AlertStore(syncs.pool)
    await schedules.client.add(NIGHTLY)
    await syncs.pool.zadd(keys.OVERDUE, {NIGHTLY.id: LATER * 1000})
    assert await duties(syncs) == []
    for name in (keys.TICKS, keys.OVERDUE):
        await syncs.pool.hset(keys.CLOCK, name, f"{LATER * 1000:.0f}")
    for _ in range(2):  # as long as the duties have not looked
        assert await duties(syncs) == [Duty.TICKS, Duty.ALERTS]
    for look in (schedules.ticks.due, alerts.due):
        _, entries = await look()
        assert len(entries) == 1


async def test_a_look_leaves_keys_of_another_type_to_the_duties(syncs: Syncs) -> None:
    for name in (DUE, keys.TICKS, keys.OVERDUE, keys.INBOX):
        await syncs.pool.set(name, "1")
    assert await duties(syncs) == [*Duty]


async def test_only_silent_syncs_are_due(syncs: Syncs) -> None:
    for number, state in enumerate(UNDER_WAY):
        await syncs.bring(state, f"s{number}")
    assert await syncs.watchdog.due() == []
    for number in range(len(UNDER_WAY)):
        await silence(syncs, f"s{number}")
    await syncs.pool.delete(QUEUE)
    silent = [("s0", SyncState.QUEUED, 1), ("s1", SyncState.FETCHING, 1), ("s2", SyncState.FINALIZING, 2)]
    for page in (200, 3, 2, 1):
        assert await syncs.watchdog.due(page) == silent


async def test_a_sync_that_is_no_longer_known_is_due_until_it_is_forgotten(syncs: Syncs) -> None:
    await silence(syncs, "gone")
    assert await syncs.watchdog.due() == [("gone", None, 0)]
    await syncs.watchdog.unwatch("gone")
    assert await syncs.watchdog.due() == []


async def test_what_cannot_be_a_sync_does_not_keep_others_from_being_watched(syncs: Syncs) -> None:
    await syncs.bring(SyncState.FETCHING)
    await silence(syncs)
    await syncs.pool.zadd(DUE, {b"\xff\xfe": 0, "list": 0, "odd": 0, "text": 0})
    await syncs.pool.rpush(keys.sync("list"), "1")
    await syncs.pool.hset(keys.sync("odd"), "state", "no state")
    await syncs.pool.hset(keys.sync("text"), mapping={"state": "fetching", "epoch": "one"})
    assert await syncs.watchdog.due() == [("s1", SyncState.FETCHING, 1)]
    assert await syncs.pool.zrange(DUE, 0, -1) == [b"s1"]


async def take_and_die(syncs: Syncs) -> None:
    await syncs.queue.take_jobs(1, 60)


async def lose_the_data(syncs: Syncs) -> None:
    await syncs.pool.delete("arq:job:s1:walk:1")


async def change_the_data(syncs: Syncs) -> None:
    await lose_the_data(syncs)
    await syncs.pool.rpush("arq:job:s1:walk:1", "1")


async def lose_the_entry(syncs: Syncs) -> None:
    await syncs.pool.zrem(QUEUE, "s1:walk:1")


async def begin_and_die(syncs: Syncs) -> None:
    await syncs.begin()


@pytest.mark.parametrize(
    "fate",
    [take_and_die, lose_the_data, change_the_data, lose_the_entry, begin_and_die],
    ids=lambda fate: fate.__name__,
)
async def test_a_sync_whose_job_is_lost_gets_the_next_one(
    syncs: Syncs, fate: Callable[[Syncs], Awaitable[None]]
) -> None:
    await syncs.create()
    await fate(syncs)
    assert await revive(syncs) == "early"
    await silence(syncs)
    assert await revive(syncs) == "revived"

    sync = await syncs.get()
    assert (sync.epoch, sync.revivals) == (2, 1)
    assert {name for name in await syncs.names() if name.startswith("arq:")} == {"arq:job:s1:walk:2"}
    assert await syncs.pool.zrange(QUEUE, 0, -1) == [b"s1:walk:2"]
    assert [job.job_id for job in (await syncs.queue.take_jobs(5, 60)).jobs] == [b"s1:walk:2"]
    assert (await syncs.begin()).lease.epoch == 2


@pytest.mark.parametrize("kind", ["walk", "finalize"])
async def test_a_job_taken_after_a_long_wait_is_not_lost(syncs: Syncs, kind: str) -> None:
    if kind == "walk":
        await syncs.create()
    else:
        lease = await syncs.lease(SyncState.FETCHING)
        following = sync_payload("s1", kind, lease.epoch + 1)
        await syncs.jobs.commit(lease, replace(PAGE, seq=1), new_token(), move=kind, payload=following)
    await silence(syncs)
    assert len((await syncs.queue.take_jobs(1, 60)).jobs) == 1
    assert await syncs.watchdog.due() == []
    assert await revive(syncs) == "early"
    assert (await syncs.get()).revivals == 0
    await silence(syncs)
    assert await revive(syncs) == "revived"


async def look_after_an_outage(syncs: Syncs, outage_s: float, *, has_looked: bool = True) -> Sequence[Duty]:
    """A look for which the one before is `outage_s` ago; the sync fell silent in between, a second ago."""
    seconds, _ = await syncs.pool.time()
    await syncs.pool.hset(keys.CLOCK, DUE, f"{(int(seconds) - outage_s) * 1000:.0f}")  # type: ignore[misc]
    await syncs.pool.zadd(DUE, {"s1": (int(seconds) - 1) * 1000})
    await syncs.pool.delete(WATCH)
    found = await syncs.watchdog.lock_watch(0.5, has_looked=has_looked)
    assert found is not None
    return found


@pytest.fixture
def default_syncs(pool: StorePool) -> Syncs:
    """Syncs with the default of `STALL_S`."""
    return Syncs(pool, stall_ms=15_000)


async def test_after_an_outage_a_living_job_has_time_for_a_heartbeat(default_syncs: Syncs) -> None:
    syncs = default_syncs
    lease = await syncs.lease(SyncState.FETCHING)
    assert await look_after_an_outage(syncs, 60) == []
    assert await syncs.watchdog.due() == []
    assert await revive(syncs) == "early"
    seconds, _ = await syncs.pool.time()
    due_s = float(await syncs.pool.zscore(DUE, "s1") or 0) / 1000
    assert 6 < due_s - int(seconds) < 10
    await syncs.jobs.heartbeat(lease)
    assert await revive(syncs) == "early"
    assert (await syncs.get()).revivals == 0


async def test_a_job_that_was_lost_before_an_outage_is_revived_at_once(default_syncs: Syncs) -> None:
    syncs = default_syncs
    await syncs.bring(SyncState.FETCHING, "s2")
    await silence(syncs, "s2")
    await syncs.bring(SyncState.FETCHING)
    assert await look_after_an_outage(syncs, 60) == [Duty.SILENT]
    assert await syncs.watchdog.due() == [("s2", SyncState.FETCHING, 1)]


@pytest.mark.parametrize(("outage_s", "has_looked"), [(60, False), (3, True)], ids=["no worker before", "a short time"])
async def test_what_falls_silent_is_lost_if_heartbeats_could_come(
    default_syncs: Syncs, outage_s: float, has_looked: bool
) -> None:
    await default_syncs.bring(SyncState.FETCHING)
    assert await look_after_an_outage(default_syncs, outage_s, has_looked=has_looked) == [Duty.SILENT]
    assert await revive(default_syncs) == "revived"


async def test_a_lost_job_is_found_although_every_look_comes_late(default_syncs: Syncs) -> None:
    await default_syncs.bring(SyncState.FETCHING)
    assert await look_after_an_outage(default_syncs, 8) == []
    assert await look_after_an_outage(default_syncs, 8) == [Duty.SILENT]
    seconds, _ = await default_syncs.pool.time()
    await default_syncs.pool.hset(keys.CLOCK, "spared", f"{(int(seconds) - 31) * 1000}")  # type: ignore[misc]
    assert await look_after_an_outage(default_syncs, 8) == []


async def test_a_job_that_was_taken_for_hours_is_not_due_again(default_syncs: Syncs) -> None:
    syncs = default_syncs
    await syncs.create()
    taken = await syncs.queue.take_jobs(1, 14_400)
    await syncs.client.create("s2", REQUEST, sync_payload("s2", "walk", 1), force=True)
    seconds, _ = await syncs.pool.time()
    await syncs.pool.zadd(QUEUE, {"s2:walk:1": (int(seconds) + 7200) * 1000})
    await syncs.watchdog.lock_watch(0.5, furthest_s=600)
    assert await syncs.pool.zrangebyscore(QUEUE, "-inf", (int(seconds) + 60) * 1000) == [b"s2:walk:1"]
    assert len(taken.jobs) == 1


async def test_a_job_is_taken_although_nothing_can_be_watched(syncs: Syncs) -> None:
    await syncs.create()
    await syncs.pool.delete(DUE)
    await syncs.pool.rpush(DUE, "1")
    assert len((await syncs.queue.take_jobs(1, 60)).jobs) == 1


@pytest.mark.parametrize("state", [SyncState.FETCHING, SyncState.FINALIZING])
async def test_a_job_that_was_counted_as_lost_can_do_nothing_more(syncs: Syncs, state: SyncState) -> None:
    lease = await syncs.lease(state)
    await silence(syncs)
    assert await revive(syncs) == "revived"
    before = await syncs.dump()
    for attempt in (
        syncs.jobs.heartbeat(lease),
        syncs.jobs.hand_over(lease, after(lease), "token"),
        syncs.jobs.fail(lease, FAILURE, "token"),
        syncs.personas.claim(lease, "reference", "by"),
    ):
        with pytest.raises(Exception, match="epoch"):
            await attempt
    assert await syncs.dump() == before


@pytest.mark.parametrize("delay_s", [0, 60])
async def test_a_job_that_is_in_the_queue_is_waited_for(syncs: Syncs, delay_s: float) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    await syncs.jobs.hand_over(lease, after(lease), "token", delay_s=delay_s)
    assert await revive(syncs) == "early"
    await silence(syncs)
    before = without_times(await syncs.dump())
    assert await revive(syncs) == "waiting"
    assert without_times(await syncs.dump()) == before
    assert await revive(syncs) == "early"


async def test_fifty_watchdogs_do_not_multiply_jobs(syncs: Syncs) -> None:
    await syncs.bring(SyncState.FETCHING)
    await silence(syncs)
    seen = await syncs.get()
    following = sync_payload("s1", "walk", 2)
    answers = await asyncio.gather(
        *(
            syncs.watchdog.revive_sync("s1", seen.state, seen.epoch, following, max_revivals=5, message="")
            for _ in range(50)
        )
    )
    assert sorted(answers) == ["changed"] * 49 + ["revived"]
    assert await syncs.pool.zrange(QUEUE, 0, -1) == [b"s1:walk:2"]


@pytest.mark.parametrize("state", UNDER_WAY)
async def test_too_many_revivals_without_progress_fail_the_sync_resumable(syncs: Syncs, state: SyncState) -> None:
    await syncs.bring(state)
    if state is SyncState.QUEUED:
        await syncs.queue.drop_job(b"s1:walk:1")
    for number in range(3):
        await silence(syncs)
        assert await revive(syncs, most=3) == "revived"
        assert (await syncs.get()).revivals == number + 1
        await syncs.queue.take_jobs(1, 60)
    await silence(syncs)
    assert await revive(syncs, most=3) == "failed"

    sync = await syncs.get()
    assert sync.state is SyncState.FAILED
    assert sync.error == SyncFailure("worker_lost", "Lost.", resumable=True)
    assert sync.failed_in is state
    assert await syncs.pool.zcard(DUE) == await syncs.pool.zcard(QUEUE) == 0
    assert await revive(syncs, most=3) == "gone"
    assert await syncs.client.resume(sync, sync_payload("s1", job_kind(state), sync.epoch + 1)) == "ok"
    assert (await syncs.get()).revivals == 0


async def test_progress_between_two_losses_keeps_the_sync_alive(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FETCHING)
    at = PAGE
    for number in range(6):
        await silence(syncs)
        assert await revive(syncs, most=1) == "revived"
        lease = (await syncs.begin()).lease
        at = await syncs.jobs.commit(lease, at, f"token {number}")
        at = type(at)(**{**at.__dict__, "pages": at.pages + 1})
    assert (await syncs.get()).state is SyncState.FETCHING


@pytest.mark.parametrize("state", ENDED)
async def test_an_ended_sync_is_no_longer_watched(syncs: Syncs, state: SyncState) -> None:
    await syncs.bring(state)
    await silence(syncs)
    assert await revive(syncs) == "gone"
    assert await syncs.pool.zcard(DUE) == 0


@pytest.mark.parametrize("state", ENDED)
async def test_a_look_at_a_sync_that_has_ended_meanwhile_changes_nothing(syncs: Syncs, state: SyncState) -> None:
    await syncs.bring(state)
    before = await syncs.dump()
    assert await revive(syncs) == "gone"
    assert await syncs.dump() == before


async def test_an_end_that_was_cut_short_is_made_good(syncs: Syncs) -> None:
    """As Redis may leave it that lost the end of its append-only file: the sync has ended, and nothing else knows."""
    await syncs.bring(SyncState.FETCHING)
    ended = {"state": "cancelled", "epoch": "2", "holder": "", "job": "", "finished_at": "1700000000000"}
    await syncs.pool.hset(keys.sync("s1"), mapping=ended)
    await silence(syncs)
    assert await syncs.watchdog.due() == [("s1", SyncState.CANCELLED, 2)]
    assert await revive(syncs) == "gone"

    found = await syncs.dump()
    assert DUE not in found
    assert keys.active((await syncs.get()).request.identity) not in found
    assert found[keys.sync("s1")].expires
    assert (await syncs.get()).finished_at == 1_700_000_000
    assert await revive(syncs) == "gone"
    assert await syncs.dump() == found


async def start(syncs: Syncs) -> None:
    await syncs.create(idempotency_key="mine")


async def resume(syncs: Syncs) -> None:
    await start(syncs)
    begun = await syncs.begin()
    await syncs.jobs.fail(begun.lease, FAILURE, "end")
    failed = await syncs.get()
    await syncs.client.resume(failed, sync_payload("s1", "walk", failed.epoch + 1))


@pytest.mark.parametrize("move", [start, resume])
@pytest.mark.parametrize("silent", [False, True], ids=["its job is there", "its job is lost"])
async def test_a_beginning_that_was_cut_short_is_made_good(
    syncs: Syncs, move: Callable[[Syncs], Awaitable[None]], silent: bool
) -> None:
    """As Redis may leave it that lost the end of its append-only file: the sync runs, and nothing else knows."""
    await move(syncs)
    await syncs.begin()
    whole = without_times(await syncs.dump())
    await syncs.pool.flushall()

    await move(syncs)
    active, asked = keys.active((await syncs.get()).request.identity), keys.request("mine")
    await syncs.pool.delete(active, keys.SYNCS, asked)
    await syncs.pool.pexpire(keys.sync("s1"), 60_000)
    if silent:
        await syncs.pool.delete(QUEUE)
        await silence(syncs)
        assert await revive(syncs) == "revived"
    await syncs.begin()
    found = without_times(await syncs.dump())
    assert {name: found.get(name) for name in (active, keys.SYNCS, asked)} == {
        name: whole[name] for name in (active, keys.SYNCS, asked)
    }
    assert not found[keys.sync("s1")].expires
    assert silent or found.keys() == whole.keys()


async def test_a_look_that_comes_too_late_changes_nothing(syncs: Syncs) -> None:
    await syncs.create()
    await silence(syncs)
    for state, epoch in ((SyncState.QUEUED, 0), (SyncState.FETCHING, 1)):
        before = await syncs.dump()
        following = sync_payload("s1", "walk", 2)
        assert await syncs.watchdog.revive_sync("s1", state, epoch, following, max_revivals=5, message="") == "changed"
        assert await syncs.dump() == before
