"""A batch whose job is lost gets its next try; one that waits in the queue is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support.syncs.fan_out import PAGES, FanOut
from worker.errors import LeaseLost
from worker.jobs.job_payloads import batch_payload, next_payloads, sync_payload
from worker.models.outcome import SyncFailure
from worker.models.sync import BatchKey, SyncState
from worker.store import keys
from worker.store.keys import DUE


async def revive(fan_out: FanOut, key: BatchKey, most: int = 5) -> str:
    return await fan_out.watchdog.revive_batch(key, batch_payload(key.next_attempt()), max_lost=most, message="Lost.")


async def take_and_die(fan_out: FanOut) -> None:
    await fan_out.queue.take_jobs(9, 60)


async def lose_the_data(fan_out: FanOut) -> None:
    await fan_out.pool.delete("arq:job:s1:batch:0:1:1")


async def lose_the_entry(fan_out: FanOut) -> None:
    await fan_out.queue.drop_job(b"s1:batch:0:1:1")


async def begin_and_die(fan_out: FanOut) -> None:
    await fan_out.begin_batch(1)


FATES = [take_and_die, lose_the_data, lose_the_entry, begin_and_die]


@pytest.mark.parametrize("fate", FATES, ids=lambda fate: fate.__name__)
async def test_a_batch_whose_job_is_lost_gets_its_next_try(
    fan_out: FanOut, fate: Callable[[FanOut], Awaitable[None]]
) -> None:
    await fan_out.start(1)
    key = await fan_out.key(1)
    await fate(fan_out)
    assert await revive(fan_out, key) == "early"
    await fan_out.silence()
    assert key in await fan_out.watchdog.due()
    assert await revive(fan_out, key) == "revived"
    assert await revive(fan_out, key) == "changed"
    assert await fan_out.key(1) == key.next_attempt()
    assert "s1:batch:0:1:2" in await fan_out.queued()
    assert "s1:batch:0:1:1" not in await fan_out.queued()
    sync = await fan_out.read(1)
    assert (sync.pages, sync.epoch, sync.revivals) == (PAGES, 1, 0)


async def test_a_batch_taken_after_a_long_wait_is_not_lost(fan_out: FanOut) -> None:
    await fan_out.start(1)
    key = await fan_out.key(1)
    await fan_out.silence()
    await take_and_die(fan_out)
    assert key not in await fan_out.watchdog.due()
    assert await revive(fan_out, key) == "early"
    assert await fan_out.key(1) == key


async def test_a_batch_that_is_behind_others_in_counting_is_not_lost(fan_out: FanOut) -> None:
    await fan_out.start(2)
    first, second = [await fan_out.begin_batch(number) for number in (1, 2)]
    assert await fan_out.count(first) is None
    await fan_out.silence()
    behind = await fan_out.count(second)
    assert behind
    assert await fan_out.watchdog.due() == [("s1", SyncState.FETCHING, 1)]
    assert await revive(fan_out, second.lease.key) == "early"
    assert await fan_out.count(second, behind) is None


async def test_a_batch_that_is_in_the_queue_is_waited_for(fan_out: FanOut) -> None:
    await fan_out.start(1)
    key = await fan_out.key(1)
    await fan_out.silence()
    assert await revive(fan_out, key) == "waiting"
    assert await revive(fan_out, key) == "early"
    assert await fan_out.key(1) == key


async def test_progress_of_other_batches_does_not_hide_a_batch_lost_repeatedly(fan_out: FanOut) -> None:
    await fan_out.start(6)
    for lost in range(3):
        key = await fan_out.key(1)
        await fan_out.begin_batch(1)
        await fan_out.silence()
        assert await revive(fan_out, key, most=3) == "revived"
        await fan_out.read(lost + 2)
    # Tries that it gave up itself do not count.
    lease = await fan_out.lease_of(1)
    await fan_out.batches.retry(lease, batch_payload(lease.key.next_attempt()))
    lease = await fan_out.lease_of(1)
    await fan_out.silence()
    assert await revive(fan_out, lease.key, most=3) == "failed"
    sync = await fan_out.get()
    assert sync.error == SyncFailure("worker_lost", "Lost.", resumable=True)
    assert (sync.failed_in, sync.pages) == (SyncState.FETCHING, 3 * PAGES)
    # Resumed, it has all its tries again.
    await fan_out.resume()
    key = await fan_out.key(1)
    await fan_out.begin_batch(1)
    await fan_out.silence()
    assert await revive(fan_out, key, most=1) == "revived"


async def test_fifty_watchdogs_make_one_next_try(fan_out: FanOut) -> None:
    await fan_out.start(1)
    lease = await fan_out.lease_of(1)
    await fan_out.silence()
    answers = await asyncio.gather(*(revive(fan_out, lease.key) for _ in range(50)))
    assert sorted(answers) == ["changed"] * 49 + ["revived"]
    assert await fan_out.queued() == {"s1:walk:1", "s1:batch:0:1:2"}


@pytest.mark.parametrize("member", ["s1 0", "s1 31", "s2 0"])
async def test_what_is_watched_and_not_there_is_forgotten(fan_out: FanOut, member: str) -> None:
    await fan_out.start(1)
    await fan_out.read(1)
    await fan_out.pool.zadd(DUE, {member: 1, "s1 x": 1})
    sync_id, _, slot = member.partition(" ")
    free = BatchKey(sync_id, int(slot), 0, 0)
    assert await fan_out.watchdog.due() == [free]
    assert await revive(fan_out, free) == "gone"
    assert await fan_out.watched() == {"s1"}


async def test_a_sync_whose_batches_are_read_is_not_silent(fan_out: FanOut) -> None:
    await fan_out.start(2, ended=True, leave=True)
    await fan_out.silence()
    sync = await fan_out.get()

    async def look() -> str:
        following_job = sync_payload("s1", "walk", sync.epoch + 1)
        return await fan_out.watchdog.revive_sync(
            "s1", sync.state, sync.epoch, following_job, max_revivals=0, message="Lost."
        )

    assert await look() == "waiting"
    assert await look() == "early"
    # Should a batch not be watched any more, it is again.
    await fan_out.pool.zrem(DUE, "s1 1")
    await fan_out.silence()
    assert await look() == "waiting"
    assert await fan_out.watched() == {"s1", "s1 0", "s1 1"}
    await fan_out.pool.delete(keys.QUEUE)
    assert {str(found) for found in await fan_out.watchdog.due()} == {
        str(key) for key in (await fan_out.get()).outstanding
    }


async def test_a_silent_fetch_job_is_replaced_and_its_batches_continue(fan_out: FanOut) -> None:
    await fan_out.start(2)
    begun = await fan_out.begin_batch(1)
    await fan_out.silence()
    assert (
        await fan_out.watchdog.revive_sync(
            "s1", SyncState.FETCHING, 1, next_payloads("s1", 2).walk, max_revivals=5, message="Lost."
        )
        == "revived"
    )
    with pytest.raises(LeaseLost):
        await fan_out.list(1)
    assert await fan_out.count(begun) is None
    await fan_out.walk()
    assert (fan_out.listing.batches, fan_out.listing.free_slots[0]) == (2, 0)
    assert (await fan_out.get()).revivals == 1
    await fan_out.list(1)
    assert (await fan_out.get()).revivals == 0
