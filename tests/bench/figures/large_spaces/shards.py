"""Files read by DuckDB: profiles a second beside plain SQL with the same rules, and beside the Python reader."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from producer.sandbox import SandboxOptions
from tests.bench import shards
from tests.bench.figure import BenchError, Goal, Plot, Sample
from tests.bench.process import peak_memory_mib
from tests.bench.testbed import Testbed
from tests.support.servers.redis_server import RedisServer
from worker.clusters import RECIPE, Aggregate, fold
from worker.segment.export_file import FileSource, OpenFiles, open_any_file
from worker.segment.file_shards import EngineLimits, FileAccess, ReadOptions, ShardEngine

PROFILES = 1_000_000
AS_OF = 1.7e9
LIMITS = EngineLimits(1024, os.cpu_count() or 1)

LINES, TABLES = "NDJSON", "Parquet"
LINES_SQL, TABLES_SQL = "NDJSON, plain DuckDB SQL", "Parquet, plain DuckDB SQL"
PYTHON = "NDJSON, Python reader"
LINES_SYNC, TABLES_SYNC = "NDJSON, a whole sync", "Parquet, a whole sync"

PLAIN_SQL = """
SELECT CASE WHEN ltv > 500 AND coalesce(churn_risk, 0.5) < 0.15 THEN 'high_value'
    WHEN ltv > 100 AND purchase_count >= 2 THEN 'growth' WHEN coalesce(churn_risk, 0.5) > 0.4 THEN 'at_risk' ELSE 'new'
  END AS cluster,
  count(*), avg(ltv), avg(purchase_count), avg(churn_risk), approx_quantile(ltv, 0.5), approx_quantile(churn_risk, 0.5),
  histogram(industry), histogram(plan)
FROM {rows} WHERE ltv IS NOT NULL OR purchase_count IS NOT NULL OR churn_risk IS NOT NULL GROUP BY 1
"""


class Shards:
    name = "shards"
    title = f"From files of {PROFILES:,} profiles with 8 traits, one process with {LIMITS.threads} threads"
    goals = (
        Goal(LINES, of="ratio", bound=0.7, at="least"),
        Goal(TABLES, of="ratio", bound=0.8, at="least"),
    )
    plot = Plot("value", rows=(LINES, LINES_SQL, PYTHON, TABLES, TABLES_SQL), ours=(LINES, TABLES))
    opt_in = False

    def measure(self, redis: RedisServer) -> list[Sample]:
        """The statements alone, then whole syncs by a worker, with its peak memory."""
        with Testbed(redis, SandboxOptions({})) as testbed:
            lines = shards.write_ndjson(testbed.folder / "profiles.ndjson", PROFILES)
            tables = shards.write_parquet(testbed.folder / "tables", PROFILES, 4)
            lines_ours, tables_ours = (_rate(lambda path=path: asyncio.run(_ours(path))) for path in (lines, tables))
            rows = f"(SELECT traits.* FROM read_json('{lines}'))"
            lines_sql = _rate(lambda: _plain(rows))
            tables_sql = _rate(lambda: _plain(f"read_parquet('{tables}/*.parquet')"))
            python = _rate(lambda: asyncio.run(_python(lines)))
            worker = testbed.start_worker(FILES_DIR=str(testbed.folder))
            syncs = [testbed.sync("spa_file", profiles=PROFILES, file=name) for name in ("tables", "profiles.ndjson")]
            peak = peak_memory_mib(worker.process.pid)
        return [
            Sample(LINES, lines_ours, "profiles/s", lines_ours / lines_sql, LINES_SQL),
            Sample(LINES_SQL, lines_sql, "profiles/s"),
            Sample(PYTHON, python, "profiles/s", lines_ours / python, "this of NDJSON"),
            Sample(TABLES, tables_ours, "profiles/s", tables_ours / tables_sql, TABLES_SQL),
            Sample(TABLES_SQL, tables_sql, "profiles/s"),
            Sample(TABLES_SYNC, syncs[0].to_end_s, "s"),
            Sample(LINES_SYNC, syncs[1].to_end_s, "s"),
            Sample("worker's peak", peak, "MiB"),
        ]


def _rate(work: Callable[[], int]) -> float:
    """Profiles a second of the better of two runs. The first one also fills the cache of the disk, and compiles."""
    best = 0.0
    for _ in range(2):
        start = time.monotonic()
        if work() != PROFILES:
            raise BenchError("not all profiles were counted")
        best = max(best, PROFILES / (time.monotonic() - start))
    return best


async def _ours(path: Path) -> int:
    engine = ShardEngine(FileAccess(None, anywhere=True), LIMITS)
    found = await engine.aggregate(await engine.list_shards(str(path)), ReadOptions(RECIPE, AS_OF))
    return found.profiles


def _plain(rows: str) -> int:
    with duckdb.connect(config={"memory_limit": f"{LIMITS.memory_mb}MiB", "threads": LIMITS.threads}) as connection:
        return sum(row[1] for row in connection.execute(PLAIN_SQL.format(rows=rows)).fetchall())


async def _python(path: Path) -> int:
    aggregate, cursor, number = Aggregate(), "", 0
    source = FileSource(OpenFiles(open_any_file), str(path))
    while True:
        number += 1
        page = await source.fetch_page(cursor, number)
        fold(aggregate, page.profiles)
        if page.next_cursor is None:
            return aggregate.profiles
        cursor = page.next_cursor


FIGURE = Shards()
