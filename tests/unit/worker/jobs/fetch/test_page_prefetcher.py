"""The prefetcher sends the next request before it gives out a page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from worker.jobs.fetch import page_prefetcher
from worker.jobs.fetch.page_prefetcher import PagePrefetcher
from worker.segment import FetchedProfiles, Page


class _Listing:
    """Three pages of one profile. Notes each request when it is sent."""

    concurrent_pages = 2

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        self.sent.append(cursor or "first")
        await asyncio.sleep(0)
        return Page([{"traits": {}}], str(number) if number < 3 else None)

    async def fetch_traits(self, page: Page, number: int, call: object) -> FetchedProfiles:
        return FetchedProfiles(page.profiles)


async def _throttled(send: Callable[[], Awaitable[Any]]) -> Any:
    """A rate limit with room: its answer takes a few turns of the event loop."""
    for _ in range(5):
        await asyncio.sleep(0)
    return await send()


async def test_the_next_request_is_sent_before_a_page_is_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_prefetcher, "SENDING_S", 60)
    listing = _Listing()
    pages = PagePrefetcher(listing, _throttled, lambda waiting: True, "", 1)
    assert await pages.next()
    assert listing.sent == ["first", "1"]
    assert await pages.next()
    assert listing.sent == ["first", "1", "2"]
    assert await pages.next()
    assert await pages.next() is None


async def test_a_delayed_request_does_not_hold_back_a_page() -> None:
    listing, room = _Listing(), asyncio.Event()

    async def call(send: Callable[[], Awaitable[Any]]) -> Any:
        if listing.sent:
            await room.wait()
        return await send()

    pages = PagePrefetcher(listing, call, lambda waiting: True, "", 1)
    assert await pages.next()
    assert listing.sent == ["first"]
    room.set()
    assert await pages.next()
    await pages.close()
