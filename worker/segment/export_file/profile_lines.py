"""From lines to the profiles of a page. Pure and total: a line that is no profile is an entry that is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from worker.http.body import parse_json

_NULLS = frozenset({"", "null", "none", "nan", "nil", "\\n", "<null>", "undefined"})
"""What exports write for NULL, in small letters. No identifier of Segment is one of these."""


@dataclass(frozen=True)
class Rows:
    """What lines hold. entries: as they are in the file; merged: how many profiles are part of others and left out."""

    entries: list[object]
    merged: int = 0


def read_rows(lines: Iterable[bytes | None]) -> Rows:
    """An entry for each line that is not blank; None for one that is too long (None) or not JSON.

    A profile that was merged into another is left out and counted. A byte order mark before a line does no harm.
    """
    parsed = [_entry(line) for line in lines if line is None or (line and not line.isspace())]
    kept = [
        entry
        for entry in parsed
        if not (type(entry) is dict and entry.get("merged_to") is not None and _is_merged(entry))
    ]
    return Rows(kept, len(parsed) - len(kept))


def _is_merged(row: dict[str, object]) -> bool:
    """Whether `merged_to` names another profile. Empty values, NULL as text, and the profile's own id do not."""
    target = row["merged_to"]
    if isinstance(target, str):
        text = target.strip()
        return text.lower() not in _NULLS and text not in (row.get("id"), row.get("canonical_segment_id"))
    # Also false, an empty list or object, and the NaN that pandas writes for NULL.
    return bool(target) and target == target


def _entry(line: bytes | None) -> object:
    if line is None:
        return None
    try:
        return parse_json(line)
    except ValueError:
        return None
