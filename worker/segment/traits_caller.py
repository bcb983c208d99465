"""Requests for the traits of single profiles: a profile that cannot be read is told from an API that does not answer.

Only a success elsewhere is evidence that the profile is at fault. So before a profile is given up, three requests are
sent, one after the other: the last request for traits that was answered well, the profile's own, and the former again.
If only the second fails, the API is well and the profile is not. Otherwise, or if nothing has been answered so far, the
failure is treated as one of the API: retried within the budget, or fatal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from worker.errors import ApiError, Retry, WaitUntil
from worker.segment.source import Call

TRIES = 5
"""Attempts after which a profile is given up if others are answered."""
REFUSED_TRIES = 2
"""The same if Segment refuses the request; a token that is refused is looked into at once."""
CHECKS = 3
"""Requests that are sent before a profile is given up."""

UNREADABLE = object()
"""The answer for a profile that is given up."""

_FAILED = object()

T = TypeVar("T")

Send = Callable[[], Awaitable[object]]


async def repeated(send: Callable[[], Awaitable[T]], *, pause_s: float = 0.25) -> T:
    """A call without a limiter and a budget, for commands that look at a few profiles: repeated `TRIES` times."""
    for failures in range(1, TRIES):
        try:
            return await send()
        except WaitUntil:
            raise
        except Retry:
            await asyncio.sleep(pause_s * failures)
    return await send()


class TraitsCaller:
    """The requests for traits of one source. Keeps the last one that was answered, in memory only."""

    def __init__(self) -> None:
        self._answered: Send | None = None

    async def read(self, send: Send, call: Call) -> object:
        """The answer to `send`, repeated through `call`; UNREADABLE if only this profile cannot be read.

        send: one request about one profile; its answer is None if there is no such profile. Raises what `call` raises.
        """
        failures = 0

        async def attempt() -> object:
            nonlocal failures
            try:
                return self._kept(send, await send())
            except WaitUntil:
                raise
            except ApiError as error:
                failures += 1
                if failures >= _tries(error) and (checked := await self._checked(send, call)) is not _FAILED:
                    return checked
                if isinstance(error, Retry) or failures >= TRIES or _tries(error) == 1:
                    raise
                # Others may be answered meanwhile, and then it is known whether this concerns only the profile.
                raise Retry(error.code, str(error)) from None

        return await call(attempt)

    def _kept(self, send: Send, answer: object) -> object:
        if answer is not None:
            self._answered = send
        return answer

    async def _checked(self, send: Send, call: Call) -> object:
        """UNREADABLE if only this profile cannot be read, or its answer after all; _FAILED if that cannot be told."""
        other = self._answered
        if other is None or await call(partial(_try, other)) in (None, _FAILED):
            return _FAILED
        answer = await call(partial(_try, send))
        if answer is not _FAILED:
            return self._kept(send, answer)
        return _FAILED if await call(partial(_try, other)) in (None, _FAILED) else UNREADABLE


def _tries(error: ApiError) -> int:
    if isinstance(error, Retry):
        return TRIES
    return 1 if error.code == "segment_unauthorized" else REFUSED_TRIES


async def _try(send: Send) -> object:
    """The answer; _FAILED if there is none."""
    try:
        return await send()
    except WaitUntil:
        raise
    except ApiError:
        return _FAILED
