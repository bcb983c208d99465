"""Finds the columns of a file or table that hold traits, the identifier, and the mark of merged profiles. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from worker.clusters.sql import SourceShape

ID_COLUMNS = ("canonical_segment_id", "segment_id", "id", "user_id", "anonymous_id")
"""Columns with the identifier of a profile; the first that exists is used."""

MERGED_COLUMN = "merged_to"
TRAITS_COLUMN = "traits"
VALUE_COLUMN = "value"
NAME_COLUMNS = ("name", "trait", "trait_name", "key")
"""Columns with the name of a trait, in tables with a row for each trait."""

ENVELOPE = frozenset(
    {
        *(*ID_COLUMNS, MERGED_COLUMN, TRAITS_COLUMN, "external_ids", "identifiers", "metadata", "created_at"),
        *("updated_at", "collection", "type", "seq", "received_at", "uuid_ts", "timestamp"),
    }
)
"""Columns beside the traits, which `suggest` leaves out."""


def match_keys(keys: Iterable[str], columns: Sequence[str]) -> dict[str, str]:
    """Returns the column of each trait key that has one, as the statement finds it (`SourceShape.match`).

    Args:
        keys: Trait keys of the rules.
        columns: Names of the columns of a file or table.
    """
    shape = SourceShape("wide", dict.fromkeys(columns, ""))
    return {key: column for key in keys if (column := shape.match(key)) is not None}


def find_column(names: Iterable[str], columns: Sequence[str]) -> str | None:
    """Returns the first of these names that is a column, in any case, as the file or table spells it."""
    lower = _by_lower_name(columns)
    return next((lower[name] for name in names if name in lower), None)


def is_tall(columns: Sequence[str], keys: Iterable[str]) -> bool:
    """Returns whether a file or table has a row for each trait: name and value, and no column of a trait."""
    name = find_column(NAME_COLUMNS, columns)
    if name is None or find_column([VALUE_COLUMN], columns) is None or find_column(ID_COLUMNS, columns) is None:
        return False
    return not set(match_keys(keys, columns).values()) - {name, find_column([VALUE_COLUMN], columns)}


def _by_lower_name(columns: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for column in columns:
        found.setdefault(column.lower(), column)
    return found
