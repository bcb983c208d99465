"""A space that exists only as a rule, read in virtual time: sources that answer after as long as an API would take.

The entries of a page come from a ring of pages made once, so no body is kept and nothing is on a wire. What the
processor would be busy with passes as time in which nothing else runs. Every page is a request of its own, as in the
program; the traits of profiles are asked for in groups, as large as those in which the limiter gives out its slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from producer.sandbox import SpaceSpec, profiles
from tests.bench.scale.inputs import CONCURRENT_REQUESTS, PAGE_SIZE, Inputs, pace_s
from worker.segment import Call, FetchedProfiles, Page
from worker.segment.profile_api import MAX_PAGE_SIZE

_RING_PAGES = 50
_FILE_PAGE = 500
_GROUP_S = 0.25


class Ring:
    """The entries of a virtual space of `size` profiles; its content repeats."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._entries = _entries()

    def page(self, start: int, most: int) -> list[object]:
        """Up to `most` entries from `start` on."""
        first = start % len(self._entries)
        return self._entries[first : first + min(most, self.size - start)]


@cache
def _entries() -> list[object]:
    return list(profiles(SpaceSpec(_RING_PAGES * _FILE_PAGE, "wide")))


@dataclass
class Calls:
    """How many requests were made."""

    made: int = 0


class _Listing:
    """Pages one after the other; a cursor is where the page begins. busy: passes time that the processor needs."""

    concurrent_pages = 2
    page_size = PAGE_SIZE

    def __init__(self, ring: Ring, inputs: Inputs, calls: Calls, busy: Callable[[float], None]) -> None:
        self._ring = ring
        self._inputs = inputs
        self._calls = calls
        self._busy = busy

    def _page(self, cursor: str) -> Page:
        start = int(cursor or 0)
        end = start + self.page_size
        return Page(self._ring.page(start, self.page_size), str(end) if end < self._ring.size else None)


class InlinePages(_Listing):
    """The `inline` dialect. traits: False for the listing alone."""

    def __init__(
        self, ring: Ring, inputs: Inputs, calls: Calls, busy: Callable[[float], None], *, traits: bool
    ) -> None:
        super().__init__(ring, inputs, calls, busy)
        self._traits = traits

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        self._calls.made += 1
        await asyncio.sleep(self._inputs.page_s if self._traits else self._inputs.listing_s)
        self._busy(self._inputs.turn_s)
        return self._page(cursor)

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        if self._traits:
            await asyncio.sleep(0)  # the request for the next page goes out first
            self._busy(self._inputs.fold_s)
        return FetchedProfiles(page.profiles)


class Slots:
    """Evenly paced slots of a space's limit, and of the requests side by side. Times are of the running loop.

    In `profile-api` it replaces the limiter, of which millions of slots one by one would take minutes.
    """

    def __init__(self, inputs: Inputs) -> None:
        self._gap_s = max(pace_s(inputs.rate), inputs.traits_s / CONCURRENT_REQUESTS)
        self._next = 0.0

    async def wait_for_slot(self, longest_s: float) -> None:
        """Returns when one request may be sent."""
        await self.slots(1)

    async def slots(self, number: int) -> None:
        """Returns when the last of so many requests may be sent."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now) + number * self._gap_s
        await asyncio.sleep(self._next - now - self._gap_s)


class ProfileApiPages(_Listing):
    """The `profile-api` dialect."""

    concurrent_pages = 3
    page_size = MAX_PAGE_SIZE

    def __init__(self, ring: Ring, inputs: Inputs, calls: Calls, busy: Callable[[float], None], slots: Slots) -> None:
        super().__init__(ring, inputs, calls, busy)
        self._slots = slots

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        self._calls.made += 1
        await asyncio.sleep(self._inputs.listing_s)
        self._busy(self._inputs.turn_s)
        return self._page(cursor)

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        group = max(1, int(_GROUP_S * self._inputs.rate))
        asked = len(page.profiles)
        for start in range(0, asked, group):
            requests = min(group, asked - start)
            self._calls.made += requests
            await self._slots.slots(requests)
            self._busy(requests * self._inputs.request_s)
        await asyncio.sleep(self._inputs.traits_s)
        return FetchedProfiles(page.profiles)


class FileLines(_Listing):
    """A file, in pages of lines."""

    concurrent_pages = 1
    page_size = _FILE_PAGE

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        await asyncio.sleep(0)
        page = self._page(cursor)
        self._busy(len(page.profiles) * self._inputs.line_s)
        return page

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        return FetchedProfiles(page.profiles)
