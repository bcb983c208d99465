"""Runs tasks concurrently, cancels tasks and waits for them, and protects a call from cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def gather_all(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Runs calls concurrently.

    Returns:
        Their results, in the order of the calls.

    Raises:
        Exception: The first failure, unchanged. The other calls are cancelled and have ended by then.
    """
    tasks = [asyncio.create_task(call) for call in calls]
    if not tasks:
        return []
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()  # raises the failure, if there is one; otherwise all are done
        return [task.result() for task in tasks]
    finally:
        await cancel_and_wait(tasks)


async def cancel_and_wait(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels tasks and waits until all have ended. Their failures are discarded, and asyncio does not report them."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # marks the exception as retrieved


async def run_to_completion(call: Coroutine[Any, Any, T]) -> T:
    """Runs a call that the first cancellation of the caller does not interrupt.

    Returns:
        The result of the call. If the caller was cancelled meanwhile, its next await raises CancelledError.

    Raises:
        CancelledError: The caller was cancelled and the call failed, or the caller was cancelled twice.
        Exception: Whatever the call raises.
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
