"""`doctor` and `suggest` with a warehouse: a PostgreSQL, whose user may only read, and a DuckDB file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from producer.cli.commands.doctor.warehouse import NO_TABLE, TableChoice, check_warehouse
from producer.cli.commands.suggest import Sample, read_sample, run_suggest
from producer.cli.terminal import stderr
from tests.support.servers.postgres_server import PostgresServer
from worker.clusters import RECIPE
from worker.errors import ConfigurationError, Permanent, ResumableStop
from worker.models.warehouse import WarehouseColumns
from worker.settings import Settings, load_settings

PLANTED = "planted-value-7f3a"
SET_UP = f"""
    CREATE SCHEMA segment;
    CREATE TABLE segment.user_traits
        (canonical_segment_id text, name text, value text, seq bigint, received_at timestamptz);
    INSERT INTO segment.user_traits
        SELECT 'use_' || i, key, CASE key WHEN 'ltv' THEN (i * 10)::text ELSE '{PLANTED}-' || i END, i,
            now() - interval '1 hour'
        FROM generate_series(1, 1000) AS i, (VALUES ('ltv'), ('note')) AS keys (key);
    CREATE TABLE segment.profile_traits
        (canonical_segment_id text, merged_to text, ltv numeric(10, 2), "Order Count" int, note text, updated_at date);
    INSERT INTO segment.profile_traits
        SELECT 'use_' || i, CASE WHEN i > 40 THEN 'use_1' ELSE '' END, i * 10, i % 9, '{PLANTED}-' || i, '2020-01-31'
        FROM generate_series(1, 50) AS i;
    CREATE TABLE segment.empty (canonical_segment_id text, ltv numeric);
    CREATE TABLE segment.other (who text, what text, amount text);
    INSERT INTO segment.other VALUES ('a', 'ltv', '5');
    CREATE ROLE looker LOGIN; GRANT USAGE ON SCHEMA segment TO looker;
    GRANT SELECT ON ALL TABLES IN SCHEMA segment TO looker;
"""


@pytest.fixture(scope="session")  # a process may get the tests of this module in two parts
def database(session_postgres: PostgresServer) -> str:
    """Name of a database that only the tests of this module use."""
    with session_postgres.connect() as connection:
        connection.execute("CREATE DATABASE command_tests")
    with session_postgres.connect("command_tests") as connection:
        connection.execute(SET_UP)
    return "command_tests"


@pytest.fixture
def settings(session_postgres: PostgresServer, database: str) -> Settings:
    return settings_for(session_postgres.url("looker", database=database) + "?schema=segment")


def settings_for(url: str, **more: Any) -> Settings:
    return load_settings(warehouse_url=url, segment_space_id=None, **more)


async def findings(settings: Settings, choice: TableChoice) -> dict[str, tuple[str, str]]:
    """Id → verdict and text."""
    found = {one.id: (one.verdict, one.found) async for one in check_warehouse(settings, "spa_1", RECIPE, choice)}
    assert PLANTED not in str(found)
    return found


async def test_doctor_looks_at_a_row_for_each_trait(settings: Settings) -> None:
    found = await findings(settings, NO_TABLE)
    assert {id_: verdict for id_, (verdict, _) in found.items() if verdict != "ok"} == {
        f"traits.{name}": "warn" for name in ("purchase_count", "churn_risk", "industries", "plans")
    }
    assert found["warehouse.rows"][1] == "2,000 rows"
    assert found["traits.ltv"][1] == "ltv: in 1,000 rows"
    assert "in no row" in found["traits.churn_risk"][1]
    assert {"warehouse.connection", "warehouse.read_only", "warehouse.freshness"} <= found.keys()
    assert "planner estimates" in found["warehouse.estimate"][1]
    assert "(canonical_segment_id, name, value)" in found["warehouse.table"][1]


async def test_doctor_looks_at_a_column_for_each_trait(settings: Settings) -> None:
    found = await findings(settings, TableChoice("profile_traits"))
    assert found["warehouse.rows"] == ("ok", "50 rows")
    assert found["warehouse.freshness"][0] == "warn"
    assert found["traits.purchase_count"] == ("ok", "order_count: in 50 rows")
    assert found["traits.churn_risk"] == ("warn", "no column churn_risk or churn_probability")
    only_new = settings.model_copy(update={"warehouse_where": "ltv > 480"})
    assert (await findings(only_new, TableChoice("profile_traits")))["warehouse.rows"][1] == "2 rows"


async def test_doctor_says_what_a_sync_would_stumble_over(
    session_postgres: PostgresServer, database: str, settings: Settings, tmp_path: Path
) -> None:
    port = session_postgres.port
    other = TableChoice("other", WarehouseColumns(id="who", name="what", value="amount"))
    assert (await findings(settings, other))["traits.ltv"] == ("ok", "ltv: in 1 rows")
    for choice, changed, id_, verdict, part in (
        (TableChoice("empty"), {}, "warehouse.rows", "fail", "is empty"),
        (TableChoice("other"), {}, "warehouse.table", "fail", "none of them is named like a trait"),
        (TableChoice("nothing"), {}, "warehouse.table", "fail", "no table nothing"),
        (NO_TABLE, {"schema": "public"}, "warehouse.table", "warn", "no table user_traits"),
        (NO_TABLE, {"user": "postgres"}, "warehouse.read_only", "fail", "superuser"),
        (NO_TABLE, {"user": "nobody"}, "warehouse.connection", "fail", "refuses the login"),
        (NO_TABLE, {"where": "ltv > 1; DROP"}, "warehouse.table", "fail", "WAREHOUSE_WHERE"),
    ):
        user, schema = changed.get("user", "looker"), changed.get("schema", "segment")
        url = f"postgresql://{user}@127.0.0.1:{port}/{database}?schema={schema}"
        found = await findings(settings_for(url, warehouse_where=changed.get("where")), choice)
        assert id_ in found, (choice, changed, found)
        assert found[id_][0] == verdict, (choice, changed, found)
        assert part in found[id_][1], (choice, changed, found)
    missing = await findings(load_settings(warehouse_url=None), TableChoice("auto"))
    assert [*missing] == ["warehouse.connection"]


async def test_an_old_row_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "profiles.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE profile_traits AS SELECT 'a' AS id, 5 AS ltv, DATE '2020-01-31' AS updated_at")
    found = await findings(settings_for(f"duckdb://{path}"), NO_TABLE)
    assert found["warehouse.freshness"][0] == "warn"
    assert "2020-01-31" in found["warehouse.freshness"][1]
    assert "warehouse.estimate" not in found


async def test_suggest_reads_some_profiles_of_either_shape(settings: Settings) -> None:
    for table, most, held in (("auto", 100, 100), ("profile_traits", 2000, 40)):
        entries = await read_sample(settings, Sample("spa_1", table=table, profiles=most))
        assert len(entries) == held, table
        assert all(isinstance(one, dict) and float(one["traits"]["ltv"]) > 0 for one in entries), table
    again = await read_sample(settings, Sample("spa_1", table="auto", profiles=100))
    assert again == await read_sample(settings, Sample("spa_1", table="auto", profiles=100))


async def test_suggest_writes_a_clusters_file_without_a_value(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run_suggest(settings, stderr(), Sample("spa_1", table="user_traits"), json=True) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["profiles"] == 1000
    assert {one["key"]: one["type"] for one in document["keys"]} == {"ltv": "number", "note": None}
    assert PLANTED not in out + err


async def test_suggest_refuses_a_second_source_and_a_writer(
    session_postgres: PostgresServer, database: str, settings: Settings
) -> None:
    for options, part in (
        ({"files": ("a.csv",)}, "--from-file"),
        ({"sandbox": True}, "--sandbox"),
        ({"table": None, "columns": "id=a"}, "--columns"),
        ({"columns": "who=a"}, "--columns: who"),
    ):
        with pytest.raises(ConfigurationError, match=part):
            await read_sample(settings, Sample("spa_1", **{"table": "auto", **options}))
    with pytest.raises(Permanent, match="nope"):
        await read_sample(settings, Sample("spa_1", table="auto", columns="id=nope"))
    writer = settings_for(session_postgres.url(database=database) + "?schema=segment")
    with pytest.raises(ResumableStop, match="superuser"):
        await read_sample(writer, Sample("spa_1", table="auto"))
