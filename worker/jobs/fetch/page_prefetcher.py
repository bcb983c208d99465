"""Pages in order, the next ones already on their way.

Page i+1's cursor arrives with page i, so a page asks for the next one itself, the moment it knows where it is; what a
page still has to fetch for its own entries then goes on beside it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from worker.concurrency import give_up
from worker.segment import Call, Source, fetch_certain_page


@dataclass(frozen=True)
class FetchedPage:
    """A page with its entries.

    vanished, unreadable, left_out, merged: as in Aggregate. next_cursor: None at the end of the listing. listed: how
    many entries it had, with those that vanished, cannot be read or are left out.
    """

    entries: list[object]
    vanished: int
    unreadable: int
    left_out: int
    listed: int
    next_cursor: str | None
    merged: int = 0


class PagePrefetcher:
    """Reads a listing from a cursor on, at most `source.ahead` pages at a time.

    call: sends one request to the source, with all the caller that there is. wanted: whether a further page should be
    asked for, given how many entries are on their way already. before: how many entries the pages before have.
    """

    def __init__(
        self, source: Source, call: Call, wanted: Callable[[int], bool], cursor: str, number: int, before: int = 0
    ) -> None:
        self._source = source
        self._call = call
        self._wanted = wanted
        self._following: tuple[str, int] | None = (cursor, number)
        self._on_their_way: deque[asyncio.Task[FetchedPage]] = deque()
        self._listed = 0
        self._before = before

    async def next(self) -> FetchedPage | None:
        """The next page; None if there is none, or none is wanted. Raises whatever reading it raised."""
        self._start()
        if not self._on_their_way:
            return None
        page = await self._on_their_way[0]
        self._on_their_way.popleft()
        self._listed -= page.listed
        return page

    async def close(self) -> None:
        """Gives up what is on its way."""
        await give_up(self._on_their_way)

    def _start(self) -> None:
        if self._following and len(self._on_their_way) < self._source.ahead and self._wanted(self._listed):
            cursor, number = self._following
            self._following = None
            self._on_their_way.append(asyncio.create_task(self._read(cursor, number)))

    async def _read(self, cursor: str, number: int) -> FetchedPage:
        page = await fetch_certain_page(self._source, cursor, number, self._before, self._call)
        listed = len(page.profiles) + page.left_out
        self._listed += listed
        self._before += listed
        if page.next_cursor is not None:
            self._following = (page.next_cursor, number + 1)
            self._start()
        entries = await self._source.entries(page, number, self._call)
        return FetchedPage(
            entries=entries.profiles,
            vanished=entries.vanished,
            unreadable=entries.unreadable,
            left_out=page.left_out,
            listed=listed,
            next_cursor=page.next_cursor,
            merged=page.merged,
        )
