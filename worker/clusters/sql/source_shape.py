"""The shape of a source: which columns of a row hold the values of traits, and their types."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Encoding = Literal["json", "text", "number", "boolean", "moment", "other"]
"""How a column holds a value: as JSON text, as plain text, as a number, a boolean or a date of the engine, or in a type
whose JSON form is read instead."""

_INTEGERS = (
    *("TINYINT", "SMALLINT", "MEDIUMINT", "INTEGER", "INT", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER"),
    *("UBIGINT", "BYTEINT", "INT2", "INT4", "INT8", "INT64", "LONG", "SHORT", "BYTE"),
)
_FLOATS = (
    *("UHUGEINT", "FLOAT", "DOUBLE", "DOUBLE PRECISION", "REAL", "FLOAT4", "FLOAT8", "FLOAT64"),
    *("NUMERIC", "DECIMAL", "NUMBER", "DEC", "BIGNUMERIC", "BIGDECIMAL"),
)
_TEXTS = (
    *("VARCHAR", "TEXT", "STRING", "CHAR", "BPCHAR", "CHARACTER", "CHARACTER VARYING", "NVARCHAR", "NCHAR", "NAME"),
    *("CITEXT", "VARCHAR2"),
)
_MOMENTS = (
    *("DATE", "TIMESTAMP", "DATETIME", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITHOUT TIME ZONE", "TIMESTAMPTZ"),
    *("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ"),
)
_NOT_SNAKE = re.compile(r"[^a-z0-9]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PRECISION = re.compile(r"\([^()]*\)")


@dataclass(frozen=True, slots=True)
class SourceShape:
    """The layout of profiles in the rows of a relation.

    Attributes:
        kind: `wide`: a column for each trait. `object`: one column with a JSON object of the traits, or with the whole
            entry. `tall`: a row for each trait of a profile, with the name of the trait and its value as text.
        columns: Of `wide`: the types of the columns by their names, as the engine names types. The names are matched
            with the keys of traits as `match` does.
        within: Of `wide`: the column of type STRUCT that holds the columns as fields; None if they are columns.
        column: Of `object`: the column, of type JSON or VARCHAR.
        is_entry: Of `object`: whether the column holds the whole entry, `{"id": …, "traits": {…}}`; identifiers and
            `merged_to` are then read from it. NULL is an entry that is not JSON.
        id: The column of the identifier: of `tall`, of each profile; otherwise for samples.
        merged_to: The column that names the profile that a row was merged into; not of `tall`.
        name: Of `tall`: the column of the trait's name, which equals the key of a trait.
        value: Of `tall`: the column of the trait's value.
    """

    kind: Literal["wide", "object", "tall"]
    columns: Mapping[str, str] = field(default_factory=dict)
    within: str | None = None
    column: str = "traits"
    is_entry: bool = False
    id: str | None = None
    merged_to: str | None = None
    name: str = "name"
    value: str = "value"

    def match(self, key: str) -> str | None:
        """Returns the name of the column that holds a key; None if there is none.

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
    """Returns a name in small letters with `_` between its words: `lifetime_value` for `Lifetime Value`."""
    return _NOT_SNAKE.sub("_", _HUMP.sub("_", name).lower()).strip("_")


def encoding_of(sql_type: str) -> Encoding:
    """Returns the encoding of a column by its type, as any of the engines names it."""
    name = " ".join(_PRECISION.sub(" ", sql_type.upper()).split())
    if name in ("JSON", "JSONB"):
        return "json"
    if name in _TEXTS:
        return "text"
    if name in _INTEGERS or name in _FLOATS:
        return "number"
    if name in ("BOOLEAN", "BOOL"):
        return "boolean"
    return "moment" if name in _MOMENTS else "other"


def is_integer(sql_type: str) -> bool:
    """Returns whether a column of a type holds integers only."""
    return sql_type.upper() in _INTEGERS
