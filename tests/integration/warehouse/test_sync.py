"""Syncs of a PostgreSQL by real workers: exact, counted once whatever dies, and read-only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from producer.sandbox import SpaceSpec
from tests.support.scenarios.checks import (
    assert_exact,
    assert_no_twins,
    assert_one_persona_each,
    contents,
)
from tests.support.scenarios.expected_clusters import expected_clusters
from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.scenarios.warehouse import WarehouseTables, warehouse_profiles
from tests.support.servers.port import port_of_ones_own
from tests.support.servers.postgres_server import PostgresServer
from tests.support.servers.redis_server import RedisServer
from worker.documents.sync_document import sync_document
from worker.models.sync import Sync

SPEC = SpaceSpec(400, "mixed", seed=14)
PROFILES = warehouse_profiles(SPEC)
EXPECTED = expected_clusters(PROFILES)
SETTINGS = {"RETRY_BUDGET_S": "60", "GUARD_TRAIT_ERRORS": "1"}


@pytest.fixture(scope="session")  # a process may get the tests of this module in two parts
def tables(session_postgres: PostgresServer) -> WarehouseTables:
    """The profiles of `SPEC`, in a database that no test changes."""
    return WarehouseTables(session_postgres, "sync_tests", SPEC)


@pytest.fixture
async def scenario(session_redis: RedisServer, start_worker: Start, tables: WarehouseTables) -> AsyncIterator[Scenario]:
    settings = {**SETTINGS, "WAREHOUSE_URL": tables.url()}
    async with start_scenario(session_redis, start_worker, {"spa": SPEC}, settings=settings) as scenario:
        yield scenario


def failure(sync: Sync) -> tuple[str, bool]:
    assert sync.error, sync
    return sync.error.code, sync.error.resumable


def assert_bought_once(scenario: Scenario, sync: Sync) -> None:
    assert_one_persona_each(scenario.sandbox, sync, EXPECTED)
    assert_no_twins(scenario.sandbox)
    assert sync.credits == 300 * len(sync.outcomes)


async def test_tall_and_wide_tables_give_what_the_fold_gives(scenario: Scenario, tables: WarehouseTables) -> None:
    worker = scenario.worker(LOG_LEVEL="DEBUG")
    tall = await scenario.sync(warehouse="auto")
    assert_exact(tall, EXPECTED)
    assert_bought_once(scenario, tall)
    document = sync_document(tall)
    shown = {name: document[name] for name in ("source", "table", "engine", "rows", "pages_fetched")}
    assert shown == {
        "source": "warehouse",
        "table": "segment.user_traits",
        "engine": "PostgreSQL",
        "rows": len(PROFILES),
        "pages_fetched": 1,
    }
    assert document["read_from"] == document["read_to"] is not None

    wide = await scenario.sync(warehouse="segment.profile_traits")
    assert (sync_document(wide)["merged"], wide.credits) == (1, 0)
    assert_exact(wide, EXPECTED)

    part = await scenario.sync(warehouse="segment.user_traits", max_profiles=50, plan_only=True)
    assert (part.profiles, part.complete) == (50, False)
    everything = await contents(scenario.pool) + worker.text() + json.dumps([document, sync_document(wide)])
    own = [text for profile in PROFILES for text in (profile["segment_id"], profile["traits"].get("email", "x@y"))]
    assert [text for text in (*own, tables.PASSWORD, tables.url()) if text in everything] == []
    await scenario.assert_clean()


async def test_a_killed_or_stopped_worker_leaves_no_statement_and_it_counts_once(
    scenario: Scenario, tables: WarehouseTables
) -> None:
    frozen = scenario.worker("after_keep_statement:2:stop")
    with tables.lock():
        sync = await scenario.enqueue(warehouse="auto")
        await asyncio.to_thread(frozen.wait_frozen)
        first = await tables.wait_for_backends(1)
        kept = (await scenario.client.get(sync.id)).warehouse_read
        assert kept
        assert kept.query_id.startswith(f"{first[0]} ")
        killed = scenario.worker()
        second = await tables.wait_for_backends(1, other_than=first)
        killed.kill()
        stopped = scenario.worker()
        third = await tables.wait_for_backends(1, other_than=[*first, *second])
        assert stopped.terminate() == 0
        assert tables.backends() == []
        scenario.worker(STALL_S="60")  # also on a slow machine, its statement does not count as lost
        last = await tables.wait_for_backends(1, other_than=[*first, *second, *third])
        frozen.go_on()
        await scenario.listed(frozen)
        assert await tables.wait_for_backends(1) == last
    done = await scenario.ended(sync)
    assert_exact(done, EXPECTED)
    assert done.pages == 1
    assert_bought_once(scenario, done)
    await scenario.assert_clean()


async def test_cancel_ends_the_statement_and_leaves_other_syncs(scenario: Scenario, tables: WarehouseTables) -> None:
    scenario.worker()
    with tables.lock():
        sync, other = await scenario.enqueue(warehouse="auto"), await scenario.enqueue("other", warehouse="auto")
        await tables.wait_for_backends(2)
        await scenario.client.cancel(sync.id)
        await tables.wait_for_backends(1)
    assert (await scenario.ended(other)).profiles == len(PROFILES)
    assert (await scenario.client.get(sync.id)).status == "cancelled"


async def test_a_column_that_is_removed_and_a_time_limit_end_the_sync_clearly(
    scenario: Scenario, tables: WarehouseTables
) -> None:
    scenario.worker()
    with tables.connect() as connection:
        connection.execute("CREATE TABLE segment.shrinking AS SELECT * FROM segment.profile_traits")
        connection.execute(f"GRANT SELECT ON segment.shrinking TO {tables.name}")
    with tables.lock("segment.shrinking") as lock:
        sync = await scenario.enqueue(warehouse="segment.shrinking")
        await tables.wait_for_backends(1)
        lock.execute("ALTER TABLE segment.shrinking DROP COLUMN churn_risk")
        lock.commit()
    assert failure(await scenario.ended(sync)) == ("column_missing", False)
    for worker in scenario.workers:
        worker.terminate()
    scenario.worker(WAREHOUSE_TIMEOUT_S="3")
    with tables.lock():
        assert failure(await scenario.sync("slow", warehouse="auto")) == ("read_timeout", True)
        assert tables.backends() == []


async def test_what_is_wrong_with_a_warehouse_is_named_without_secrets(
    session_redis: RedisServer, start_worker: Start, tables: WarehouseTables, tmp_path: Path
) -> None:
    with tables.connect() as connection:
        connection.execute("CREATE ROLE sync_guarded LOGIN PASSWORD 'another'; CREATE ROLE sync_writer LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA segment TO sync_writer")
        connection.execute("GRANT SELECT, INSERT ON segment.user_traits TO sync_writer")
        connection.execute("CREATE TABLE segment.empty (LIKE segment.user_traits)")
        connection.execute(f"GRANT SELECT ON segment.empty TO {tables.name}")
    tables.server.require_password("sync_guarded")
    cases = {
        "guarded": (tables.url("sync_guarded"), "auto", "warehouse_unauthorized", True),
        "writer": (tables.url("sync_writer"), "auto", "warehouse_can_write", True),
        "host": (f"postgresql://a:{tables.PASSWORD}@no-such-host.invalid/x", "auto", "warehouse_unreachable", True),
        "port": (
            f"postgresql://a:{tables.PASSWORD}@127.0.0.1:{port_of_ones_own()}/x",
            "auto",
            "warehouse_unreachable",
            True,
        ),
        "table": (tables.url(), "segment.nowhere", "table_missing", True),
        "shape": (tables.url(), "pg_catalog.pg_am", "table_shape", False),
        "empty": (tables.url(), "segment.empty", "table_empty", True),
        "none": (None, "auto", "warehouse_not_configured", True),
    }
    lines = [f'[spaces.{name}]\nwarehouse_url = "{url}"\n' for name, (url, *_) in cases.items() if url]
    (tmp_path / "spaces.toml").write_text("".join(lines))
    settings = {**SETTINGS, "RETRY_BUDGET_S": "0.1", "SPACES_FILE": str(tmp_path / "spaces.toml")}
    async with start_scenario(session_redis, start_worker, {"spa": SPEC}, settings=SETTINGS) as scenario:
        worker = scenario.worker(**settings)
        for name, (_, table, code, resumable) in cases.items():
            failed = await scenario.sync(name, warehouse=table)
            assert failure(failed) == (code, resumable), name
            assert failed.error
            assert failed.error.hint, name
        assert tables.PASSWORD not in await contents(scenario.pool) + worker.text()


async def test_a_server_that_restarts_in_mid_query_delays_the_sync(
    session_redis: RedisServer, start_worker: Start, postgres_server: PostgresServer
) -> None:
    tables = WarehouseTables(postgres_server, "restart_tests", SPEC)
    settings = {**SETTINGS, "WAREHOUSE_URL": tables.url()}
    async with start_scenario(session_redis, start_worker, {"spa": SPEC}, settings=settings) as scenario:
        worker = scenario.worker()
        lock = tables.lock()
        sync = await scenario.enqueue(warehouse="auto")
        await tables.wait_for_backends(1)
        await asyncio.to_thread(postgres_server.stop)
        lock.close()
        while "PostgreSQL" not in (await scenario.client.get(sync.id)).note:  # noqa: ASYNC110 - its own note
            await asyncio.sleep(0.05)
        await asyncio.to_thread(postgres_server.start)
        done = await scenario.ended(sync)
        assert_exact(done, EXPECTED)
        assert_bought_once(scenario, done)
        worker.terminate()

        scenario.worker(RETRY_BUDGET_S="0.2")
        await asyncio.to_thread(postgres_server.kill)
        failed = await scenario.sync(warehouse="auto", force=True)
        assert failure(failed) == ("warehouse_unreachable", True)
        await asyncio.to_thread(postgres_server.start)
        assert_exact(await scenario.ended(await scenario.client.resume(failed.id)), EXPECTED)
