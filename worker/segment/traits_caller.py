"""Requests the traits of single profiles, and distinguishes an unreadable profile from an API that does not answer.

Only a success for another profile is evidence that the profile is at fault. Before a profile is skipped, three requests
are sent in sequence: the last successful request for traits, the profile's own, and the first one again. If only the
second fails, the API works and the profile is unreadable. If no request has succeeded so far, a few other profiles are
requested first. If none of them can be read either, or the space has no others, the failure is treated as one of the
API: it is retried within the budget, or is fatal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from worker.errors import ApiError, Retry, WaitUntil
from worker.segment.source import Call

TRIES = 5
"""Attempts after which a profile is skipped if others can be read."""
REFUSED_TRIES = 2
"""The same if Segment refuses the request. A refused token is checked after the first attempt."""

OTHERS = 3
"""Most other profiles that are requested if no request has succeeded so far."""

UNREADABLE = object()
"""The answer for a profile that is skipped."""

_FAILED = object()

T = TypeVar("T")

Send = Callable[[], Awaitable[object]]
FindOthers = Callable[[], Awaitable[Sequence[Send]]]
"""Finds requests for the traits of other profiles."""


async def retry_transient(send: Callable[[], Awaitable[T]], *, pause_s: float = 0.25) -> T:
    """Sends a request up to `TRIES` times without limiter and budget, for commands that read a few profiles.

    Args:
        send: Sends the request.
        pause_s: Seconds to wait after the first failure; the pause grows by as much with each failure.

    Raises:
        ApiError: The last failure, or one that is not transient.
    """
    for failures in range(1, TRIES):
        try:
            return await send()
        except WaitUntil:
            raise
        except Retry:
            await asyncio.sleep(pause_s * failures)
    return await send()


class TraitsCaller:
    """Sends the requests for traits of one source. Keeps the last successful request in memory."""

    def __init__(self) -> None:
        self._answered: Send | None = None
        self._search = asyncio.Lock()

    async def read(self, send: Send, call: Call, find_others: FindOthers | None = None) -> object:
        """Reads the traits of one profile.

        Args:
            send: Sends one request about the profile; returns None if the profile does not exist.
            call: Sends each request within the rate limit, and repeats it after a transient failure.
            find_others: Used if no request has succeeded so far.

        Returns:
            The answer to `send`, or UNREADABLE if only this profile cannot be read.

        Raises:
            ApiError, Defer: Whatever `call` raises.
        """
        failures = refusals = 0

        async def attempt() -> object:
            nonlocal failures, refusals
            try:
                return self._kept(send, await send())
            except WaitUntil:
                raise
            except ApiError as error:
                failures += 1
                # Failures of an outage before say nothing about a refusal that comes after it.
                refusals = 0 if isinstance(error, Retry) else refusals + 1
                # In an outage everybody fails, so the others are not requested after each failure.
                if failures % TRIES == _tries(error) % TRIES and find_others:
                    await self._search_others(find_others, call)
                if failures >= _tries(error) and (checked := await self._checked(send, call)) is not _FAILED:
                    return checked
                if isinstance(error, Retry) or refusals >= TRIES or _tries(error) == 1:
                    raise
                # Requests for other profiles may succeed meanwhile; they show whether only this profile is at fault.
                raise Retry(error.code, str(error), hint=error.hint) from None

        return await call(attempt)

    async def _search_others(self, find_others: FindOthers, call: Call) -> None:
        """Requests others until one is answered, unless a request has been answered already."""
        async with self._search:
            if self._answered is not None:
                return
            try:
                others = await find_others()
            except WaitUntil:
                raise
            except ApiError:
                return
            for other in others:
                answer = await call(partial(_try, other))
                if answer is not _FAILED and self._kept(other, answer) is not None:
                    return

    def _kept(self, send: Send, answer: object) -> object:
        if answer is not None:
            self._answered = send
        return answer

    async def _checked(self, send: Send, call: Call) -> object:
        """Returns UNREADABLE if only this profile cannot be read, its answer if it can; _FAILED if neither is known."""
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
    """Returns the answer, or _FAILED if the request fails. Raises WaitUntil."""
    try:
        return await send()
    except WaitUntil:
        raise
    except ApiError:
        return _FAILED
