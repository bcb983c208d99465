"""Tasks side by side: all of their results, or the first failure and none of them left running. And a task that must
come to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def gather_all(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order. The first failure ends the others, and is raised as it is."""
    tasks = [asyncio.create_task(call) for call in calls]
    if not tasks:
        return []
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()  # raises the failure, if there is one; else all are done
        return [task.result() for task in tasks]
    finally:
        await cancel_and_wait(tasks)


async def cancel_and_wait(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels what still runs, and returns when all has ended. Nobody asks how, so asyncio reports no failure."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # now it counts as seen


async def run_to_completion(call: Coroutine[Any, Any, T]) -> T:
    """The result of a call that a cancellation does not interrupt: the caller's next await raises it.

    If the call fails after a cancellation, that is what is raised, and so it is if there is a second one.
    """
    task = asyncio.create_task(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():
            raise
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.cancelled() or task.exception():
            raise
        _cancel_again()
        return task.result()


def _cancel_again() -> None:
    this = asyncio.current_task()
    assert this is not None
    this.uncancel()
    this.cancel()
