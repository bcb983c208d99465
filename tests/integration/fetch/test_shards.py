"""Exports of many files: their shards are aggregated on all workers, and each counts once whatever dies or changes."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import pytest

from producer.sandbox import SpaceSpec, profiles
from tests.support.processes.workers import WorkerProcess
from tests.support.scenarios.checks import assert_exact, same_statistics
from tests.support.scenarios.expected_clusters import expected_clusters
from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.documents.sync_document import sync_document

SPEC = SpaceSpec(960, "mixed", seed=14)
SHARDS = 48
"""Three batches of 16."""


@pytest.fixture
async def scenario(session_redis: RedisServer, start_worker: Start, tmp_path: Path) -> AsyncIterator[Scenario]:
    # Long enough that no batch of a living worker counts as lost: of two attempts at a batch, one counts nothing.
    settings = {"FILES_DIR": str(tmp_path), "STALL_S": "4", "WORKER_THREADS": "1"}
    async with start_scenario(session_redis, start_worker, {"spa": SPEC}, settings=settings) as scenario:
        yield scenario


def write_shards(folder: Path, count: int = SHARDS) -> None:
    """Writes the profiles of `SPEC` as shards. Every tenth one is compressed, and these have all that is malformed."""
    folder.mkdir()
    shards: list[list[str]] = [[] for _ in range(count)]
    for i, row in enumerate(profiles(SPEC)):
        is_clean = isinstance(row, dict) and isinstance(row.get("traits"), dict)
        shards[i % count if is_clean else i % count // 10 * 10].append(json.dumps(row) + "\n")
    for i, rows in enumerate(shards):
        content = "".join(rows).encode()
        if i % 10:
            (folder / f"part-{i:03}.ndjson").write_bytes(content)
        else:
            (folder / f"part-{i:03}.ndjson.gz").write_bytes(gzip.compress(content))
    (folder / "_SUCCESS").touch()
    (folder / "part-999.ndjson").touch()


async def test_shards_count_once_though_a_worker_dies_among_them(scenario: Scenario, tmp_path: Path) -> None:
    write_shards(tmp_path / "export")
    dying = scenario.worker("before_count_batch:2:kill")
    sync = await scenario.enqueue(file="export")
    await asyncio.to_thread(dying.process.wait)
    stopped = await scenario.client.get(sync.id)
    assert stopped.shards
    assert stopped.shards.count == SHARDS
    assert 0 < stopped.pages < SHARDS
    assert sync_document(stopped)["shards"] == {"read": stopped.pages, "of": SHARDS}
    workers = [scenario.worker(), scenario.worker()]
    done = await scenario.ended(sync)
    assert_exact(done, expected_clusters(profiles(SPEC)))
    await scenario.assert_bought_once(done)
    document = sync_document(done)
    assert (done.pages, document["rows"], document["source"]) == (SHARDS, SPEC.profiles, "file")
    assert document["read_from"] == document["read_to"]
    for worker in workers[1:]:
        worker.terminate()
    (tmp_path / "whole.ndjson").write_text("".join(json.dumps(row) + "\n" for row in profiles(SPEC)))
    alone = await scenario.sync(file="whole.ndjson")
    assert same_statistics(alone.aggregate, done.aggregate)
    await scenario.assert_clean()


async def test_shards_that_change_or_are_damaged_end_the_sync_clearly(scenario: Scenario, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    write_shards(folder, 12)
    dying = scenario.worker("after_commit_listing:1:kill")
    replaced = await scenario.enqueue(file="export")
    await asyncio.to_thread(dying.process.wait)
    path = folder / "part-007.ndjson"
    path.write_bytes(path.read_bytes() + b"\n")
    scenario.worker()
    failed = await scenario.ended(replaced)
    assert failed.error
    assert (failed.error.code, failed.error.resumable) == ("file_changed", False)
    assert "part-007.ndjson" in failed.error.message
    done = await scenario.ended(await scenario.client.resume(replaced.id, restart=True))
    assert_exact(done, expected_clusters(profiles(SPEC)))

    tables = tmp_path / "tables"
    tables.mkdir()
    for i in range(3):
        duckdb.sql('SELECT range AS ID, 900 AS LTV, 0.1 AS "churnRisk" FROM range(5)').write_parquet(
            str(tables / f"{i}.parquet")
        )
    done = await scenario.sync("tables", file="tables")
    assert (done.profiles, [outcome.cluster for outcome in done.outcomes]) == (15, ["high_value"])
    duckdb.sql("SELECT range AS ID, 0.1 AS churn_risk FROM range(5)").write_parquet(str(tables / "1.parquet"))
    failed = await scenario.sync("tables", file="tables", force=True)
    assert failed.error
    assert (failed.error.code, failed.error.resumable) == ("column_missing", False)
    assert "1.parquet: it has no column for ltv" in failed.error.message
    os.truncate(tables / "1.parquet", 200)
    failed = await scenario.sync("tables", file="tables", force=True)
    assert failed.error
    assert failed.error.code == "file_corrupt"
    assert failed.outcomes == ()


ROWS = 600_000
"""Rows of a file that one thread reads for half a second."""


def write_large(path: Path, ltv: int) -> None:
    """Writes a file of so many rows, in one step."""
    part = path.with_name("_part")
    with duckdb.connect() as connection:
        rows = f"SELECT 'u' || range AS id, {ltv} + range % 97 / 10 AS ltv, range % 89 / 89 AS churn_risk"
        connection.sql(f"{rows} FROM range({ROWS})").write_parquet(str(part))
    part.replace(path)


LONGER_THAN_A_CHECK_S = 0.05
"""Processor time for which a worker has a file open only if a statement reads it."""


async def pause_in_statement(worker: WorkerProcess, path: Path) -> None:
    """Pauses a worker while its statement reads a file. It runs in short steps, so that none misses the statement."""
    folder = Path(f"/proc/{worker.process.pid}")

    def is_open() -> bool:
        return any(os.path.realpath(one) == str(path) for one in (folder / "fd").iterdir())

    def processor_s() -> float:
        return sum(int(task.joinpath("schedstat").read_text().split()[0]) for task in (folder / "task").iterdir()) / 1e9

    def run_in_steps() -> None:
        opened_at = None
        while opened_at is None or processor_s() - opened_at < LONGER_THAN_A_CHECK_S:
            worker.go_on()
            time.sleep(0.004)
            worker.pause()
            worker.wait_frozen()
            opened_at = (opened_at or processor_s()) if is_open() else None

    await asyncio.to_thread(run_in_steps)


async def test_a_worker_that_ends_within_a_statement_costs_nothing_but_time(scenario: Scenario, tmp_path: Path) -> None:
    path = tmp_path / "large.parquet"
    write_large(path, 600)
    impatient = scenario.worker(FILES_TIMEOUT_S="0.01")
    sync = await scenario.enqueue(file="large.parquet")
    failed = await scenario.ended(sync)
    assert failed.error
    assert (failed.error.code, failed.error.resumable) == ("read_timeout", True)
    assert "large.parquet" in failed.error.message
    impatient.terminate()

    dying = scenario.worker()
    await scenario.client.resume(sync.id)
    await pause_in_statement(dying, path)
    dying.kill()
    assert (await scenario.client.get(sync.id)).profiles == 0
    worker = scenario.worker()
    done = await scenario.ended(sync)
    assert (done.state, done.pages, done.profiles) == ("completed", 1, ROWS), done.error
    alone = await scenario.sync(file="large.parquet")
    assert same_statistics(alone.aggregate, done.aggregate)
    assert len(scenario.sandbox.personas) == len(done.outcomes)

    sync = await scenario.enqueue(file="large.parquet")
    await pause_in_statement(worker, path)
    write_large(path, 50)
    worker.go_on()
    failed = await scenario.ended(sync)
    assert failed.error
    assert (failed.error.code, failed.error.resumable) == ("file_changed", False)
    done = await scenario.ended(await scenario.client.resume(sync.id, restart=True))
    assert (done.profiles, done.aggregate != alone.aggregate) == (ROWS, True)
    await scenario.assert_clean()
