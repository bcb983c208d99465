"""Asks for a page of a listing again while its answer leaves in doubt whether the listing goes on.

A listing whose end is in doubt must not be taken for complete: personas would be made from a part of the space, and
the history would have a wrong baseline.
"""

from __future__ import annotations

from worker.errors import ResumableStop, Retry
from worker.segment.page import Page
from worker.segment.source import Call, Source

ATTEMPTS = 3
"""How often a page that is in doubt is asked for."""


async def fetch_certain_page(source: Source, cursor: str, number: int, before: int | None, call: Call) -> Page:
    """Reads a page that names the next one, or is the last one for certain.

    Args:
        source: The space or file.
        cursor: Of the page; empty for the first.
        number: Of the page in the sync, from 1.
        before: How many entries the pages before it had; None if that is not known.
        call: Sends one request that may be repeated.

    Raises:
        ApiError: ResumableStop `listing_incomplete` if the answer stays in doubt; else as of `source.page`.
    """
    attempts = 0

    async def ask() -> Page:
        nonlocal attempts
        page = await source.page(cursor, number, before)
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
