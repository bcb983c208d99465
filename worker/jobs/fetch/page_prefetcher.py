"""Reads pages in order and requests the next ones ahead.

The cursor of page i+1 arrives with page i, so a page starts the request for the next one as soon as it knows the
cursor. The traits of its own profiles are fetched meanwhile. Folding a page occupies the event loop, so a page is given
out once the next request is sent, unless the rate limit delays that request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from worker.concurrency import cancel_and_wait
from worker.segment import Call, Source, fetch_certain_page

SENDING_S = 0.005
"""How long a page is held back for the next request, in seconds. A slot of the rate limit takes one round trip to Redis
if there is room."""
TURNS = 4
"""Turns of the event loop that aiohttp may take until it has written a request."""


@dataclass(frozen=True)
class FetchedPage:
    """A page with the traits of its profiles.

    Attributes:
        entries: The profiles, as they came.
        vanished: Profiles that were listed and no longer exist.
        unreadable: Profiles whose traits Segment does not return.
        left_out: Profiles that are not in the sample.
        listed: All entries that the page listed, including the three kinds above.
        next_cursor: Cursor of the next page; None at the end of the listing.
        merged: Rows of a file that were merged into other profiles.
    """

    entries: list[object]
    vanished: int
    unreadable: int
    left_out: int
    listed: int
    next_cursor: str | None
    merged: int = 0


class PagePrefetcher:
    """Reads a listing from a cursor on, with at most `source.concurrent_pages` pages under way at a time.

    Args:
        source: What is read.
        call: Sends one request, throttled, and repeated if needed.
        wanted: Returns whether a further page should be requested, given how many entries are read and not yet taken.
        cursor: Of the first page to read; empty for the first of the listing.
        number: Number of that page in the sync, from 1.
        before: How many entries the pages before it have.
    """

    def __init__(
        self, source: Source, call: Call, wanted: Callable[[int], bool], cursor: str, number: int, before: int = 0
    ) -> None:
        self._source = source
        self._call = call
        self._wanted = wanted
        self._next_page: tuple[str, int] | None = (cursor, number)
        self._under_way: deque[asyncio.Task[FetchedPage]] = deque()
        self._waiting = 0
        self._before = before
        self._sent = asyncio.Event()

    async def next(self) -> FetchedPage | None:
        """Returns the next page; None if there is none or none is wanted. Raises what reading it raised."""
        self._start()
        if not self._under_way:
            return None
        page = await self._under_way[0]
        self._under_way.popleft()
        await self._wait_until_sent()
        self._waiting -= page.listed
        return page

    async def close(self) -> None:
        """Cancels the requests that are under way."""
        await cancel_and_wait(self._under_way)

    def _start(self) -> None:
        if self._next_page and len(self._under_way) < self._source.concurrent_pages and self._wanted(self._waiting):
            cursor, number = self._next_page
            self._next_page = None
            self._sent.clear()
            self._under_way.append(asyncio.create_task(self._fetch(cursor, number)))

    async def _wait_until_sent(self) -> None:
        """Waits until the last request under way is sent, for at most `SENDING_S`."""
        if self._under_way and not self._sent.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(SENDING_S):
                    await self._sent.wait()
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def _send(self, request: Callable[[], Awaitable[Any]]) -> Any:
        async def noted() -> Any:
            self._sent.set()
            return await request()

        return await self._call(noted)

    async def _fetch(self, cursor: str, number: int) -> FetchedPage:
        page = await fetch_certain_page(self._source, cursor, number, self._before, self._send)
        listed = len(page.profiles) + page.left_out
        self._waiting += listed
        self._before += listed
        if page.next_cursor is not None:
            self._next_page = (page.next_cursor, number + 1)
            self._start()
        entries = await self._source.fetch_traits(page, number, self._call)
        return FetchedPage(
            entries=entries.profiles,
            vanished=entries.vanished,
            unreadable=entries.unreadable,
            left_out=page.left_out,
            listed=listed,
            next_cursor=page.next_cursor,
            merged=page.merged,
        )
