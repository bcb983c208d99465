"""Tasks side by side, and what is given up of them."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from worker.concurrency import all_of, give_up


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
    await give_up(tasks)
    assert ended == ["slowly"]
    assert all(task.done() for task in tasks)
    tasks.clear()
    gc.collect()
    assert reported == []


async def test_nothing_is_given_up_at_once() -> None:
    await give_up([])


async def test_the_first_failure_ends_the_others_and_is_raised() -> None:
    ended: list[str] = []
    with pytest.raises(ValueError, match="nobody asks"):
        await all_of([end_slowly(ended), fail()])
    assert ended == ["slowly"]


async def test_results_come_in_the_order_of_the_calls() -> None:
    async def after(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    assert await all_of([after(seconds) for seconds in (0.02, 0.0, 0.01)]) == [0.02, 0.0, 0.01]
    assert await all_of([]) == []
