"""Tasks side by side, what is given up of them, and what must come to its end."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from worker.concurrency import cancel_and_wait, gather_all, run_to_completion


async def fail() -> None:
    raise ValueError("nobody asks")


async def end_slowly(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.01)
        ended.append("slowly")


async def test_what_is_given_up_has_ended_and_no_failure_is_reported() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    ended: list[str] = []
    tasks = [asyncio.create_task(end_slowly(ended)), asyncio.create_task(fail())]
    await asyncio.sleep(0)
    await cancel_and_wait(tasks)
    assert ended == ["slowly"]
    assert all(task.done() for task in tasks)
    tasks.clear()
    gc.collect()
    assert reported == []


async def test_nothing_is_given_up_at_once() -> None:
    await cancel_and_wait([])


async def test_the_first_failure_ends_the_others_and_is_raised() -> None:
    ended: list[str] = []
    with pytest.raises(ValueError, match="nobody asks"):
        await gather_all([end_slowly(ended), fail()])
    assert ended == ["slowly"]


async def test_results_come_in_the_order_of_the_calls() -> None:
    async def after(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    assert await gather_all([after(seconds) for seconds in (0.02, 0.0, 0.01)]) == [0.02, 0.0, 0.01]
    assert await gather_all([]) == []


class Slow:
    """A call that ends when it is let go, and somebody who makes it and then awaits something else."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.go_on = asyncio.Event()
        self.failure = failure
        self.results: list[str] = []

    async def call(self) -> str:
        await self.go_on.wait()
        if self.failure:
            raise self.failure
        return "result"

    async def caller(self) -> None:
        self.results.append(await run_to_completion(self.call()))
        self.results.append("told before the next await")
        await asyncio.sleep(0)
        self.results.append("never")

    async def cancelled_on_the_way(self) -> asyncio.Task[None]:
        """A caller that was cancelled before the call could continue; both have ended."""
        caller = asyncio.create_task(self.caller())
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.sleep(0)
        self.go_on.set()
        await asyncio.wait({caller})
        return caller


async def test_shielded_work_ends_before_the_cancellation_is_raised() -> None:
    slow = Slow()
    caller = await slow.cancelled_on_the_way()
    assert caller.cancelled()
    assert caller.cancelling() == 1
    assert slow.results == ["result", "told before the next await"]


async def test_a_cancellation_at_the_very_moment_of_the_end_loses_no_result() -> None:
    for steps in range(6):
        slow = Slow()
        caller = asyncio.create_task(slow.caller())
        await asyncio.sleep(0)
        slow.go_on.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait({caller})
        assert slow.results[:2] == ["result", "told before the next await"], steps


async def test_a_call_that_fails_is_reported_unless_its_caller_was_cancelled() -> None:
    slow = Slow(ValueError("mine"))
    slow.go_on.set()
    with pytest.raises(ValueError, match="mine"):
        await run_to_completion(slow.call())
    slow.go_on.clear()
    caller = await slow.cancelled_on_the_way()
    assert caller.cancelled()


async def test_a_second_cancellation_ends_also_what_must_come_to_its_end() -> None:
    slow = Slow()
    caller = asyncio.create_task(slow.caller())
    for _ in range(2):
        await asyncio.sleep(0)
        caller.cancel()
    await asyncio.wait({caller})
    assert caller.cancelled()
    assert [task for task in asyncio.all_tasks() if "Slow.call" in repr(task) and not task.done()] == []


async def test_a_call_that_is_cancelled_itself_cancels_its_caller() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run_to_completion(cancelled())
