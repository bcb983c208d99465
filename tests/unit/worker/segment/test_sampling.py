"""A source of which a sample is read: the others are left out before anything is asked about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from worker.errors import Permanent
from worker.jobs.fetch.page_prefetcher import PagePrefetcher
from worker.segment import Call, FetchedProfiles, Page, SampledSource


class Pages:
    """Lists what it is given, one page each, and notes whose traits are asked for."""

    concurrent_pages = 1

    def __init__(self, *pages: list[object]) -> None:
        self._pages = pages
        self.asked: list[object] = []

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        return Page(self._pages[number - 1], str(number) if number < len(self._pages) else None)

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        self.asked += page.profiles
        return FetchedProfiles(page.profiles[1:], vanished=len(page.profiles[:1]))


async def _once(request: Callable[[], Awaitable[Any]]) -> Any:
    return await request()


def profiles(first: int, last: int) -> list[object]:
    return [{"id": str(i)} for i in range(first, last)]


async def test_only_the_sample_is_asked_about_and_every_profile_is_counted_somewhere() -> None:
    pages = Pages(profiles(0, 500), profiles(500, 1000))
    prefetcher = PagePrefetcher(SampledSource(pages, 0.1), _once, lambda _: True, "", 1)
    found = []
    while page := await prefetcher.next():
        found.append(page)
    assert 0 < len(pages.asked) < 200
    assert sum(page.left_out for page in found) == 1000 - len(pages.asked)
    assert sum(len(page.entries) + page.vanished for page in found) == len(pages.asked)


async def test_a_page_without_profiles_of_the_sample_is_not_an_empty_one() -> None:
    prefetcher = PagePrefetcher(SampledSource(Pages(profiles(0, 50), []), 1e-9), _once, lambda _: True, "", 1)
    first, second = await prefetcher.next(), await prefetcher.next()
    assert first
    assert second
    assert (first.entries, first.left_out, first.listed) == ([], 50, 50)
    assert (second.entries, second.left_out, second.listed) == ([], 0, 0)


async def test_a_page_without_any_identifier_ends_the_sync() -> None:
    source = SampledSource(Pages([{"traits": {}}, "no profile", {"traits": {}}]), 0.5)
    with pytest.raises(Permanent, match="no profile has an identifier") as raised:
        await source.fetch_page("", 1)
    assert raised.value.code == "no_ids"


@pytest.mark.parametrize("page", [[{"traits": {}}, *profiles(0, 9)], ["no profile"], []])
async def test_a_single_profile_without_one_does_not(page: list[object]) -> None:
    found = await SampledSource(Pages(page), 0.5).fetch_page("", 1)
    assert found.left_out + len(found.profiles) == len(page)
