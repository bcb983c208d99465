"""Parses lines into the entries of a page. Pure. A line that is not a profile becomes an entry that is not one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from worker.http.body import parse_json

_NULLS = frozenset({"", "null", "none", "nan", "nil", "\\n", "<null>", "undefined"})
"""Texts that exports write for NULL, in lower case. No identifier of Segment is one of these."""


@dataclass(frozen=True)
class ProfileRows:
    """The entries of some lines.

    Attributes:
        merged: Number of profiles that are left out because they were merged into others.
    """

    entries: list[object]
    merged: int = 0


def read_rows(lines: Iterable[bytes | None]) -> ProfileRows:
    """Parses each line that is not blank; a line that is too long (None) or not JSON becomes None.

    A profile that was merged into another is left out and counted. A byte order mark before a line is ignored.
    """
    return without_merged([_entry(line) for line in lines if line is None or (line and not line.isspace())])


def without_merged(entries: list[object]) -> ProfileRows:
    """Leaves out and counts the profiles that were merged into others."""
    kept = [
        entry
        for entry in entries
        if not (type(entry) is dict and entry.get("merged_to") is not None and _is_merged(entry))
    ]
    return ProfileRows(kept, len(entries) - len(kept))


def _is_merged(row: dict[str, object]) -> bool:
    """Returns whether `merged_to` names another profile. Empty values, NULL as text and its own id do not."""
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
