"""The statements of engines that cannot be run here, translated to DuckDB by sqlglot, count as the fold does.

That finds mistakes in the statements' logic. It does not prove that the engines have the functions that they name.
"""

from __future__ import annotations

import random
import re
from typing import cast

import duckdb
import sqlglot
from sqlglot import exp

from tests.integration.warehouse.test_postgres_agreement import reported
from tests.unit.worker.clusters.sql.test_duckdb_agreement import NOW, folded
from worker.clusters import Rules
from worker.clusters.rules.builtin import load_builtin_rules
from worker.clusters.sql import Dialect, SourceShape, compile_statement

DIALECTS = ("redshift", "snowflake", "bigquery", "databricks")

# What sqlglot leaves as the engine writes it.
IN_DUCKDB = {r"\bNORMALIZE\(": "nfc_normalize(", r"\b(TEXT|VARCHAR)\(MAX\)": "TEXT"}

VALUES = {
    "number": ["12.5", "700", "0", "-3", "1e3", " 5 ", "0.25", "0.1", "1", "abc", "", "1e16", "NaN", "12,5"],
    "boolean": ["true", "False", "yes", "0", "1.0", "maybe", ""],
    "date": [
        "2024-02-29",
        "2025-12-31T23:59:59Z",
        "2026-01-31 10:00:00 UTC",
        "20260131",
        "1767225600",
        "2024-02-30",
        "x",
    ],
    "category": ["SaaS", "saas", " Retail ", "free", "pro", "ada@example.com", "null", ""],
    "list": ['["SaaS", "Retail"]', '["free"]', "[]", "SaaS", '["a", 1'],
}


def profiles_of(rules: Rules, count: int) -> list[dict[str, str]]:
    pick = random.Random(7)
    kinds = {key: trait.type for trait in rules.traits for key in trait.keys}
    return [
        {key: pick.choice(VALUES[kind]) for key, kind in kinds.items() if pick.random() < 0.8} for _ in range(count)
    ]


def in_duckdb(statement: str, dialect: str) -> str:
    (text,) = sqlglot.transpile(statement, read=dialect, write="duckdb")
    for pattern, replacement in IN_DUCKDB.items():
        text = re.sub(pattern, replacement, text)
    return text


def test_the_statements_of_other_engines_count_as_the_fold_does() -> None:
    for name in ("recipe", "saas"):
        rules = load_builtin_rules(name)
        profiles = profiles_of(rules, 400)
        expected = reported(folded([{"id": f"use_{i}", "traits": one} for i, one in enumerate(profiles)], rules))
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE tall (id TEXT, name TEXT, value TEXT)")
            rows = [(f"use_{i}", key, value) for i, one in enumerate(profiles) for key, value in one.items()]
            rows += [(f"use_{i}", "unrelated", "x") for i in range(len(profiles))]
            connection.executemany("INSERT INTO tall VALUES (?, ?, ?)", rows)
            columns = ", ".join(f'"{key}" TEXT' for key in rules.keys)
            connection.execute(f"CREATE TABLE wide (id TEXT, merged_to TEXT, {columns})")
            marks = ", ".join("?" for _ in range(len(rules.keys) + 2))
            wide = [(f"use_{i}", "", *(one.get(key) for key in rules.keys)) for i, one in enumerate(profiles)]
            connection.executemany(f"INSERT INTO wide VALUES ({marks})", wide)
            shapes = {
                "tall": SourceShape("tall", id="id"),
                "wide": SourceShape("wide", columns=dict.fromkeys(rules.keys, "TEXT"), id="id", merged_to="merged_to"),
            }
            for dialect in DIALECTS:
                for table, shape in shapes.items():
                    statement = compile_statement(
                        rules, shape, exp.to_table(table), dialect=cast("Dialect", dialect), as_of=NOW
                    )
                    found = connection.execute(in_duckdb(statement.sql, dialect)).fetchall()
                    assert reported(statement.aggregate(found)) == expected, (name, dialect, table)
