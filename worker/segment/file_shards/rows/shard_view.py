"""The view of a shard: a temporary view by which a connection reads it, and the description of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import duckdb

from worker.segment.column_names import (
    ENVELOPE,
    ID_COLUMNS,
    MERGED_COLUMN,
    NAME_COLUMNS,
    TRAITS_COLUMN,
    VALUE_COLUMN,
    find_column,
    is_tall,
    match_keys,
)
from worker.segment.export_file.file_formats import FileFormat
from worker.segment.file_shards.duckdb_connection import as_pattern
from worker.segment.file_shards.file_head import FileHead, format_error

VIEW = "shard"
"""Name of the view that holds the rows of a shard."""

FIELDS = "fields"
"""Name of the view that holds lines of JSON as columns."""

LONGEST_LINE = 4 << 20
"""Bytes of a line of JSON that are always read. DuckDB allocates twice as much for each thread."""

_NULLS = "['', '\\N', 'NULL', 'null']"


@dataclass(frozen=True)
class ShardShape:
    """The layout of the rows of a shard.

    Attributes:
        layout: `object`: a column of traits; `wide`: a column for each trait; `tall`: a row for each trait.
        columns: Names and SQL types of all columns; of lines of JSON, the keys of the first rows.
        is_json: Whether the view has one column, `json`, with a row of these columns as JSON in each value; NULL for a
            line that is not JSON.
        is_text: Whether those rows have their traits as JSON that is written as text.
        limit: Of `tall`: number of profiles to read; None: all.
    """

    layout: Literal["object", "wide", "tall"]
    columns: tuple[tuple[str, str], ...]
    is_json: bool = False
    is_text: bool = False
    limit: int | None = None

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [name for name, _ in self.columns]

    @property
    def id_column(self) -> str | None:
        """The column with the identifier of a profile."""
        return find_column(ID_COLUMNS, self.names)

    def spelled(self, column: str) -> str:
        """Returns a column as the file spells it; unchanged if the file does not have it."""
        return find_column([column], self.names) or column

    @property
    def merged_column(self) -> str | None:
        """The column that says into which profile a row was merged."""
        return find_column([MERGED_COLUMN], self.names)

    @property
    def traits_column(self) -> str | None:
        """The column of traits."""
        return find_column([TRAITS_COLUMN], self.names)

    @property
    def name_column(self) -> str | None:
        """In `tall`: the column with the name of a trait."""
        return find_column(NAME_COLUMNS, self.names)

    @property
    def value_column(self) -> str | None:
        """In `tall`: the column with the value of a trait."""
        return find_column([VALUE_COLUMN], self.names)

    def trait_columns(self, keys: tuple[str, ...]) -> dict[str, str]:
        """Returns the columns of traits by their keys; without keys, all columns that may hold a trait."""
        if not keys:
            return {name: name for name in self.names if name.lower() not in ENVELOPE}
        return match_keys(keys, self.names)


@dataclass(frozen=True)
class FileRows:
    """The rows of one file, or of several that are alike.

    Attributes:
        paths: Where DuckDB finds the files.
        head: What the first bytes of each file say.
        shape: What the rows are.
    """

    paths: tuple[str, ...]
    head: FileHead
    shape: ShardShape

    @property
    def are_entries(self) -> bool:
        """Whether they are lines of JSON with an object of traits each."""
        return self.shape.is_json and self.shape.layout == "object" and not self.shape.is_text


def describe_rows(
    connection: duckdb.DuckDBPyConnection, name: str, paths: Sequence[str], head: FileHead, keys: tuple[str, ...]
) -> FileRows:
    """Describes the rows of one file, or of several that are alike.

    Args:
        connection: It may read the files.
        name: Of the shard, for messages.
        paths: Where DuckDB finds the files.
        head: What the first bytes of each say.
        keys: Trait keys of the rules.

    Raises:
        duckdb.Error: A file cannot be read.
        Permanent: `file_format`: no column holds a trait.
    """
    if head.kind == "ndjson":
        columns = tuple((column, "JSON") for column in head.columns)
        shape = ShardShape(head.layout, columns, is_json=True, is_text=head.is_text)
    else:
        described = connection.execute(f"DESCRIBE SELECT * FROM {_reader(paths, head)}").fetchall()
        shape = _shape(tuple((column, kind) for column, kind, *_ in described), keys)
    _check_columns(name, shape, keys)
    return FileRows(tuple(paths), head, shape)


def make_view(connection: duckdb.DuckDBPyConnection, rows: FileRows, *, limit: int | None = None) -> ShardShape:
    """Makes the view `shard` of rows.

    Args:
        connection: It may read the files.
        rows: What `describe_rows` returned.
        limit: Number of rows; None: all.

    Returns:
        The shape of the view.

    Raises:
        duckdb.Error: A file cannot be read.
    """
    shape, select = rows.shape, f"SELECT * FROM {_reader(rows.paths, rows.head)}"
    if shape.layout == "tall":
        shape = replace(shape, limit=limit)
    elif limit is not None:
        select = f"{select} WHERE {_not_merged(shape)} LIMIT {limit:d}"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {VIEW} AS {select}")
    return shape


def make_fields_view(connection: duckdb.DuckDBPyConnection, rows: FileRows, keys: tuple[str, ...]) -> bool:
    """Makes the view `fields` of lines of JSON that are profiles: `id`, `merged_to`, and `traits` with a field a key.

    Reading fields is faster than reading lines and extracting from them. A statement over the view fails with
    InvalidInputException if any line is not an object, is not valid, has traits that are not an object, or has neither
    traits nor an identifier.

    Returns:
        Whether the view was made. It cannot have two keys that differ only in their case.
    """
    if len({key.lower() for key in keys}) < len(keys):
        return False
    traits = ", ".join(f"{quoted(key)} JSON" for key in keys)
    columns = f"{{'id': 'JSON', 'segment_id': 'JSON', 'merged_to': 'JSON', 'traits': {literal(f'STRUCT({traits})')}}}"
    lines = (
        f"read_json({_literals(rows.paths)}, format = 'newline_delimited', columns = {columns}, "
        f"compression = {literal(rows.head.compression)}, maximum_object_size = {LONGEST_LINE})"
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {FIELDS} AS SELECT *, coalesce(segment_id, id) AS sampled FROM {lines} "
        # The line `null` has no fields either, but is not a profile.
        "WHERE CASE WHEN traits IS NULL AND id IS NULL AND segment_id IS NULL THEN error('no fields') ELSE true END"
    )
    return True


def count_rows(connection: duckdb.DuckDBPyConnection, shape: ShardShape, limit: int) -> int:
    """Counts the profiles of the view that were not merged into others, up to `limit`."""
    if shape.layout == "tall":
        id_ = json_field(shape, shape.id_column or "id")
        rows = f"SELECT DISTINCT {id_} FROM {VIEW} LIMIT {limit:d}"
    else:
        rows = f"SELECT 1 FROM {VIEW} WHERE {_not_merged(shape)} LIMIT {limit:d}"
    found = connection.execute(f"SELECT count(*) FROM ({rows})").fetchone()
    return int(found[0]) if found else 0


def json_field(shape: ShardShape, column: str) -> str:
    """Returns the SQL of a column as text, whatever the rows are."""
    if shape.is_json:
        path = "$." + quoted(column)
        return f"json_extract_string(json, {literal(path)})"
    return f"CAST({quoted(column)} AS VARCHAR)"


def tall_entries(shape: ShardShape) -> str:
    """Returns the query that makes an entry for each profile, as `json`, of rows that have a trait each."""
    names = (("id", shape.id_column), ("name", shape.name_column), ("value", shape.value_column))
    pick = ", ".join(f"{json_field(shape, column or alias)} AS {alias}" for alias, column in names)
    return (
        "SELECT json_object('id', id, 'traits', json_group_object(name, value)) AS json "
        f"FROM (SELECT {pick} FROM {VIEW}) WHERE name IS NOT NULL GROUP BY id"
        + ("" if shape.limit is None else f" LIMIT {shape.limit:d}")
    )


def _not_merged(shape: ShardShape) -> str:
    column = "merged_to" if shape.is_json else shape.merged_column
    return "true" if column is None else f"coalesce(trim({json_field(shape, column)}), '') = ''"


def _shape(columns: tuple[tuple[str, str], ...], keys: tuple[str, ...]) -> ShardShape:
    names = [name for name, _ in columns]
    if find_column([TRAITS_COLUMN], names):
        return ShardShape("object", columns)
    return ShardShape("tall" if is_tall(names, keys) else "wide", columns)


def _check_columns(name: str, shape: ShardShape, keys: tuple[str, ...]) -> None:
    """Raises Permanent `file_format` if no column of a wide file belongs to a trait of the rules."""
    if shape.layout == "wide" and keys and not shape.trait_columns(keys):
        shown = ", ".join(shape.names[:8]) + (", …" if len(shape.names) > 8 else "")
        raise format_error(
            name,
            FileFormat(
                f"rows with the columns {shown}, and none of them is named like a trait of the rules",
                "Export the columns of the traits, or write a clusters file for these columns with `suggest`",
            ),
        )


def _reader(paths: Sequence[str], head: FileHead) -> str:
    """Returns the table function that reads files."""
    files = _literals(paths)
    if head.kind == "parquet":
        return f"read_parquet({files})"
    compression = literal(head.compression)
    if head.kind == "ndjson":
        return (
            f"read_json_objects({files}, format = 'newline_delimited', ignore_errors = true, "
            f"compression = {compression}, maximum_object_size = {LONGEST_LINE})"
        )
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in head.columns)
    return (
        f"read_csv({files}, auto_detect = false, header = true, delim = {literal(head.delimiter)}, quote = '\"', "
        f"escape = '\"', columns = {{{columns}}}, nullstr = {_NULLS}, compression = {compression})"
    )


def _literals(paths: Sequence[str]) -> str:
    """Returns the paths as a list of SQL."""
    return f"[{', '.join(literal(as_pattern(path)) for path in paths)}]"


def literal(text: str) -> str:
    """Returns a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """Returns a name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
