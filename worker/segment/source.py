"""The interface of a source: it lists profiles page by page, and fetches the traits of each page's profiles.

If an answer does not show whether more pages follow, the page is requested again. It is never treated as the last page,
because personas would then be made from a part of the space, and the history would get a wrong baseline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from worker.errors import ResumableStop, Retry
from worker.segment.page import Page

Call = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Sends one request within the rate limit, and repeats it after a transient failure."""


@dataclass(frozen=True)
class FetchedProfiles:
    """The profiles of a page with their traits.

    Attributes:
        profiles: The profiles that could be read.
        vanished: Number of profiles that were listed and no longer exist.
        unreadable: Number of profiles whose traits Segment does not return.
    """

    profiles: list[object]
    vanished: int = 0
    unreadable: int = 0


class Source(Protocol):
    """A source of profiles: a space in one dialect, or a file."""

    @property
    def concurrent_pages(self) -> int:
        """Number of pages that may be fetched at a time."""

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        """Fetches one page of the listing, by one request.

        Args:
            cursor: Cursor of the page; empty for the first page.
            number: Number of the page in the sync, from 1.
            before: Number of entries of all earlier pages; None if it is not known.

        Raises:
            ApiError: The page could not be read.
        """

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        """Fetches the traits of a page's profiles.

        Args:
            page: The page.
            number: Number of the page in the sync, from 1.
            call: Sends each request.

        Returns:
            The profiles with their traits, in the order of the page.

        Raises:
            ApiError: The traits could not be read.
        """


ATTEMPTS = 3
"""Number of times that a page in doubt is requested."""


async def fetch_certain_page(source: Source, cursor: str, number: int, before: int | None, call: Call) -> Page:
    """Fetches a page that either has a cursor for the next page or is certainly the last one.

    Args:
        source: The space or file.
        cursor: Cursor of the page; empty for the first page.
        number: Number of the page in the sync, from 1.
        before: Number of entries of all earlier pages; None if it is not known.
        call: Sends one request that may be repeated.

    Raises:
        ResumableStop: `listing_incomplete`: the last answer is still in doubt.
        ApiError: As `source.fetch_page`.
    """
    attempts = 0

    async def ask() -> Page:
        nonlocal attempts
        page = await source.fetch_page(cursor, number, before)
        if not page.doubt:
            return page
        attempts += 1
        if attempts < ATTEMPTS:
            raise Retry("listing_incomplete", page.doubt)
        raise ResumableStop(
            "listing_incomplete",
            f"{page.doubt}. The space may not have been read to its end, so no persona was changed",
            hint="If this happens again after a resume, report the keys that the message names.",
        )

    found: Page = await call(ask)
    return found
