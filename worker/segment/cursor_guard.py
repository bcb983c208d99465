"""Guards of a listing that would never end: a cursor that comes again, and empty pages without end.

A loop of any length is found in constant memory by Brent's algorithm (R. P. Brent, 1980, "An improved Monte Carlo
factorization algorithm"): one remembered cursor, replaced at every power of two. Pure; its state is part of the
checkpoint.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from worker.errors import Permanent


@dataclass(frozen=True)
class CursorGuard:
    """State of the guards. remembered: digest of one earlier cursor; steps since then; power: steps until the next."""

    remembered: str = ""
    steps: int = 0
    power: int = 1
    empty_pages: int = 0

    def advance(self, cursor: str, *, empty: bool, max_empty_pages: int, space_id: str, page: int) -> CursorGuard:
        """The state after a page that was `empty` or not and named `cursor` as the next.

        Raises Permanent `cursor_loop` or `empty_pages`; space_id, page: where that was, for the message.
        """
        empty_pages = self.empty_pages + 1 if empty else 0
        if empty_pages >= max_empty_pages:
            raise Permanent(
                "empty_pages",
                f"Segment, space {space_id}, page {page}: the last of {empty_pages} empty pages in a row, and no end",
            )
        digest = hashlib.blake2b(cursor.encode(errors="replace"), digest_size=12).hexdigest()
        if digest == self.remembered:
            raise Permanent(
                "cursor_loop",
                f"Segment, space {space_id}: the cursor after page {page} is that of {self.steps + 1} pages before; "
                "the listing is a circle",
            )
        if self.steps + 1 == self.power:
            return CursorGuard(digest, 0, self.power * 2, empty_pages)
        return replace(self, steps=self.steps + 1, empty_pages=empty_pages)

    def encode(self) -> str:
        """The state as one line of text for the checkpoint."""
        return f"{self.remembered}:{self.steps}:{self.power}:{self.empty_pages}"

    @classmethod
    def decode(cls, text: str) -> CursorGuard:
        """Reads what `encode` wrote; '' is a fresh guard."""
        if not text:
            return cls()
        remembered, *numbers = text.split(":")
        return cls(remembered, *map(int, numbers))
