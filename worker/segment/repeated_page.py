"""Notices a server that ignores the cursor and answers every request with the same page.

The cursors of such a listing may all be different, so `CursorGuard` finds no loop, and the listing would never end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from worker.segment.pagination import Page, profile_identifier

LEAST_ENTRIES = 5
"""Fewest entries of a page that is compared: a space with a few busy profiles may list them twice in a row."""


class RepeatedPageDetector:
    """Compares the identifiers of each page with those of the page before. Keeps those of one page."""

    def __init__(self) -> None:
        self._number = 0
        self._identifiers: Sequence[str] = ()

    def check(self, page: Page, number: int) -> Page:
        """Returns the page, with a doubt if it lists the profiles of the page before again, in the same order.

        Args:
            page: A page of the listing; one whose entries have no identifiers is not compared.
            number: Number of the page in the sync, from 1.
        """
        found = [profile_identifier(entry) for entry in page.profiles if isinstance(entry, dict)]
        identifiers = [name for name in found if name is not None]
        if len(identifiers) < max(LEAST_ENTRIES, len(page.profiles)):
            identifiers = []
        is_repeated = bool(identifiers) and self._number == number - 1 and identifiers == self._identifiers
        if not is_repeated:
            self._number, self._identifiers = number, identifiers
            return page
        text = f"it lists the same {len(identifiers):,} profiles as the page before, so the cursor has no effect"
        return page if page.doubt else replace(page, doubt=text)
