"""From lines to the entries of a page. Pure and total: a line that is no profile is an entry that is none."""

from __future__ import annotations

from collections.abc import Iterable

from worker.body import parse_json

_BOM = b"\xef\xbb\xbf"


def entries(lines: Iterable[bytes | None], *, at_start: bool) -> list[object]:
    """An entry for each line that is not blank; None for one that is too long (None) or no JSON.

    A profile that was merged into another is left out. at_start: whether the lines begin the file, where a mark of its
    byte order may stand.
    """
    given = list(lines)
    if at_start and given and given[0] is not None:
        given[0] = given[0].removeprefix(_BOM)
    parsed = [_entry(line) for line in given if line is None or (line and not line.isspace())]
    return [entry for entry in parsed if not (type(entry) is dict and entry.get("merged_to") is not None)]


def _entry(line: bytes | None) -> object:
    if line is None:
        return None
    try:
        return parse_json(line)
    except ValueError:
        return None
