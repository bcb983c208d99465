"""Reads the rows of a shard as the entries of a page, for `suggest`. Statistics come from SQL instead."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import orjson

from worker.http.body import parse_json
from worker.segment.file_shards.rows.shard_view import VIEW, ShardShape, tall_entries

ROWS_PER_CHUNK = 1000


def read_entries(connection: duckdb.DuckDBPyConnection, shape: ShardShape) -> Iterator[object]:
    """Yields the entries of the view `shard`, which has this shape; an entry that is not an object is None."""
    cursor = connection.execute(_query(shape))
    while rows := cursor.fetchmany(ROWS_PER_CHUNK):
        yield from (_entry(text, shape) for (text,) in rows)


def _query(shape: ShardShape) -> str:
    if shape.layout == "tall":
        return tall_entries(shape)
    return f"SELECT json FROM {VIEW}" if shape.is_json else f"SELECT to_json({VIEW}) FROM {VIEW}"


def _entry(text: str | None, shape: ShardShape) -> object:
    try:
        row = parse_json(text.encode(errors="surrogatepass")) if text else None
    except ValueError:
        return None
    if not isinstance(row, dict) or shape.layout == "tall":
        return row
    if shape.layout == "wide":
        traits: object = {key: row.get(column) for key, column in shape.trait_columns(()).items()}
    else:
        traits = _parsed(row.get(shape.traits_column or "traits"))
    if shape.is_json and shape.layout == "object":
        return {**row, "traits": traits} if "traits" in row else row
    envelope = {"id": shape.id_column, "merged_to": shape.merged_column}
    return {**{name: row.get(column) for name, column in envelope.items() if column}, "traits": traits}


def _parsed(traits: object) -> object:
    """Traits that were written as JSON text, parsed; anything else unchanged."""
    if isinstance(traits, str) and traits.lstrip().startswith("{"):
        try:
            return orjson.loads(traits)
        except ValueError:
            return traits
    return traits
