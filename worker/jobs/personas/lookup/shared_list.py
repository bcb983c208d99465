"""Mavera's list of one account, read by one job for all jobs of the process that need it at the same time.

Without it, each of many syncs that begin to buy together would read the whole account, and the rate limit would
make them wait for one another's lists.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable

from worker.jobs.personas.lookup.persona_list import Listing


class SharedList:
    """The newest list of one account. It is kept only while a job uses it, because it may have many rows."""

    def __init__(self) -> None:
        self._newest: Callable[[], Listing | None] = lambda: None
        self._reading: asyncio.Future[None] | None = None

    async def get(self, read: Callable[[], Awaitable[Listing]], *, usable: Callable[[Listing], bool]) -> Listing:
        """Returns the newest list if it is usable; otherwise the one that another job is reading, or a new one.

        Args:
            read: Reads the list. If another job fails to, this one reads it, with its own retry budget.
            usable: Returns whether this job may use a list that another one has read.
        """
        known = self._known(usable)
        if known is None and self._reading is not None:
            await asyncio.wait({self._reading})
            known = self._known(usable)
        if known is not None:
            return known
        ended = self._reading = asyncio.get_running_loop().create_future()
        try:
            listing = await read()
            self._newest = weakref.ref(listing)
        finally:
            ended.set_result(None)
            if self._reading is ended:
                self._reading = None
        return listing

    def _known(self, usable: Callable[[Listing], bool]) -> Listing | None:
        newest = self._newest()
        return newest if newest is not None and usable(newest) else None
