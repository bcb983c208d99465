"""PostgreSQL as a warehouse, by its engine alone: tables, rights, and every way in which a statement can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.servers.port import port_of_ones_own
from tests.support.servers.postgres_server import PostgresServer
from worker.errors import ApiError, Permanent, ResumableStop, Retry
from worker.segment.file_shards import EngineLimits
from worker.segment.warehouse import EngineOptions, TableName, WarehouseEngine, WarehouseUrl, open_engine

SECRET = "hunter2-of-the-test"
SET_UP = """
    CREATE SCHEMA segment;
    CREATE TABLE segment.profile_traits (
        canonical_segment_id text, ltv numeric(10, 2), "Signed Up" timestamptz, tags jsonb
    );
    CREATE MATERIALIZED VIEW segment.recent AS SELECT * FROM segment.profile_traits;
    CREATE TABLE segment.secret (id text);
    CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA segment TO reader; GRANT SELECT ON segment.profile_traits TO reader;
    GRANT SELECT ON segment.recent TO reader;
    CREATE ROLE writer LOGIN; GRANT USAGE ON SCHEMA segment TO writer;
    GRANT SELECT, UPDATE (ltv) ON segment.profile_traits TO writer;
    CREATE ROLE maker LOGIN; GRANT USAGE, CREATE ON SCHEMA segment TO maker;
    GRANT SELECT ON segment.profile_traits TO maker;
"""
TABLE = "segment.profile_traits"


@pytest.fixture(scope="session")  # a process may get the tests of this module in two parts
def database(session_postgres: PostgresServer) -> str:
    """Name of a database that only the tests of this module use."""
    with session_postgres.connect() as connection:
        connection.execute("CREATE DATABASE engine_tests")
    with session_postgres.connect("engine_tests") as connection:
        connection.execute(SET_UP)
    return "engine_tests"


def make_engine(url: str, timeout_s: float = 600.0) -> WarehouseEngine:
    return open_engine(WarehouseUrl.parse(url), EngineOptions(timeout_s, EngineLimits(256, 1)))


@pytest.fixture
async def engine(session_postgres: PostgresServer, database: str) -> AsyncIterator[WarehouseEngine]:
    found = make_engine(session_postgres.url("reader", database=database) + "?schema=segment")
    yield found
    await found.close()


async def test_tables_are_found_in_any_case_with_their_types(engine: WarehouseEngine) -> None:
    columns = {
        "canonical_segment_id": "text",
        "ltv": "numeric(10,2)",
        "Signed Up": "timestamp with time zone",
        "tags": "jsonb",
    }
    for name in ("profile_traits", "SEGMENT.Profile_Traits", "engine_tests.segment.profile_traits"):
        table = await engine.find_table(TableName.parse(name))
        assert table, name
        assert (table.name.parts, table.columns) == (("segment", "profile_traits"), columns)
    assert await engine.find_table(TableName.parse("recent"))
    for name in ("user_traits", "public.profile_traits", "other.segment.profile_traits"):
        assert await engine.find_table(TableName.parse(name)) is None, name


async def test_a_user_that_may_write_is_refused_with_the_grants(
    session_postgres: PostgresServer, database: str, engine: WarehouseEngine
) -> None:
    table = await engine.find_table(TableName.parse(TABLE))
    assert table
    await engine.refuse_writer(table)
    for user, reason in {"postgres": "superuser", "writer": f"change {TABLE}", "maker": "schema segment"}.items():
        other = make_engine(session_postgres.url(user, database=database))
        with pytest.raises(ResumableStop) as refused:
            await other.refuse_writer(table)
        assert (refused.value.code, reason in str(refused.value)) == ("warehouse_can_write", True), user
        assert 'GRANT SELECT ON "segment"."profile_traits"' in refused.value.hint
        await other.close()


async def test_a_failed_statement_names_its_reason_and_no_value(engine: WarehouseEngine) -> None:
    for sql, code, kind in (
        ("SELECT churn FROM segment.profile_traits", "column_missing", Permanent),
        ("SELECT * FROM segment.profile_trait", "table_missing", ResumableStop),
        ("SELECT * FROM segment.secret", "warehouse_forbidden", ResumableStop),
        ("SELECT CAST('a-planted-value' AS integer)", "warehouse_error", ResumableStop),
        ("CREATE TEMP TABLE t (id text)", "warehouse_error", ResumableStop),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "warehouse_connection_lost", Retry),
    ):
        with pytest.raises(ApiError) as failed:
            await engine.result(await engine.submit(sql, "segment-personas syn_1"), list)
        assert (failed.value.code, type(failed.value)) == (code, kind), sql
        assert failed.value.hint
        assert "planted" not in f"{failed.value}{failed.value.hint}"


async def test_no_connection_is_explained_without_the_password(session_postgres: PostgresServer, database: str) -> None:
    port, free = session_postgres.port, port_of_ones_own()
    with session_postgres.connect(database) as connection:
        connection.execute("CREATE ROLE locked NOLOGIN; CREATE ROLE busy LOGIN CONNECTION LIMIT 0")
        connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'another'")
    session_postgres.require_password("guarded")
    for url, code, kind in (
        (f"postgresql://nobody:{SECRET}@127.0.0.1:{port}/{database}", "warehouse_unauthorized", ResumableStop),
        (f"postgresql://guarded:{SECRET}@127.0.0.1:{port}/{database}", "warehouse_unauthorized", ResumableStop),
        (f"postgresql://guarded@127.0.0.1:{port}/{database}", "warehouse_unauthorized", ResumableStop),
        (f"postgresql://locked:{SECRET}@127.0.0.1:{port}/{database}", "warehouse_unauthorized", ResumableStop),
        (f"postgresql://busy:{SECRET}@127.0.0.1:{port}/{database}", "warehouse_busy", Retry),
        (f"postgresql://reader:{SECRET}@127.0.0.1:{port}/nowhere", "warehouse_unreachable", ResumableStop),
        (
            f"postgresql://reader:{SECRET}@127.0.0.1:{port}/{database}?sslmode=require",
            "warehouse_unreachable",
            ResumableStop,
        ),
        (
            f"postgresql://reader:{SECRET}@127.0.0.1:{port}/{database}?colour=red",
            "warehouse_unreachable",
            ResumableStop,
        ),
        (f"postgresql://reader:{SECRET}@no-such-host.invalid/{database}", "warehouse_unreachable", ResumableStop),
        (f"postgresql://reader:{SECRET}@127.0.0.1:{free}/{database}", "warehouse_unreachable", Retry),
    ):
        with pytest.raises(ApiError) as failed:
            await make_engine(url).query("SELECT 1")
        assert (failed.value.code, type(failed.value)) == (code, kind), (url, str(failed.value))
        assert failed.value.hint
        assert SECRET not in f"{failed.value!r}{failed.value}{failed.value.hint}"


async def test_a_statement_that_takes_too_long_ends_as_read_timeout(
    session_postgres: PostgresServer, database: str
) -> None:
    engine = make_engine(session_postgres.url("reader", database=database), timeout_s=0.05)
    with pytest.raises(ResumableStop) as failed:
        await engine.result(await engine.submit("SELECT pg_sleep(600)", "segment-personas syn_2"), list)
    assert failed.value.code == "read_timeout"
    await engine.close()


def backends(server: PostgresServer, label: str) -> int:
    with server.connect() as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [label]
        ).fetchone()
    assert found
    return int(str(found[0]))


async def test_a_cancelled_statement_leaves_no_backend(
    session_postgres: PostgresServer, engine: WarehouseEngine
) -> None:
    label = "segment-personas syn_3"
    query_id = await engine.submit("SELECT pg_sleep(600)", label)
    waiting = asyncio.create_task(engine.result(query_id, list))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    while backends(session_postgres, label):  # noqa: ASYNC110 - nothing announces the end of a backend
        await asyncio.sleep(0.02)


async def test_a_successor_ends_the_statement_of_an_earlier_job(
    session_postgres: PostgresServer, database: str, engine: WarehouseEngine
) -> None:
    label = "segment-personas syn_4"
    query_id = await engine.submit("SELECT pg_sleep(600)", label)
    successor = make_engine(session_postgres.url("reader", database=database))
    assert not await successor.attach(query_id)
    await successor.end_earlier(label)
    assert not backends(session_postgres, label)
    with pytest.raises(Retry) as lost:
        await engine.result(query_id, list)
    assert lost.value.code == "warehouse_connection_lost"
    await successor.close()


async def test_a_job_that_was_replaced_leaves_the_statement_of_its_successor(
    session_postgres: PostgresServer, database: str, engine: WarehouseEngine
) -> None:
    label = "segment-personas syn_5"
    query_id = await engine.submit("SELECT pg_sleep(600)", label)
    successor = make_engine(session_postgres.url("reader", database=database))
    await successor.cancel(query_id)
    assert not backends(session_postgres, label)
    running = await successor.submit("SELECT pg_sleep(600)", label)
    with pytest.raises(Retry):
        await engine.result(query_id, list)
    for earlier in (query_id, "01b2 of another product"):
        await engine.cancel(earlier)
    assert backends(session_postgres, label)
    await successor.cancel(running)
    await successor.close()


async def test_the_planner_estimates_the_rows_of_a_scan(engine: WarehouseEngine) -> None:
    estimate = await engine.estimate("SELECT count(*) FROM segment.profile_traits")
    assert estimate.rows is not None


def test_without_the_driver_the_command_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ResumableStop) as missing:
        make_engine(f"postgresql://reader:{SECRET}@127.0.0.1/postgres")
    assert (missing.value.code, missing.value.hint) == (
        "driver_missing",
        "Run: pip install 'segment-personas[postgres]'",
    )
