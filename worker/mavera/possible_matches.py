"""Finds the rows of Mavera's list that may be a wanted persona although they do not show its reference.

A list may truncate descriptions or leave them out. The reference is at the end of a description and is lost first, so a
row without one proves nothing. A row of a custom persona is a possible match if

- its name or the beginning of its description is that of the wanted persona, unless its description is shown whole; or
- its description is truncated, and its name has our prefix or the search for our family found it.

A description is shown whole if another row shows a reference at the end of a longer one. A persona with a reference
that is known from elsewhere (a record, or an answer with the whole description) is not a possible match.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from worker.mavera.payload import NAME_PREFIX
from worker.mavera.persona import Persona
from worker.mavera.reference import Reference, find_reference

_ELLIPSES = ("…", "...")
_OPENING = re.compile(r"[^\d.]{4,}\.?")
_WORD_MARGIN = 40
"""Characters by which a text truncated between words may be shorter than the longest text of the list."""
_ENOUGH_TEXT = 60
"""Characters of a description that suffice to distinguish a cluster's persona from those of other clusters."""


@dataclass(frozen=True)
class WantedPersona:
    """The wanted persona, as it would be sent."""

    reference: Reference
    name: str
    description: str

    @property
    def opening(self) -> str:
        """The first words of the description, up to its first number; empty if they are too short to be distinctive."""
        found = _OPENING.match(self.description)
        return _plain(found.group()) if found and len(found.group()) >= 16 else ""


def visible_reference(persona: Persona) -> Reference | None:
    """Returns the reference that a row shows; in a truncated text a reference may be quoted, so it does not count."""
    text = (persona.description or "").rstrip()
    found = find_reference(text)
    return None if found and text.endswith(_ELLIPSES) else found


def find_possible_matches(
    rows: Sequence[Persona],
    wanted: WantedPersona,
    known: Collection[str],
    *,
    searched: bool = False,
    other_names: Collection[str] = (),
) -> list[Persona]:
    """Finds the rows that may be the wanted persona, the most similar first.

    Args:
        rows: Rows of the list, in any order.
        wanted: The wanted persona; no row shows its reference.
        known: Ids of personas that are certainly others.
        searched: Whether the list answers a search for the family of our references.
        other_names: Names of the personas of the other clusters; a truncated row with such a name belongs to them.
    """
    candidates = [
        row
        for row in {row.id: row for row in rows}.values()
        if row.is_custom is not False and row.id not in known and not row.ends_with_reference
    ]
    if not candidates:
        return []
    texts = [row.description or "" for row in rows]
    others = set(map(_plain, other_names)) - {_plain(wanted.name)}
    named = any(row.name for row in rows)
    lengths = Counter(len(text) for text in {row.description for row in rows if row.description})
    cut_at = max(lengths, default=0)
    alike, remote = [], []
    for row in candidates:
        text = (row.description or "").rstrip()
        cut = not text or text.endswith(_ELLIPSES) or (len(text) == cut_at and lengths[cut_at] > 1)
        if _is_alike(row, wanted, named=named):
            if cut or not is_shown_whole(text, texts):
                alike.append(row)
        elif (
            cut
            and _plain(row.name or "") not in others
            and (searched or _plain(row.name or "").startswith(_plain(NAME_PREFIX)))
        ):
            remote.append(row)
    return alike + remote


def is_shown_whole(text: str, texts: Iterable[str]) -> bool:
    """Returns whether a description is shown whole, because a longer one among `texts` ends with a reference."""
    text = text.rstrip()
    longest = max(map(_referred_length, texts), default=0)
    return bool(text) and not text.endswith(_ELLIPSES) and len(text) + _WORD_MARGIN <= longest


def matches_beginning(row: Persona, wanted: WantedPersona) -> bool:
    """Returns whether a row has the wanted name and shows enough of the wanted description to identify its cluster."""
    text = (row.description or "").rstrip()
    for mark in _ELLIPSES:
        text = text.removesuffix(mark).rstrip()
    same_name = _plain(row.name or "") == _plain(wanted.name)
    return same_name and len(text) >= _ENOUGH_TEXT and wanted.description.startswith(text)


def _is_alike(row: Persona, wanted: WantedPersona, *, named: bool) -> bool:
    """Returns whether a row resembles the wanted persona.

    Args:
        row: A row of the list of personas at Mavera.
        wanted: The persona as it would be sent.
        named: Whether the list shows names at all.
    """
    name, text = _plain(row.name or ""), _plain(row.description or "")
    if wanted.opening and text.startswith(wanted.opening):
        return True
    if not name:
        # A row with an id only proves nothing, unless it is marked as custom. A row with other fields may have its name
        # in one of them.
        bare = row.created_at is None and not row.model_extra
        return row.is_custom is True or (not named and not text and not bare)
    stem = name.rstrip(".…").rstrip()
    return name == _plain(wanted.name) or (name.endswith(_ELLIPSES) and _plain(wanted.name).startswith(stem))


def _referred_length(text: str) -> int:
    """Returns the length of a description that ends with a reference; 0 for any other."""
    text = text.rstrip()
    found = find_reference(text)
    return len(text) if found and text.endswith(str(found)) else 0


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
