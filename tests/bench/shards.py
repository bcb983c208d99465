"""Files of made-up profiles with eight traits, written by DuckDB: fast enough for many millions."""

from __future__ import annotations

from pathlib import Path

import duckdb

_PROFILES = """
SELECT 'use_' || i AS id, round(2000 * ((i * 7919) % 100003) / 100003, 2) AS ltv, (i * 31) % 20 AS purchase_count,
  round(((i * 104729) % 1009) / 1009, 3) AS churn_risk,
  ['SaaS', 'Retail', 'Finance', 'Education'][1 + i % 4] AS industry,
  ['pro', 'free', 'team'][1 + (i * 13) % 3] AS plan, (i * 17) % 100 AS sessions, (i * 11) % 11 AS nps,
  ['DE', 'FR', 'US'][1 + i % 3] AS country
FROM range({first}, {last}) t(i)
"""
_TRAITS = ("ltv", "purchase_count", "churn_risk", "industry", "plan", "sessions", "nps", "country")


def write_parquet(folder: Path, count: int, shards: int) -> Path:
    """Writes `count` profiles as so many Parquet files, a column for each trait."""
    folder.mkdir()
    for shard in range(shards):
        first, last = count * shard // shards, count * (shard + 1) // shards
        _copy(_PROFILES.format(first=first, last=last), folder / f"part-{shard:05}.parquet", "FORMAT parquet")
    return folder


def write_ndjson(path: Path, count: int) -> Path:
    """Writes `count` profiles as lines of JSON, objects with `traits`."""
    traits = ", ".join(f"{name} := {name}" for name in _TRAITS)
    profiles = _PROFILES.format(first=0, last=count)
    _copy(f"SELECT id, struct_pack({traits}) AS traits FROM ({profiles})", path, "FORMAT json")
    return path


def _copy(select: str, path: Path, options: str) -> None:
    with duckdb.connect(config={"memory_limit": "1GiB"}) as connection:
        connection.execute(f"COPY ({select}) TO '{path}' ({options})")
