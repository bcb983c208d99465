"""From lines to the entries of a page. Pure and total: a line that is no profile is an entry that is none."""

from __future__ import annotations

from collections.abc import Iterable

from worker.body import parse_json


def entries(lines: Iterable[bytes | None]) -> list[object]:
    """An entry for each line that is not blank; None for one that is too long (None) or no JSON.

    A profile that was merged into another is left out. A byte order mark before a line does no harm.
    """
    parsed = [_entry(line) for line in lines if line is None or (line and not line.isspace())]
    return [entry for entry in parsed if not (type(entry) is dict and entry.get("merged_to") is not None)]


def _entry(line: bytes | None) -> object:
    if line is None:
        return None
    try:
        return parse_json(line)
    except ValueError:
        return None
