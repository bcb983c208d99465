"""What a walk reads from: a list of pages, and the entries of each page with their traits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from worker.segment.page import Page

Call = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Sends one request that may be repeated: throttled, and again after a transient failure."""


@dataclass(frozen=True)
class Entries:
    """The profiles of a page with their traits.

    vanished: how many were listed but are no longer there. unreadable: how many Segment does not answer for.
    """

    profiles: list[object]
    vanished: int = 0
    unreadable: int = 0


class Source(Protocol):
    """A space in one dialect, or a file. ahead: how many pages may be on their way at a time."""

    @property
    def ahead(self) -> int: ...

    async def page(self, cursor: str, number: int, before: int | None = None) -> Page:
        """The page at `cursor` ('' for the first), the `number`-th of the sync; one request. Raises ApiError.

        before: how many entries the pages before it had, None if that is not known.
        """

    async def entries(self, page: Page, number: int, call: Call) -> Entries:
        """The profiles of a page with their traits, in the order of the page. Requests go through `call`."""
