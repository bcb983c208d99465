"""Batches in Redis: each counts once, whichever worker takes it and whatever becomes of its jobs and its sync."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import orjson
import pytest

from tests.support.syncs.fan_out import PAGES, FanOut, batch_jobs, work
from tests.support.syncs.syncs import FAILURE
from worker.errors import LeaseLost
from worker.http.pagination import MAX_CURSOR_LENGTH
from worker.jobs.fetch.fan_out import MAX_BYTES_PER_BATCH
from worker.jobs.job_payloads import batch_payload
from worker.models.sync import BatchKey, SyncState
from worker.store import BatchWork, NewBatch, StorePool, keys
from worker.store.keys import SLOTS

# Listing


async def test_a_batch_is_listed_with_its_job_and_is_watched(fan_out: FanOut) -> None:
    await fan_out.start(2)
    sync = await fan_out.get()
    assert (sync.pages, sync.pages_listed, sync.epoch) == (0, 2 * PAGES, 1)
    assert sync.outstanding == (BatchKey("s1", 0, 1, 1), BatchKey("s1", 1, 2, 1))
    assert await fan_out.queued() == {"s1:walk:1"} | batch_jobs(range(1, 3))
    assert await fan_out.watched() == {"s1", "s1 0", "s1 1"}
    assert fan_out.listing.free_slots == tuple(range(2, SLOTS))
    begun = await fan_out.begin_batch(2)
    assert (begun.work, begun.request.strategy) == (work(2), "fan-out")


async def test_a_listing_that_is_sent_twice_adds_its_batches_once(fan_out: FanOut) -> None:
    await fan_out.start()
    before = fan_out.listing
    first = await fan_out.list(3, token="token")
    found = await fan_out.dump()
    fan_out.listing = before
    assert await fan_out.list(3, token="token") == first
    assert await fan_out.dump() == found


@pytest.mark.parametrize("change", [{"epoch": 0}, {"holder": "another"}])
async def test_a_fetch_job_that_is_over_lists_nothing(fan_out: FanOut, change: dict[str, object]) -> None:
    await fan_out.start(1)
    before = await fan_out.dump()
    fan_out.lease = replace(fan_out.lease, **change)  # type: ignore[arg-type]
    with pytest.raises(LeaseLost):
        await fan_out.list(1)
    assert await fan_out.dump() == before


async def test_an_old_position_and_a_slot_that_is_taken_are_refused(fan_out: FanOut) -> None:
    await fan_out.start()
    old = fan_out.listing
    new = await fan_out.list(1)
    before = await fan_out.dump()
    for listing in (old, replace(new, free_slots=(0,))):
        fan_out.listing = listing
        with pytest.raises(LeaseLost):
            await fan_out.list(1)
    assert await fan_out.dump() == before


async def test_slots_that_were_freed_are_known_with_the_next_commit(fan_out: FanOut) -> None:
    await fan_out.start(3)
    await fan_out.read(2)
    assert (await fan_out.list(1)).free_slots == (1, *range(4, SLOTS))
    await fan_out.list(1)
    assert (await fan_out.key(5)).slot == 1


# Counting


async def test_a_batch_that_is_counted_leaves_nothing_but_its_numbers(fan_out: FanOut) -> None:
    await fan_out.start(2)
    sync = await fan_out.read(1)
    assert (sync.pages, sync.profiles, sync.aggregate) == (PAGES, 200 * PAGES, b"{}")
    assert [key.number for key in sync.outstanding] == [2]
    assert await fan_out.queued() == {"s1:walk:1"} | batch_jobs(range(2, 3))
    assert await fan_out.watched() == {"s1", "s1 1"}


async def test_a_batch_counts_once_however_often_its_commit_arrives(fan_out: FanOut) -> None:
    await fan_out.start(1)
    begun = await fan_out.begin_batch(1)
    assert await fan_out.count(begun) is None
    before = await fan_out.dump()
    with pytest.raises(LeaseLost):
        await fan_out.count(begun)
    with pytest.raises(LeaseLost):
        await fan_out.batches.begin(begun.lease.key, "another")
    assert await fan_out.dump() == before


async def test_who_comes_second_gets_what_the_first_has_written(fan_out: FanOut) -> None:
    await fan_out.start(2)
    first, second = await fan_out.begin_batch(1), await fan_out.begin_batch(2)
    assert await fan_out.count(first) is None
    before = await fan_out.dump()
    behind = await fan_out.count(second)
    assert behind
    assert (behind.pages, behind.profiles, behind.aggregate, behind.epoch) == (PAGES, 200 * PAGES, b"{}", 1)
    after = await fan_out.dump()
    assert after.pop(keys.DUE) != before.pop(keys.DUE)  # its job is alive
    assert after == before
    assert await fan_out.count(second, behind) is None
    assert (await fan_out.get()).pages == 2 * PAGES


async def test_a_try_is_begun_by_one_job(fan_out: FanOut) -> None:
    await fan_out.start(1)
    key = await fan_out.key(1)
    begun = await fan_out.batches.begin(key, "mine")
    assert await fan_out.batches.begin(key, "mine") == begun
    for wrong in (key, replace(key, attempt=2), replace(key, number=2), replace(key, slot=1)):
        with pytest.raises(LeaseLost):
            await fan_out.batches.begin(wrong, "another")


async def test_statistics_of_a_lost_past_are_not_written_over_those_of_now(fan_out: FanOut) -> None:
    """As if Redis had lost its last moments and been brought as far again by others: only the token differs."""
    await fan_out.start(2)
    begun = await fan_out.begin_batch(2)
    assert await fan_out.count(await fan_out.begin_batch(1)) is None
    behind = await fan_out.count(begun)
    assert behind
    await fan_out.pool.hset(keys.sync("s1"), "counted", "of another past")
    again = await fan_out.count(begun, behind)
    assert again == replace(behind, token="of another past")


# What follows


async def test_a_fetch_job_that_finds_no_room_leaves_its_slot(fan_out: FanOut) -> None:
    await fan_out.start(SLOTS, leave=True)
    sync = await fan_out.get()
    assert (sync.state, sync.epoch) == (SyncState.FETCHING, 2)
    assert await fan_out.queued() == batch_jobs(range(1, SLOTS + 1))
    with pytest.raises(LeaseLost):
        await fan_out.jobs.begin("s1", 2, "walk", "holder")


async def test_only_the_batch_that_makes_room_starts_the_next_fetch_job(fan_out: FanOut) -> None:
    await fan_out.start(SLOTS, leave=True)
    for number in range(1, SLOTS // 4):
        assert (await fan_out.read(number)).epoch == 2
    assert (await fan_out.read(SLOTS // 4)).epoch == 3
    assert "s1:walk:3" in await fan_out.queued()
    assert (await fan_out.read(SLOTS // 4 + 1)).epoch == 3
    await fan_out.walk()
    assert (fan_out.lease.epoch, len(fan_out.listing.free_slots)) == (3, SLOTS // 4 + 1)
    assert (fan_out.listing.batches, fan_out.listing.pages) == (SLOTS, PAGES * SLOTS)


async def test_a_fetch_job_that_leaves_with_room_has_a_next_fetch_job(fan_out: FanOut) -> None:
    await fan_out.start(SLOTS - SLOTS // 4, leave=True)
    assert (await fan_out.get()).epoch == 2
    assert "s1:walk:2" in await fan_out.queued()


async def test_the_last_batch_starts_the_finalizer(fan_out: FanOut) -> None:
    await fan_out.start(2, ended=True, leave=True)
    late = orjson.dumps({"cluster": "new", "persona_id": "per_1", "action": "created", "credits": 0, "ignored": []})
    await fan_out.pool.hset(keys.outcomes("s1"), "new", late)
    assert await fan_out.queued() == batch_jobs(range(1, 3))
    assert (await fan_out.read(2)).state is SyncState.FETCHING
    sync = await fan_out.read(1)
    assert (sync.state, sync.epoch, sync.complete, sync.pages) == (SyncState.FINALIZING, 3, True, 2 * PAGES)
    assert sync.fetched_at
    assert await fan_out.queued() == {"s1:finalize:3"}
    assert await fan_out.watched() == {"s1"}
    assert await fan_out.jobs.outcomes("s1") == ()
    assert (await fan_out.begin()).checkpoint.pages == 2 * PAGES


async def test_a_fetch_job_whose_batches_are_all_counted_starts_the_finalizer(fan_out: FanOut) -> None:
    await fan_out.start(1)
    await fan_out.read(1)
    await fan_out.list(0, ended=True, leave=True)
    assert (await fan_out.get()).state is SyncState.FINALIZING
    assert await fan_out.queued() == {"s1:finalize:2"}


async def test_two_last_batches_at_once_make_one_finalizer(fan_out: FanOut) -> None:
    await fan_out.start(2, ended=True, leave=True)
    begun = [await fan_out.begin_batch(number) for number in (1, 2)]
    answers = await asyncio.gather(*(fan_out.count(one) for one in begun))
    (behind,) = [answer for answer in answers if answer]
    assert await fan_out.count(begun[answers.index(behind)], behind) is None
    assert await fan_out.queued() == {"s1:finalize:3"}


async def test_what_follows_is_of_the_epoch_after_the_present_one(fan_out: FanOut) -> None:
    await fan_out.start(1)
    begun = await fan_out.begin_batch(1)
    await fan_out.list(0, ended=True, leave=True)
    behind = await fan_out.count(begun)
    assert behind
    assert behind.epoch == 2
    assert await fan_out.count(begun, behind) is None
    assert await fan_out.queued() == {"s1:finalize:3"}


# Giving a batch to its next try


@pytest.mark.parametrize("delay_s", [0, 60])
async def test_a_batch_that_must_wait_is_given_to_its_next_try(fan_out: FanOut, delay_s: float) -> None:
    await fan_out.start(1)
    lease = await fan_out.lease_of(1)
    next_try = lease.key.next_attempt()
    retry = fan_out.batches.retry(
        lease, batch_payload(next_try), delay_s=delay_s, trouble_ms=7, note="waiting for Segment"
    )
    await retry
    assert (await fan_out.get()).note == "waiting for Segment"
    assert await fan_out.queued() == {"s1:walk:1", "s1:batch:0:1:2"}
    ready = {job.job_id for job in (await fan_out.queue.take_jobs(9, 60)).jobs}
    assert (b"s1:batch:0:1:2" in ready) is (delay_s == 0)
    begun = await fan_out.begin_batch(1)
    assert (begun.lease.key, begun.trouble_ms, begun.work) == (next_try, 7, work(1))


async def test_a_try_that_is_over_can_do_nothing_more(fan_out: FanOut) -> None:
    await fan_out.start(1)
    old = await fan_out.begin_batch(1)
    next_try = batch_payload(old.lease.key.next_attempt())
    await fan_out.batches.retry(old.lease, next_try)
    await fan_out.begin_batch(1)
    before = await fan_out.dump()
    for attempt in (
        fan_out.batches.heartbeat(old.lease),
        fan_out.batches.retry(old.lease, next_try),
        fan_out.batches.fail(old.lease, FAILURE),
        fan_out.count(old),
    ):
        with pytest.raises(LeaseLost):
            await attempt
    assert await fan_out.dump() == before


async def test_a_sign_of_life_says_what_the_batch_waits_for(fan_out: FanOut) -> None:
    await fan_out.start(1)
    lease = await fan_out.lease_of(1)
    await fan_out.silence()
    await fan_out.batches.heartbeat(lease, note="Segment is away")
    assert (await fan_out.get()).note == "Segment is away"
    await fan_out.batches.heartbeat(lease)
    assert (await fan_out.get()).note == "Segment is away"  # others may wait, too
    assert await fan_out.watchdog.due() == [("s1", SyncState.FETCHING, 1)]


async def test_a_look_ahead_full_of_the_longest_cursors_fits_into_a_mebibyte(real_pool: StorePool) -> None:
    fan_out = FanOut(real_pool)
    await fan_out.start()
    longest = "\n" * MAX_CURSOR_LENGTH  # a line break takes two bytes of JSON
    batching = BatchWork(
        1, tuple((longest, 200) for _ in range(-(-MAX_BYTES_PER_BATCH // (2 * MAX_CURSOR_LENGTH)))), longest
    )
    added = []
    for slot in range(SLOTS):
        key = BatchKey("s1", slot, slot + 1, 1)
        added.append(NewBatch(key, batching, batch_payload(key)))
    await fan_out.jobs.commit_listing(fan_out.lease, replace(fan_out.listing, batches=SLOTS), added, "token")
    assert await real_pool.memory_usage(keys.sync("s1"), samples=0) < 1 << 20


def test_work_survives_its_slot() -> None:
    odd = BatchWork(9, (("", 200), ('ü \n" 1 2', 0)), None, take=3)
    assert BatchWork.decode(odd.encode()) == odd
