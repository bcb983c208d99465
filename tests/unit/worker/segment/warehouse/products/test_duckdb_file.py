"""A DuckDB file as a warehouse: it is found by name, read-only, and its statements can be ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import pytest

from worker.errors import ApiError
from worker.segment.file_shards import EngineLimits
from worker.segment.warehouse import EngineOptions, TableName, WarehouseEngine, WarehouseUrl, open_engine

ENDLESS = "SELECT count(*) FROM range(100000000000) AS a, range(1000000) AS b"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[WarehouseEngine]:
    file = tmp_path / "space.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute("CREATE SCHEMA segment; CREATE TABLE segment.User_Traits (id VARCHAR, value DOUBLE)")
        connection.execute("INSERT INTO segment.user_traits VALUES ('a', 1.5)")
        connection.execute("CREATE VIEW other AS SELECT * FROM segment.user_traits")
        connection.execute("CREATE VIEW outside AS SELECT * FROM read_csv('/etc/hostname')")
    options = EngineOptions(60, EngineLimits(500, 1))
    found = open_engine(WarehouseUrl.parse(f"duckdb://{file}?schema=segment"), options)
    yield found
    await found.close()


async def test_tables_and_views_are_found_in_any_case(engine: WarehouseEngine) -> None:
    columns = {"id": "VARCHAR", "value": "DOUBLE"}
    for name, found_as in {
        "USER_TRAITS": "warehouse.segment.User_Traits",
        "space.main.other": "warehouse.main.other",
        "main.other": "warehouse.main.other",
    }.items():
        table = await engine.find_table(TableName.parse(name))
        assert table, name
        assert (".".join(table.name.parts), table.columns) == (found_as, columns)
    assert await engine.find_table(TableName.parse("profile_traits")) is None
    assert await engine.query("SELECT * FROM warehouse.segment.user_traits") == [("a", 1.5)]


async def test_what_a_statement_may_not_do_ends_as_an_error(engine: WarehouseEngine) -> None:
    for sql, code in {
        "SELECT * FROM warehouse.main.outside": "warehouse_forbidden",
        "COPY (SELECT 1) TO '/tmp/made-by-a-statement.csv'": "warehouse_forbidden",
        "DELETE FROM warehouse.segment.user_traits": "warehouse_error",
        "SELECT ltv FROM warehouse.segment.user_traits": "column_missing",
        "SELECT CAST(id AS INTEGER) FROM warehouse.segment.user_traits": "warehouse_error",
    }.items():
        with pytest.raises(ApiError) as failed:
            await engine.query(sql)
        assert failed.value.code == code, sql
        assert failed.value.hint


async def test_a_statement_ends_when_it_is_cancelled(engine: WarehouseEngine) -> None:
    query_id = await engine.submit(ENDLESS, "a sync")
    assert await engine.attach(query_id)
    await engine.cancel(query_id)
    assert not await engine.attach(query_id)


async def test_a_statement_that_takes_too_long_ends_as_read_timeout(engine: WarehouseEngine, tmp_path: Path) -> None:
    options = EngineOptions(0.01, EngineLimits(500, 1))
    hasty = open_engine(WarehouseUrl.parse(f"duckdb://{tmp_path}/space.duckdb"), options)
    with pytest.raises(ApiError) as failed:
        await hasty.query(ENDLESS)
    assert failed.value.code == "read_timeout"
    await hasty.close()
