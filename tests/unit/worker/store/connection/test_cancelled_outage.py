"""A cancellation while Redis is waited for: it ends the wait at once, and cleanup may still use Redis."""

from __future__ import annotations

import asyncio
import contextlib
import math

import pytest
import redis.exceptions as redis_errors

from tests.support.clocks.virtual_time import now, run_in_virtual_time
from tests.support.failing_redis import AWAY, FailingRedis
from worker.store.connection.outage import Outage


def test_a_cancellation_swallowed_by_an_attempt_is_still_raised() -> None:
    async def body() -> None:
        async def deaf() -> str:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                return "answer"
            raise AssertionError

        waiting = asyncio.create_task(Outage(math.inf).wait_out(deaf))
        await asyncio.sleep(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await Outage(math.inf).wait_out(deaf)

    run_in_virtual_time(body)


@pytest.mark.parametrize("error", [AWAY, TimeoutError(), redis_errors.ResponseError("WRONGTYPE")])
def test_a_cancellation_that_becomes_a_failure_is_raised_at_once(error: Exception) -> None:
    async def body() -> None:
        attempts = []

        async def deaf() -> str:
            attempts.append(now())
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                raise error from None
            raise AssertionError

        waiting = asyncio.create_task(Outage(math.inf).wait_out(deaf))
        await asyncio.sleep(1)
        waiting.cancel()
        cancelled_at = now()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        assert now() == cancelled_at
        assert len(attempts) == 1

    run_in_virtual_time(body)


def test_ctrl_c_during_an_answer_cancels_once_and_spares_the_cleanup() -> None:
    """asyncio's handler cancels the task wherever it is, also while it runs."""

    async def attempt() -> str:
        this = asyncio.current_task()
        assert this
        this.cancel()
        return "answer"

    async def body() -> None:
        async def work() -> str:
            try:
                await Outage(math.inf).wait_out(attempt)
            except asyncio.CancelledError:
                await asyncio.sleep(1)
                return "cleaned up"
            return "not cancelled"

        assert await asyncio.create_task(work()) == "cleaned up"

    run_in_virtual_time(body)


def test_who_cleans_up_after_a_cancellation_may_still_use_redis() -> None:
    async def body() -> None:
        async def clean_up() -> str:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                return await Outage(math.inf).wait_out(FailingRedis(AWAY).ask)
            raise AssertionError

        job = asyncio.create_task(clean_up())
        await asyncio.sleep(1)
        job.cancel()
        assert await job == "answer"

    run_in_virtual_time(body)


def test_cleanup_runs_in_a_task_with_time_outs_and_can_be_cancelled() -> None:
    async def body() -> None:
        attempts = []

        async def attempt() -> str:
            task = asyncio.current_task()
            assert task
            attempts.append(task.cancelling())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await asyncio.sleep(3600)
            await asyncio.sleep(3600)
            raise AssertionError

        async def clean_up() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                await Outage(math.inf).wait_out(attempt)

        job = asyncio.create_task(clean_up())
        await asyncio.sleep(1)
        job.cancel()
        await asyncio.sleep(5)
        assert attempts == [0]
        assert not job.done()
        job.cancel()
        again_at = now()
        await asyncio.wait({job})
        assert job.cancelled()
        assert now() == again_at

    run_in_virtual_time(body)
