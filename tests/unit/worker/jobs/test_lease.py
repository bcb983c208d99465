"""The lease: a job lives as long as its epoch, and hears of its end wherever it is; in time that only sleeps pass."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from types import SimpleNamespace

import pytest

from tests.support.clocks.virtual_time import now, run_in_virtual_time
from tests.support.syncs.syncs import Syncs, after
from worker.errors import ApiError, LeaseLost, StoreUnavailable
from worker.jobs.lease import HAND_OVER_S, Lease
from worker.models.sync import SyncState
from worker.store import LeaseGrant, embedded_pool, keys
from worker.store.connection.pool import closing

BEAT_S = 5.0

LeaseTest = Callable[[Syncs, Lease], Coroutine[None, None, None]]


def run_with_lease(body: LeaseTest) -> None:
    """Plays a story about the job that walks for sync s1."""

    async def with_lease() -> None:
        async with closing(embedded_pool()) as pool:
            syncs = Syncs(pool)
            await body(syncs, Lease(syncs.jobs, await syncs.lease(SyncState.FETCHING), BEAT_S))

    run_in_virtual_time(with_lease)


async def work(lease: Lease, seconds: float = 3600) -> None:
    """A job that is busy for so long."""
    async with lease:
        await asyncio.sleep(seconds)


async def take_over(syncs: Syncs) -> None:
    """The watcher gives the sync to another job."""
    await syncs.pool.zadd(keys.DUE, {"s1": 1})
    following = after(LeaseGrant("s1", SyncState.FETCHING, 1, ""))
    done = await syncs.watchdog.revive_sync("s1", SyncState.FETCHING, 1, following, max_revivals=5, message="")
    assert done == "revived"


async def cancel(syncs: Syncs) -> None:
    await syncs.client.cancel("s1")


def test_a_job_that_works_keeps_its_sync_from_being_counted_as_lost() -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        async with lease:
            for _ in range(10):
                await syncs.pool.zadd(keys.DUE, {"s1": 1})
                await asyncio.sleep(BEAT_S + 0.1)
                due_ms = await syncs.pool.zscore(keys.DUE, "s1")
                assert due_ms is not None
                assert due_ms > now() * 1000
        assert not lease.lost

    run_with_lease(body)


@pytest.mark.parametrize("end", [take_over, cancel])
def test_a_job_whose_epoch_is_over_is_interrupted(end: Callable[[Syncs], Awaitable[None]]) -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        job = asyncio.create_task(work(lease))
        await asyncio.sleep(12)
        await end(syncs)
        ended_at = now()
        with pytest.raises(LeaseLost):
            await job
        assert lease.lost
        assert now() - ended_at <= BEAT_S
        assert job.cancelling() == 0

    run_with_lease(body)


def test_a_job_that_is_through_stops_its_signs_of_life() -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        await work(lease, 1)
        before = await syncs.dump()
        await take_over(syncs)
        await asyncio.sleep(60)
        assert not lease.lost
        assert len(asyncio.all_tasks()) == 1
        assert before != await syncs.dump()

    run_with_lease(body)


def test_after_stop_the_jobs_own_last_move_does_not_interrupt_it() -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        async with lease:
            await asyncio.sleep(BEAT_S - 0.001)
            await lease.stop()
            await syncs.jobs.hand_over(lease.grant, after(lease.grant), "token")
            await asyncio.sleep(10 * BEAT_S)
            await lease.stop()
        assert not lease.lost

    run_with_lease(body)


def test_a_lease_that_was_never_entered_can_be_stopped() -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        await lease.stop()

    run_with_lease(body)


# The last move


@pytest.mark.parametrize(("takes_s", "made"), [(HAND_OVER_S - 0.1, True), (HAND_OVER_S + 0.1, False)])
def test_a_last_move_is_made_within_its_bound_and_leaves_nothing_running(takes_s: float, made: bool) -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        moves: list[float] = []

        async def move() -> None:
            await asyncio.sleep(takes_s)
            moves.append(now())

        await lease.hand_over(move)
        assert bool(moves) is made
        assert len(asyncio.all_tasks()) == 1

    run_with_lease(body)


def test_a_job_of_an_old_epoch_moves_nothing_and_reports_nothing() -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        moves: list[str] = []

        async def move() -> None:
            moves.append("tried")
            raise LeaseLost("taken over")

        await lease.hand_over(move)
        lease.lost = True
        await lease.hand_over(move)
        assert moves == ["tried"]

    run_with_lease(body)


# Somebody else cancels, too


def test_who_is_cancelled_from_outside_is_cancelled() -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        job = asyncio.create_task(work(lease))
        await asyncio.sleep(1)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert not lease.lost
        assert job.cancelled()

    run_with_lease(body)


@pytest.mark.parametrize("wait_for_loss", [True, False])
def test_a_cancellation_while_the_lease_is_lost_is_kept(wait_for_loss: bool) -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        lost = asyncio.Event()
        clean_up = asyncio.Event()

        async def job_with_clean_up() -> None:
            async with lease:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    lost.set()
                    await clean_up.wait()
                    raise

        job = asyncio.create_task(job_with_clean_up())
        await asyncio.sleep(1)
        await cancel(syncs)
        if wait_for_loss:
            await lost.wait()
            assert lease.lost
        job.cancel()
        clean_up.set()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert job.cancelled()

    run_with_lease(body)


def test_a_time_out_outside_is_still_a_time_out() -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7):
                await work(lease)

    run_with_lease(body)


def test_an_error_of_the_job_is_the_jobs_error_also_when_the_lease_is_lost() -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        async def job_that_fails_as_it_stops() -> None:
            async with lease:
                await cancel(syncs)
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.sleep(3600)
                raise ApiError("code", "A sentence.")

        with pytest.raises(ApiError):
            await job_that_fails_as_it_stops()
        assert lease.lost

    run_with_lease(body)


# Redis is away, or odd


def test_a_sign_of_life_that_cannot_be_given_is_given_later(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def body(syncs: Syncs, lease: Lease) -> None:
        async def away(*_: object, **__: object) -> None:
            raise StoreUnavailable("Redis does not answer")

        store = SimpleNamespace(heartbeat=away)
        job = asyncio.create_task(work(Lease(store, lease.grant, BEAT_S), 30))
        await asyncio.sleep(12)
        store.heartbeat = syncs.jobs.heartbeat
        await syncs.pool.zadd(keys.DUE, {"s1": 1})
        await asyncio.sleep(6)
        assert await syncs.pool.zscore(keys.DUE, "s1") > now() * 1000
        await job

    run_with_lease(body)
    assert any("heartbeat failed" in record.getMessage() for record in caplog.records)


def test_a_failing_heartbeat_does_not_hide_the_end_of_the_epoch() -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        job = asyncio.create_task(work(lease))
        await syncs.pool.delete(keys.DUE)
        await syncs.pool.set(keys.DUE, "something else")
        await asyncio.sleep(12)
        assert not job.done()
        await syncs.pool.delete(keys.DUE)
        await cancel(syncs)
        with pytest.raises(LeaseLost):
            await job

    run_with_lease(body)


def test_a_lost_cancellation_does_not_keep_a_job_from_stopping() -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        swallowed = []

        async def deaf(*_: object, **__: object) -> None:
            while not swallowed:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    swallowed.append(now())

        deaf_lease = Lease(SimpleNamespace(heartbeat=deaf), lease.grant, BEAT_S)
        async with deaf_lease:
            await asyncio.sleep(BEAT_S + 1)
            stopped_at = now()
            await deaf_lease.stop()
        assert len(swallowed) == 1
        assert now() - stopped_at <= 2

    run_with_lease(body)


# What the job waits for


def test_followers_see_once_and_at_once_what_the_job_waits_for() -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        async with lease:
            await lease.set_note("waiting for Segment")
            assert (await syncs.get()).note == "waiting for Segment"
            await syncs.pool.zadd(keys.DUE, {"s1": 1})
            await lease.set_note("waiting for Segment")
            assert await syncs.pool.zscore(keys.DUE, "s1") == 1
            await asyncio.sleep(BEAT_S + 1)
            assert (await syncs.get()).note == "waiting for Segment"
            await lease.set_note("")
            assert (await syncs.get()).note == ""

    run_with_lease(body)


def test_who_says_something_after_the_end_hears_of_it() -> None:
    async def body(syncs: Syncs, lease: Lease) -> None:
        async with lease:
            await cancel(syncs)
            with pytest.raises(LeaseLost):
                await lease.set_note("waiting")

    run_with_lease(body)
