"""DuckDB's aggregate equals the fold's: on any values, for any rules, from any shape of a source."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import duckdb
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.sql_agreement.aggregates import ENTRIES, NOW, assert_equal, folded
from tests.support.sql_agreement.random_values import (
    NUMBERS_AS_TEXT,
    RULES,
    WORDS,
    dates,
    entries_of,
    free_text,
    lists,
    numeric,
    numeric_text,
    words,
)
from worker.clusters import RECIPE
from worker.clusters.sql import CompiledStatement, SourceShape, compile_statement


@cache
def of_entries() -> CompiledStatement:
    return compile_statement(RULES, SourceShape("object", column="json", is_entry=True), ENTRIES, as_of=NOW)


@cache
def of_columns() -> CompiledStatement:
    shape = SourceShape("wide", {name: kind for name, (kind, _) in COLUMNS.items()})
    relation = sqlglot.parse_one(f"(SELECT {UNNESTED})", dialect="duckdb")
    return compile_statement(RULES, shape, relation, as_of=NOW)


@examples(12, thorough=600)
@given(entries_of(RULES))
def test_entries_of_any_values_count_as_the_fold_counts_them(
    database: duckdb.DuckDBPyConnection, entries: list[object]
) -> None:
    statement = of_entries()
    rows = [json.dumps(entry) for entry in entries]
    found = statement.aggregate(database.execute(statement.sql, {"rows": rows}).fetchall())
    assert_equal(found, folded([json.loads(row) for row in rows], RULES))


COLUMNS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "Spend": ("DOUBLE", st.floats() | numeric.filter(lambda number: abs(number) < 10**300).map(float)),
    "ltv": ("BIGINT", st.integers(-(2**63), 2**63 - 1) | st.integers(-900, 900)),
    "ltv_2": ("VARCHAR", numeric_text | free_text),
    "risk": ("FLOAT", st.floats(0, 1, width=32)),
    "seen": ("VARCHAR", dates | numeric_text),
    "seen_at": ("TIMESTAMP", st.datetimes()),
    "born": ("DATE", st.dates()),
    "vip": ("BOOLEAN", st.booleans()),
    "tags": ("VARCHAR[]", st.lists(words, max_size=3)),
    "modules": ("VARCHAR", lists.filter(lambda value: isinstance(value, str)) | words),
    "plan": ("VARCHAR", words | free_text),
    "size": ("INTEGER", st.integers(0, 3)),
    "employees": ("VARCHAR", words),
    "role": ("VARCHAR", words),
}
UNNESTED = ", ".join(f'UNNEST($c{i}::{kind}[]) AS "{name}"' for i, (name, (kind, _)) in enumerate(COLUMNS.items()))
rows_of_columns = st.lists(
    st.fixed_dictionaries({name: st.none() | kind | kind for name, (_, kind) in COLUMNS.items()}), max_size=20
)


@examples(12, thorough=400)
@given(rows_of_columns)
def test_columns_of_any_type_count_as_their_json_does(
    database: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]]
) -> None:
    statement = of_columns()
    values = {f"c{i}": [row[name] for row in rows] for i, name in enumerate(COLUMNS)}
    found = statement.aggregate(database.execute(statement.sql, values).fetchall())
    exported = database.execute(f"SELECT to_json(it) FROM (SELECT {UNNESTED}) AS it", values).fetchall()
    names = {"Spend": "spend", "ltv_2": "LTV 2"}
    profiles = [{names.get(name, name): value for name, value in json.loads(row).items()} for (row,) in exported]
    assert_equal(found, folded([{"traits": profile} for profile in profiles], RULES))


def test_merged_rows_and_rows_outside_the_sample_count_only_as_such(database: duckdb.DuckDBPyConnection) -> None:
    lines: list[object] = [
        *({"id": str(i), "traits": {"ltv": i, "churn_risk": 0.1}} for i in range(1000)),
        *(
            {"id": "m", "merged_to": to, "traits": {"ltv": 9}}
            for to in ("1", " x ", 7, None, "", "NULL", "m", 0, False)
        ),
        *({"segment_id": "s", "id": 1, "traits": {}}, None, "x", {"traits": {"ltv": 1}}),
    ]
    entry = SourceShape("object", column="json", is_entry=True)
    found = {}
    for share in (None, 0.3, 0.6):
        statement = compile_statement(RECIPE, entry, ENTRIES, as_of=NOW, sample=share)
        rows = database.execute(statement.sql, {"rows": [json.dumps(line) for line in lines]}).fetchall()
        found[share] = statement.aggregate(rows)
    whole = found[None]
    assert (whole.merged, whole.left_out, whole.profile_errors, whole.profiles) == (3, 0, 2, 1008)
    assert (found[0.3].merged, found[0.3].profile_errors) == (3, 2)
    assert found[0.3].profiles + found[0.3].left_out == 1008
    assert 250 < found[0.3].profiles < 350
    assert found[0.3].profiles < found[0.6].profiles

    columns = "UNNEST($ids) AS key, UNNEST($merged) AS merged_to, UNNEST($ids)::DOUBLE AS ltv, 0.1 AS churn_risk"
    shape = SourceShape("wide", {"ltv": "DOUBLE", "churn_risk": "DECIMAL(2,1)"}, id="key", merged_to="merged_to")
    relation = sqlglot.parse_one(f"(SELECT {columns})", dialect="duckdb")
    statement = compile_statement(RECIPE, shape, relation, as_of=NOW, sample=0.3, comment="sync */ 1")
    values = {"ids": [str(i) for i in range(1000)], "merged": [None, ""] * 499 + ["x", "999"]}
    wide = statement.aggregate(database.execute(statement.sql, values).fetchall())
    assert statement.sql.startswith("/* sync * / 1 */")
    assert wide.merged == 1
    assert abs(wide.profiles - (found[0.3].profiles - 1)) <= 2


def test_a_row_for_each_trait_counts_as_its_profile(database: duckdb.DuckDBPyConnection) -> None:
    profiles: list[dict[str, object]] = [
        {"spend": number, "LTV 2": "5", "vip": word, "plan": word, "modules": '["a"]', "x": "y"}
        for number in NUMBERS_AS_TEXT
        for word in WORDS[:9]
    ]
    profiles.append({"x": "y"})
    rows = [(str(i), name, value) for i, profile in enumerate(profiles) for name, value in profile.items()]
    columns = {f"c{i}": list(column) for i, column in enumerate(zip(*rows, (None, "plan", "x"), strict=True))}
    relation = sqlglot.parse_one('(SELECT UNNEST($c0) AS "user id", UNNEST($c1) AS name, UNNEST($c2) AS value)')
    statement = compile_statement(RULES, SourceShape("tall", id="user id"), relation, as_of=NOW)
    found = statement.aggregate(database.execute(statement.sql, columns).fetchall())
    assert_equal(found, folded([{"traits": profile} for profile in profiles], RULES))
