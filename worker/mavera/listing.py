"""Reads Mavera's list of personas page by page, and reports whether all of it was read.

A listed persona exists. A persona that is not listed is absent only if the list is complete.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from worker.mavera.client import MaveraClient
from worker.mavera.persona import ListPage

MAX_PAGES = 200
ATTEMPTS = 3
"""Number of times that a page in doubt is requested."""

Call = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


async def list_pages(client: MaveraClient, family: str, call: Call) -> AsyncIterator[ListPage]:
    """Yields the pages of the personas whose text contains `family`, up to `MAX_PAGES`.

    The list is complete if no page has a doubt. A page in doubt is requested again; the last answer counts.

    Args:
        client: Client of the account.
        family: The family of our references; empty for all personas.
        call: Sends one request that may be repeated.

    Raises:
        ApiError, Defer: Whatever `call` raises.
    """
    cursor: str | None = None
    seen: set[str] = set()
    rows = 0
    for number in range(MAX_PAGES):
        sent, before = cursor, rows
        for _ in range(ATTEMPTS):
            page: ListPage = await call(
                lambda: client.list_page(family, sent, before=before, pages=number)  # noqa: B023
            )
            if not page.doubt:
                break
        cursor, rows = page.cursor, rows + page.rows
        if cursor in seen:
            page = replace(page, doubt="its cursor repeats")
        elif number == MAX_PAGES - 1 and cursor is not None:
            page = replace(page, doubt=f"it has more than {MAX_PAGES} pages", endless=True)
        yield page
        if cursor is None or cursor in seen:
            return
        seen.add(cursor)
