"""Requests for the traits of single profiles: a profile that cannot be read is told from an API that does not answer.

Only a success elsewhere is evidence that the profile is at fault. So before a profile is given up, the last request for
traits that was answered well is sent again. If that is answered, the API is well and the profile is not; if it fails
too, or nothing has been answered so far, the failure is treated as one of the API: retried within the budget, or fatal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from worker.errors import ApiError, Retry, WaitUntil
from worker.segment.source import Call

TRIES = 5
"""Attempts after which a profile is given up if others are answered."""
REFUSED_TRIES = 2
"""The same if Segment refuses the request; a token that is refused is looked into at once."""
PROBES = 2
"""How often another profile must be answered, one time after the other, before one is given up."""

UNREADABLE = object()
"""The answer for a profile that is given up."""

Send = Callable[[], Awaitable[object]]


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
                answer = await send()
            except WaitUntil:
                raise
            except ApiError as error:
                failures += 1
                if failures >= _tries(error) and await self._others_are_answered(call):
                    return UNREADABLE
                if isinstance(error, Retry) or failures >= TRIES or _tries(error) == 1:
                    raise
                # Others may be answered meanwhile, and then it is known whether this concerns only the profile.
                raise Retry(error.code, str(error)) from None
            if answer is not None:
                self._answered = send
            return answer

        return await call(attempt)

    async def _others_are_answered(self, call: Call) -> bool:
        for _ in range(PROBES):
            if self._answered is None or not await call(partial(_is_answered, self._answered)):
                return False
        return True


def _tries(error: ApiError) -> int:
    if isinstance(error, Retry):
        return TRIES
    return 1 if error.code == "segment_unauthorized" else REFUSED_TRIES


async def _is_answered(send: Send) -> bool:
    try:
        return await send() is not None
    except WaitUntil:
        raise
    except ApiError:
        return False
