"""With its sync a batch ends, and `resume` continues with the listing and every batch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support.syncs.fan_out import PAGES, FanOut, batch_jobs
from tests.support.syncs.syncs import FAILURE
from worker.errors import LeaseLost
from worker.jobs.job_payloads import batch_payload
from worker.models.outcome import SyncFailure
from worker.models.sync import BatchKey, SyncState
from worker.store import BatchGrant, StorePool, keys
from worker.store.keys import DUE, QUEUE, SLOTS


async def cancel(fan_out: FanOut, lease: BatchGrant) -> None:
    await fan_out.client.cancel("s1")


async def fail(fan_out: FanOut, lease: BatchGrant) -> None:
    await fan_out.batches.fail(lease, FAILURE)


async def fail_the_walk(fan_out: FanOut, lease: BatchGrant) -> None:
    await fan_out.jobs.fail(fan_out.lease, FAILURE, "token")


async def lose(fan_out: FanOut, lease: BatchGrant) -> None:
    await fan_out.silence()
    next_try = batch_payload(lease.key.next_attempt())
    assert await fan_out.watchdog.revive_batch(lease.key, next_try, max_lost=0, message="Lost.") == "failed"


ENDS = [cancel, fail, fail_the_walk, lose]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_with_its_sync_a_batch_ends_and_leaves_no_job(
    fan_out: FanOut, end: Callable[[FanOut, BatchGrant], Awaitable[None]]
) -> None:
    await fan_out.start(3)
    begun = await fan_out.begin_batch(1)
    await end(fan_out, begun.lease)
    assert (await fan_out.get()).state.is_final
    assert await fan_out.queued() == await fan_out.watched() == set()
    for attempt in (fan_out.count(begun), fan_out.list(1)):
        with pytest.raises(LeaseLost):
            await attempt


async def test_resume_continues_with_the_listing_and_every_batch(fan_out: FanOut) -> None:
    await fan_out.start(3)
    await fan_out.read(2)
    lost = await fan_out.begin_batch(1)
    await fan_out.batches.fail(lost.lease, SyncFailure("segment_unauthorized", "A sentence.", resumable=True))
    failed = await fan_out.get()
    assert (failed.failed_in, failed.pages) == (SyncState.FETCHING, PAGES)

    sync = await fan_out.resume()
    assert (sync.state, sync.pages, sync.pages_listed) == (SyncState.FETCHING, PAGES, 3 * PAGES)
    epoch = sync.epoch
    assert await fan_out.queued() == {f"s1:walk:{epoch}", "s1:batch:0:1:2", "s1:batch:2:3:2"}
    assert await fan_out.watched() == {"s1", "s1 0", "s1 2"}
    with pytest.raises(LeaseLost):
        await fan_out.count(lost)
    await fan_out.read(1)
    await fan_out.walk()
    await fan_out.list(0, ended=True, leave=True)
    sync = await fan_out.read(3)
    assert (sync.state, sync.pages) == (SyncState.FINALIZING, 3 * PAGES)


@pytest.mark.parametrize(("batches", "ended"), [(SLOTS, False), (2, True)])
async def test_resume_starts_no_fetch_job_where_none_is_due(fan_out: FanOut, batches: int, ended: bool) -> None:
    await fan_out.start(batches, ended=ended, leave=True)
    await fan_out.batches.fail(await fan_out.lease_of(1), FAILURE)
    await fan_out.resume()
    assert await fan_out.queued() == batch_jobs(range(1, batches + 1), attempt=2)
    for number in range(1, min(batches, SLOTS // 4) + 1):
        sync = await fan_out.read(number)
    assert sync.epoch == 5
    assert {f"s1:walk:{sync.epoch}", f"s1:finalize:{sync.epoch}"} & await fan_out.queued()


async def test_a_restart_begins_with_an_empty_look_ahead_and_fresh_sums(fan_out: FanOut) -> None:
    await fan_out.start(SLOTS, leave=True)
    old = await fan_out.begin_batch(1)
    await fan_out.read(2)
    await fan_out.batches.fail(old.lease, FAILURE)
    sync = await fan_out.resume(restart=True)
    assert (sync.pages, sync.pages_listed, sync.outstanding, sync.aggregate) == (0, 0, (), b"")
    assert await fan_out.queued() == {f"s1:walk:{sync.epoch}"}
    await fan_out.walk()
    assert (fan_out.listing.cursor, len(fan_out.listing.free_slots)) == ("", SLOTS)
    await fan_out.list(1)
    # Its number is a new one, so that no old job can take it for its own.
    assert (await fan_out.get()).outstanding == (BatchKey("s1", 0, SLOTS + 1, 1),)
    with pytest.raises(LeaseLost):
        await fan_out.count(old)


async def test_the_queue_is_empty_of_a_sync_that_never_fanned_out(fan_out: FanOut) -> None:
    await fan_out.create()
    await fan_out.begin()
    await fan_out.client.cancel("s1")
    assert await fan_out.pool.zcard(QUEUE) == 0
    assert not any(name.startswith(b"slot:") for name in await fan_out.pool.hgetall(keys.sync("s1")))


@pytest.mark.parametrize(("retention_ms", "least", "most"), [(0, -1, 1), (10**40, 10**12, 10**13)])
async def test_an_odd_retention_cannot_make_a_failed_batch_stop_half_way(
    pool: StorePool, retention_ms: int, least: int, most: int
) -> None:
    fan_out = FanOut(pool, retention_ms=retention_ms)
    await fan_out.start(2)
    begun = await fan_out.begin_batch(1)
    await fan_out.batches.fail(begun.lease, FAILURE)
    assert await pool.zcard(DUE) == await pool.zcard(QUEUE) == 0
    left = await pool.pttl(keys.sync("s1"))
    assert left == -2 or least < left <= most
