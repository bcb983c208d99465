"""Aggregates the view of a shard: describes it to the compiler of SQL, and runs the statement that this returns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import duckdb
from sqlglot import exp

from worker.clusters import Aggregate, Rules
from worker.clusters.sql import CompiledStatement, SourceShape, compile_statement
from worker.segment.column_names import ID_COLUMNS
from worker.segment.file_shards.rows.shard_view import FIELDS, VIEW, ShardShape, literal, quoted, tall_entries

ENTRIES = "entries"
"""Name of the view that holds rows of JSON as entries: objects with `id`, `merged_to` and `traits`."""

ROWS_PER_CHUNK = 2000


def aggregate_view(
    connection: duckdb.DuckDBPyConnection, shape: ShardShape, rules: Rules, as_of: float, sample: float | None
) -> Aggregate:
    """Aggregates the view `shard` by one statement.

    Args:
        connection: It has the view.
        shape: Of the view.
        rules: Of the sync.
        as_of: When the sync began, Unix seconds.
        sample: Share of the profiles to read; None: all.

    Raises:
        duckdb.Error: The statement failed.
    """
    source, view = _source(connection, shape, rules.keys)
    statement = _compiled(rules, _HashableShape(source), view, as_of, sample)
    return statement.aggregate(_rows(connection.execute(statement.sql)))


def has_identifiers(connection: duckdb.DuckDBPyConnection, shape: ShardShape) -> bool:
    """Returns whether a row of the view `shard` has an identifier, which a sample needs. Raises duckdb.Error."""
    if not (shape.is_json and shape.layout == "object"):
        return shape.id_column is not None
    given = " OR ".join(f"json_extract_string(json, '$.{name}') IS NOT NULL" for name in ("segment_id", "id"))
    return connection.execute(f"SELECT 1 FROM {VIEW} WHERE {given} LIMIT 1").fetchone() is not None


def aggregate_fields(
    connection: duckdb.DuckDBPyConnection, rules: Rules, as_of: float, sample: float | None
) -> Aggregate | None:
    """Aggregates the view `fields` by one statement; None if a line does not fit it.

    Raises:
        duckdb.Error: The statement failed for another reason.
    """
    columns = dict.fromkeys(rules.keys, "JSON")
    id_ = "id" if sample is None else "sampled"
    source = SourceShape("wide", columns=columns, within="traits", id=id_, merged_to="merged_to")
    statement = _compiled(rules, _HashableShape(source), FIELDS, as_of, sample)
    try:
        return statement.aggregate(_rows(connection.execute(statement.sql)))
    except duckdb.InvalidInputException:
        return None


def _rows(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[object, ...]]:
    while rows := cursor.fetchmany(ROWS_PER_CHUNK):
        yield from rows


class _HashableShape:
    """A shape as a key of a cache."""

    def __init__(self, shape: SourceShape) -> None:
        self.shape = shape
        origin = (shape.kind, shape.within, shape.column, shape.is_entry, shape.id, shape.merged_to)
        self._key = (tuple(shape.columns.items()), origin)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _HashableShape) and self._key == other._key


@lru_cache(maxsize=16)
def _compiled(rules: Rules, shape: _HashableShape, view: str, as_of: float, sample: float | None) -> CompiledStatement:
    return compile_statement(rules, shape.shape, exp.to_table(view), as_of=as_of, sample=sample)


def _source(connection: duckdb.DuckDBPyConnection, shape: ShardShape, keys: tuple[str, ...]) -> tuple[SourceShape, str]:
    """Returns the shape of a view for the compiler, and the name of the view."""
    if shape.layout == "tall":
        _make_entries(connection, tall_entries(shape))
        return SourceShape("object", column="json", is_entry=True), ENTRIES
    if shape.is_json:
        if shape.layout == "object" and not shape.is_text:
            return SourceShape("object", column="json", is_entry=True), VIEW
        _make_entries(connection, _row_entries(shape, keys) if shape.layout == "wide" else _text_entries())
        return SourceShape("object", column="json", is_entry=True), ENTRIES
    id_, merged_to = shape.id_column, shape.merged_column
    if shape.layout == "wide":
        return SourceShape("wide", columns=dict(shape.columns), id=id_, merged_to=merged_to), VIEW
    column = shape.traits_column or "traits"
    kind = dict(shape.columns)[column]
    if kind.startswith("STRUCT"):
        fields = connection.execute(f"DESCRIBE SELECT unnest({quoted(column)}) FROM {VIEW}").fetchall()
        columns = {name: kind for name, kind, *_ in fields}
        return SourceShape("wide", columns=columns, within=column, id=id_, merged_to=merged_to), VIEW
    if kind in ("VARCHAR", "JSON"):
        return SourceShape("object", column=column, id=id_, merged_to=merged_to), VIEW
    traits = f"SELECT * REPLACE (to_json({quoted(column)}) AS {quoted(column)}) FROM {VIEW}"
    _make_entries(connection, traits)
    return SourceShape("object", column=column, id=id_, merged_to=merged_to), ENTRIES


def _make_entries(connection: duckdb.DuckDBPyConnection, select: str) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {ENTRIES} AS {select}")


def _row_entries(shape: ShardShape, keys: tuple[str, ...]) -> str:
    """Returns an entry for each row of columns that is written as JSON. A row that is not an object stays unchanged."""
    columns = shape.trait_columns(keys)
    traits = ", ".join(f"{literal(key)}, {_field(columns.get(key, key))}" for key in keys)
    id_ = "coalesce(" + ", ".join(_field(shape.spelled(column)) for column in ID_COLUMNS) + ")"
    merged = _field(shape.merged_column or "merged_to")
    entry = f"json_object('id', {id_}, 'merged_to', {merged}, 'traits', json_object({traits}))"
    return f"SELECT CASE WHEN json_type(json) = 'OBJECT' THEN {entry} ELSE json END AS json FROM {VIEW}"


def _text_entries() -> str:
    """Entries whose traits are written as JSON text: the text is parsed, unless it is not JSON."""
    text = "TRY_CAST(json_extract_string(json, '$.traits') AS JSON)"
    entry = f"json_object('id', json_extract(json, '$.id'), 'merged_to', {_field('merged_to')}, 'traits', {text})"
    is_text = f"json_type(json, '$.traits') = 'VARCHAR' AND {text} IS NOT NULL"
    return f"SELECT CASE WHEN {is_text} THEN {entry} ELSE json END AS json FROM {VIEW}"


def _field(column: str) -> str:
    return f"json_extract(json, {literal('$.' + quoted(column))})"
