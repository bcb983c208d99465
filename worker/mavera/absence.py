"""Which rows of Mavera's list may be a persona that is looked for, although its reference cannot be read there. Pure.

A list may show descriptions that are cut short, or none. The reference is at the end of a description, so it is the
first thing to be lost; a row without one then proves nothing. Such a row is a suspect if it may be custom and

    its name, or the beginning of its description, is that of the persona    unless it is shown whole
    it is named as we name personas, or the search for our family found it   if it is plainly cut

A description is shown whole if another row of the list shows a reference at the end of a longer one. A persona whose
reference is known otherwise (a record, or an answer that shows all of it) is no suspect.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from worker.mavera.client import Persona
from worker.mavera.payload import NAME_PREFIX
from worker.mavera.reference import Reference, find

_ELLIPSES = ("…", "...")
_OPENING = re.compile(r"[^\d.]{4,}\.?")
_WORD_MARGIN = 40
"""Characters by which a text that is cut between words may be shorter than the longest that the list shows."""
_ENOUGH_TEXT = 60
"""Characters of a description that tell a cluster's persona, with its numbers, from those of other clusters."""


@dataclass(frozen=True)
class WantedPersona:
    """The persona that is looked for, as it would be sent."""

    reference: Reference
    name: str
    description: str

    @property
    def opening(self) -> str:
        """The first words of the description, up to its first number."""
        found = _OPENING.match(self.description)
        return _plain(found.group()) if found and len(found.group()) >= 16 else ""


def shown_reference(persona: Persona) -> Reference | None:
    """The reference that a row shows. In a text that is cut, only one at its end counts: others may be quoted."""
    text = (persona.description or "").rstrip()
    found = find(text)
    return None if found and text.endswith(_ELLIPSES) else found


def suspects(
    rows: Sequence[Persona],
    wanted: WantedPersona,
    known: Collection[str],
    *,
    searched: bool = False,
    other_names: Collection[str] = (),
) -> list[Persona]:
    """Finds the rows that may be the wanted persona, those first that are most like it.

    Args:
        rows: Of the list, in any order.
        wanted: What is looked for; no row shows its reference.
        known: Ids of personas that are surely others.
        searched: Whether the list is the answer to a search for the family of our references.
        other_names: Names of the personas of the same rules' other clusters, for which such a row is a suspect.
    """
    texts = [row.description or "" for row in rows]
    others = set(map(_plain, other_names)) - {_plain(wanted.name)}
    named = any(row.name for row in rows)
    lengths = Counter(len(text) for text in {row.description for row in rows if row.description})
    cut_at = max(lengths, default=0)
    alike, remote = [], []
    for row in {row.id: row for row in rows}.values():
        if row.is_custom is False or row.id in known or _referred_length(row.description or ""):
            continue
        text = (row.description or "").rstrip()
        cut = not text or text.endswith(_ELLIPSES) or (len(text) == cut_at and lengths[cut_at] > 1)
        if _is_alike(row, wanted, named=named):
            if cut or not is_whole(text, texts):
                alike.append(row)
        elif (
            cut
            and _plain(row.name or "") not in others
            and (searched or _plain(row.name or "").startswith(_plain(NAME_PREFIX)))
        ):
            remote.append(row)
    return alike + remote


def is_whole(text: str, texts: Iterable[str]) -> bool:
    """Whether a description is shown whole, since another of the same answers ends with a reference and is longer."""
    text = text.rstrip()
    longest = max(map(_referred_length, texts), default=0)
    return bool(text) and not text.endswith(_ELLIPSES) and len(text) + _WORD_MARGIN <= longest


def is_beginning(row: Persona, wanted: WantedPersona) -> bool:
    """Whether a row has the wanted name, and shows so much of the wanted description that it is no other cluster's."""
    text = (row.description or "").rstrip()
    for mark in _ELLIPSES:
        text = text.removesuffix(mark).rstrip()
    same_name = _plain(row.name or "") == _plain(wanted.name)
    return same_name and len(text) >= _ENOUGH_TEXT and wanted.description.startswith(text)


def _is_alike(row: Persona, wanted: WantedPersona, *, named: bool) -> bool:
    """named: whether the list shows names at all."""
    name, text = _plain(row.name or ""), _plain(row.description or "")
    if wanted.opening and text.startswith(wanted.opening):
        return True
    if not name:
        # A row with nothing but an id is odd; one that is custom may be anybody's.
        bare = row.created_at is None and "object" not in (row.model_extra or {})
        return row.is_custom is True or (not named and not text and not bare)
    stem = name.rstrip(".…").rstrip()
    return name == _plain(wanted.name) or (name.endswith(_ELLIPSES) and _plain(wanted.name).startswith(stem))


def _referred_length(text: str) -> int:
    """The length of a description that ends with a reference; 0 for any other."""
    text = text.rstrip()
    found = find(text)
    return len(text) if found and text.endswith(str(found)) else 0


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
