"""What a fetch job reads: a listing of pages, and the profiles of each page with their traits.

A page whose answer leaves open whether the listing goes on is requested again, and never taken for the last one:
personas would be made from a part of the space, and the history would get a wrong baseline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from worker.errors import ResumableStop, Retry
from worker.segment.pagination import Page

Call = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Sends one request, throttled, and repeats it after a transient failure."""


@dataclass(frozen=True)
class FetchedProfiles:
    """The profiles of a page with their traits.

    Attributes:
        profiles: Those that could be read.
        vanished: How many were listed and no longer exist.
        unreadable: How many Segment does not return traits for.
    """

    profiles: list[object]
    vanished: int = 0
    unreadable: int = 0


class Source(Protocol):
    """A space in one dialect, or a file."""

    @property
    def concurrent_pages(self) -> int:
        """How many pages may be under way at a time."""

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        """Fetches one page of the listing, by one request.

        Args:
            cursor: Of the page; empty for the first.
            number: Of the page in the sync, from 1.
            before: How many entries the pages before it had; None if that is not known.

        Raises:
            ApiError: It could not be read.
        """

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        """Fetches the profiles of a page with their traits, in the order of the page; `call` sends each request."""


ATTEMPTS = 3
"""How often a page that is in doubt is requested."""


async def fetch_certain_page(source: Source, cursor: str, number: int, before: int | None, call: Call) -> Page:
    """Reads a page that names the next one, or is the last one for certain.

    Args:
        source: The space or file.
        cursor: Of the page; empty for the first.
        number: Of the page in the sync, from 1.
        before: How many entries the pages before it had; None if that is not known.
        call: Sends one request that may be repeated.

    Raises:
        ApiError: ResumableStop `listing_incomplete` if the answer stays in doubt; else as of `source.fetch_page`.
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
            f"{page.doubt}. Whether the space was read to its end is not known, so nothing was made of it. "
            "If it is so again when the sync goes on, report the keys",
        )

    found: Page = await call(ask)
    return found
