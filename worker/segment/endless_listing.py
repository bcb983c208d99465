"""Notices a listing that would never end: its cursors form a loop, its pages stay empty, or one page comes again.

A server that ignores the cursor answers every request with the same page. The cursors of such a listing may all be
different, so that `CursorGuard` finds no loop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from worker.errors import Permanent
from worker.segment.page import Page, profile_identifier

LEAST_ENTRIES = 5
"""Fewest entries of a page that is compared: a space with a few busy profiles may list them twice in a row."""


class RepeatedPageDetector:
    """Compares the identifiers of each page with those of the page before. Keeps those of one page."""

    def __init__(self) -> None:
        self._number = 0
        self._identifiers: Sequence[str] = ()
        self._next_cursor: str | None = None

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
        if not is_repeated or page.next_cursor == self._next_cursor:  # a cursor that repeats is for `CursorGuard`
            self._number, self._identifiers, self._next_cursor = number, identifiers, page.next_cursor
            return page
        text = f"it lists the same {len(identifiers):,} profiles as the page before, so the cursor has no effect"
        return page if page.doubt else replace(page, doubt=text)


@dataclass(frozen=True)
class CursorGuard:
    """Fails a listing that would never end: its cursors form a loop, or its pages stay empty.

    A loop of any length is found in constant memory by Brent's algorithm (R. P. Brent, 1980, "An improved Monte Carlo
    factorization algorithm"): one remembered cursor, replaced at every power of two. The state is part of the
    checkpoint.

    Attributes:
        remembered: Digest of one earlier cursor.
        steps: Pages since then.
        power: Pages after which the next cursor is remembered.
        empty_pages: Empty pages in a row.
    """

    remembered: str = ""
    steps: int = 0
    power: int = 1
    empty_pages: int = 0

    def advance(self, cursor: str, *, empty: bool, max_empty_pages: int, space_id: str, page: int) -> CursorGuard:
        """Returns the state after a page.

        Args:
            cursor: The cursor that the page names as the next.
            empty: Whether the page had no entries.
            max_empty_pages: Empty pages in a row that are too many.
            space_id: Of the space, for messages.
            page: Number of the page, for messages.

        Raises:
            Permanent: `cursor_loop` or `empty_pages`.
        """
        empty_pages = self.empty_pages + 1 if empty else 0
        if empty_pages >= max_empty_pages:
            raise Permanent(
                "empty_pages",
                f"Segment, space {space_id}, page {page}: the last of {empty_pages} empty pages in a row; the "
                "listing does not end",
            )
        digest = hashlib.blake2b(cursor.encode(errors="replace"), digest_size=12).hexdigest()
        if digest == self.remembered:
            raise Permanent(
                "cursor_loop",
                f"Segment, space {space_id}: the cursor after page {page} repeats the one of {self.steps + 1} pages "
                "before, so the listing is a loop",
            )
        if self.steps + 1 == self.power:
            return CursorGuard(digest, 0, self.power * 2, empty_pages)
        return replace(self, steps=self.steps + 1, empty_pages=empty_pages)

    def encode(self) -> str:
        """Writes the state as one line of text, for the checkpoint."""
        return f"{self.remembered}:{self.steps}:{self.power}:{self.empty_pages}"

    @classmethod
    def decode(cls, text: str) -> CursorGuard:
        """Reads what `encode` wrote; an empty text is a fresh guard."""
        if not text:
            return cls()
        remembered, *numbers = text.split(":")
        return cls(remembered, *map(int, numbers))
