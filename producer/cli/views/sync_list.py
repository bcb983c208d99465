"""The table of `list`: a row for each sync, with fewer columns on a narrow terminal. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from producer.cli.terminal import NARROW
from producer.cli.views.sync_report import STYLES
from producer.cli.views.time_formats import local_time, short_time, zone
from worker.models.sync import Sync
from worker.models.versions import UnreadableSync
from worker.printable import printable

MAX_REMARK_LENGTH = 60
"""Characters of what a sync waits for that a list shows."""

TABLE_WIDTH = 80
"""Columns below which the list has no times and no table."""

_GAP = 2
_LEAST_SPACE_WIDTH, _LEAST_REMARK_WIDTH = 12, 20


@dataclass(frozen=True)
class _Row:
    """A row of the list. `created_at`: Unix seconds."""

    sync_id: str
    space_id: str
    state: Text
    profiles: str
    pages: str
    created_at: float | None
    remark: str


def sync_table(syncs: Sequence[Sync | UnreadableSync], width: int) -> RenderableType:
    """Returns the list of syncs. Ids of syncs are whole, to be copied; those of spaces are shortened to the room there
    is.

    Args:
        syncs: The syncs in the order of the rows.
        width: Columns of the terminal. Below `TABLE_WIDTH`, a remark is on a separate line.
    """
    rows = [_unreadable_row(sync) if isinstance(sync, UnreadableSync) else _row(sync) for sync in syncs]
    return _table(rows, width) if width >= TABLE_WIDTH else _narrow_list(rows, width)


def shorten_middle(text: str, length: int) -> str:
    """Returns a text of at most `length` characters, with `…` instead of its middle: ids often differ only at their
    ends.
    """
    if len(text) <= length:
        return text
    kept = max(length - 1, 2)
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def _table(rows: Sequence[_Row], width: int) -> Table:
    wide = width >= NARROW
    headings = ["Sync", "State", *(["Profiles", "Pages"] if wide else []), "Asked" if wide else f"Asked {zone()}"]
    cells: list[list[str | Text]] = [
        [row.sync_id, row.state, *([row.profiles, row.pages] if wide else []), _time(row, wide=wide)] for row in rows
    ]
    taken = sum(max(map(len, column)) + _GAP for column in zip(headings, *cells, strict=True))
    remark_width = min(max((len(row.remark) for row in rows), default=0), _LEAST_REMARK_WIDTH)
    space_width = max(width - taken - _GAP - max(remark_width, len("Remark")), _LEAST_SPACE_WIDTH)

    table = Table(box=None, pad_edge=False)
    table.add_column(headings[0], no_wrap=True)
    table.add_column("Space", no_wrap=True)
    for heading in headings[1:]:
        table.add_column(heading, no_wrap=True, justify="right" if heading in {"Profiles", "Pages"} else "left")
    table.add_column("Remark", overflow="fold")
    for row, (sync_id, *others) in zip(rows, cells, strict=True):
        table.add_row(sync_id, shorten_middle(row.space_id, space_width), *others, Text(row.remark))
    return table


def _narrow_list(rows: Sequence[_Row], width: int) -> RenderableType:
    ids = max((len(row.sync_id) for row in rows), default=0)
    states = max((len(row.state) for row in rows), default=0)
    room = max(width - ids - states - 2 * _GAP, _LEAST_SPACE_WIDTH)
    spaces = [shorten_middle(row.space_id, room) for row in rows]
    space_width = max(map(len, spaces), default=0)
    parts: list[RenderableType] = []
    for row, space in zip(rows, spaces, strict=True):
        parts.append(Text.assemble(row.sync_id.ljust(ids + _GAP), space.ljust(space_width + _GAP), row.state))
        if row.remark:
            parts.append(Padding(Text(row.remark, "dim"), (0, 0, 0, _GAP)))
    return Group(*parts)


def _time(row: _Row, *, wide: bool) -> str:
    if row.created_at is None:
        return ""
    return local_time(row.created_at) if wide else short_time(row.created_at)


def _row(sync: Sync) -> _Row:
    remark = printable(sync.error.code if sync.error else _shorten_note(sync.note))
    state = Text(sync.status, STYLES[sync.state])
    return _Row(sync.id, sync.request.space_id, state, f"{sync.profiles:,}", f"{sync.pages:,}", sync.created_at, remark)


def _unreadable_row(sync: UnreadableSync) -> _Row:
    """Returns the row of a sync that this version cannot read."""
    state = Text("unreadable", "red")
    return _Row(printable(sync.id), printable(sync.space_id) or "?", state, "", "", sync.created_at, sync.code)


def _shorten_note(note: str) -> str:
    """Returns a note that fits into a row: without the id of a request, and at most `MAX_REMARK_LENGTH` characters."""
    whole = re.sub(r" \(Request-Id [^)]*\)", "", note)
    return whole if len(whole) <= MAX_REMARK_LENGTH else f"{whole[: MAX_REMARK_LENGTH - 1]}…"
