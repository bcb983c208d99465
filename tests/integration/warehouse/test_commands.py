"""`sync` and `preview` of a DuckDB file from the command line, without Redis."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from tests.support.processes.command_line import cli
from tests.support.processes.workers import environment


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a command whose warehouse is a DuckDB file with 30 profiles, one of which was merged."""
    with duckdb.connect(tmp_path / "space.duckdb") as connection:
        connection.execute(
            'CREATE TABLE profile_traits AS SELECT i AS canonical_segment_id, 900 AS "lifetimeValue", '
            "0.05 AS churn_risk, 'SaaS' AS industry, if(i = 0, 'x', '') AS merged_to FROM range(30) AS r (i)"
        )
        connection.execute(
            "CREATE TABLE answers AS SELECT 'u' || i AS who, 'ltv' AS what, '5' AS answer FROM range(9) r (i)"
        )
    url = f"duckdb://{tmp_path}/space.duckdb"
    home = str(tmp_path / "home")
    return environment(None, None, WAREHOUSE_URL=url, SEGMENT_PERSONAS_HOME=home)


async def test_a_table_is_synced_in_one_process_and_named_in_its_results(env: dict[str, str]) -> None:
    made = await cli("sync", "spa_1", "--sandbox", "--from-warehouse", "--json", env=env)
    assert made.code == 0, made.err
    found = json.loads(made.out)
    assert (found["source"], found["table"], found["engine"]) == ("warehouse", "main.profile_traits", "DuckDB")
    assert (found["profiles_fetched"], found["merged"], found["rows"]) == (29, 1, 30)
    assert [persona["cluster"] for persona in found["personas"]] == ["High Value"]
    assert "table main.profile_traits, 29 profiles" in made.err

    columns = "id=who,name=what,value=answer"
    options = ("--from-warehouse", "answers", "--columns", columns, "--json")
    planned = json.loads((await cli("preview", "spa_1", "--sandbox", *options, env=env)).out)
    assert (planned["profiles_fetched"], planned["table"]) == (9, "main.answers")

    unset = await cli("sync", "spa_1", "--sandbox", "--from-warehouse", env={**env, "WAREHOUSE_URL": ""})
    assert (unset.code, "WAREHOUSE_URL is not set" in unset.err) == (2, True), unset.err
