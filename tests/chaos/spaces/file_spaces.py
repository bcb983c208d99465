"""The spaces of a round whose profiles are in files: shards of JSON lines, some compressed, and shards of Parquet."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from producer.sandbox import SpaceSpec, profiles

LINES, TABLES = "spa_l", "spa_t"
SHARDS = 24
"""Shards of each space: several batches."""


def rows(space: str, spec: SpaceSpec) -> Iterator[object]:
    """Yields the profiles of a space. Parquet has a row for those only that are objects."""
    return (one for one in profiles(spec) if space != TABLES or isinstance(one, dict))


def write_shards(folder: Path, specs: Mapping[str, SpaceSpec]) -> None:
    """Writes the shards of those spaces that are read from files, each in a folder of its name."""
    for space in sorted({LINES, TABLES} & specs.keys()):
        (folder / space).mkdir(parents=True)
        every = list(rows(space, specs[space]))
        for i in range(SHARDS):
            path = folder / space / f"part-{i:02}"
            if space == TABLES:
                _write_table(path.with_suffix(".parquet"), every[i::SHARDS])
            else:
                lines = "".join(json.dumps(row) + "\n" for row in every[i::SHARDS]).encode()
                packed = i % 4 == 0
                path.with_suffix(".ndjson.gz" if packed else ".ndjson").write_bytes(
                    gzip.compress(lines) if packed else lines
                )


def _write_table(path: Path, some: list[object]) -> None:
    """Writes a table with a column of identifiers, and one of traits as JSON text."""
    columns: dict[str, list[str | None]] = {"ids": [], "texts": []}
    for row in some:
        assert isinstance(row, dict)
        columns["ids"].append(str(row.get("id")))
        columns["texts"].append(json.dumps(row["traits"]) if row.get("traits") is not None else None)
    with duckdb.connect() as connection:
        select = "SELECT UNNEST($ids::VARCHAR[]) AS id, UNNEST($texts::VARCHAR[]) AS traits"
        connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)", columns)
