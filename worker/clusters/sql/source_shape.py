"""The shape of a source: where a row has the values of traits, and in which types."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Encoding = Literal["json", "text", "number", "boolean", "moment", "other"]
"""How a column holds a value: as JSON text, as plain text, as a number, a boolean or a date of the engine, or in a type
whose JSON form is read instead."""

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_FLOATS = ("UHUGEINT", "FLOAT", "DOUBLE", "REAL", "NUMERIC", "DECIMAL")
_NOT_SNAKE = re.compile(r"[^a-z0-9]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class SourceShape:
    """How a row of a relation holds a profile.

    Attributes:
        kind: `wide`: a column for each trait. `object`: one column with a JSON object of the traits, or with the whole
            entry.
        columns: Of `wide`: the types of the columns by their names, as DuckDB names types. The names are matched with
            the keys of traits as `match` does.
        within: Of `wide`: the column of type STRUCT that holds the columns as fields; None if they are columns.
        column: Of `object`: the column, of type JSON or VARCHAR.
        is_entry: Of `object`: whether the column holds the whole entry, `{"id": …, "traits": {…}}`; identifiers and
            `merged_to` are then read from it. NULL is an entry that is not JSON.
        id: The column of the identifier, for samples.
        merged_to: The column that names the profile that a row was merged into.
    """

    kind: Literal["wide", "object"]
    columns: Mapping[str, str] = field(default_factory=dict)
    within: str | None = None
    column: str = "traits"
    is_entry: bool = False
    id: str | None = None
    merged_to: str | None = None

    def match(self, key: str) -> str | None:
        """Return the name of the column that holds a key; None if there is none.

        In this order: the same name, the same name in another case, and the name in snake_case, as warehouses write
        it.
        """
        if key in self.columns:
            return key
        for form in (str.casefold, snake_case):
            wanted = form(key)
            for name in self.columns:
                if form(name) == wanted:
                    return name
        return None


def snake_case(name: str) -> str:
    """Return a name in small letters with `_` between its words: `lifetime_value` for `Lifetime Value`."""
    return _NOT_SNAKE.sub("_", _HUMP.sub("_", name).lower()).strip("_")


def encoding_of(sql_type: str) -> Encoding:
    """Return the encoding of a column by its type."""
    name = sql_type.upper().split("(")[0].strip()
    if name in ("JSON",):
        return "json"
    if name in ("VARCHAR", "TEXT", "STRING", "CHAR", "BPCHAR"):
        return "text"
    if name in _INTEGERS or name in _FLOATS:
        return "number" if "[" not in sql_type else "other"
    if name in ("BOOLEAN", "BOOL"):
        return "boolean"
    if name in ("DATE", "TIMESTAMP", "DATETIME", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ", "TIMESTAMP_NS"):
        return "moment"
    return "other"


def is_integer(sql_type: str) -> bool:
    """Return whether a column of a type holds integers only."""
    return sql_type.upper() in _INTEGERS
