"""The statements of engines that cannot be run here, translated to DuckDB by sqlglot, count as the fold does.

That finds mistakes in the statements' logic. It does not prove that the engines have the functions that they name.
"""

from __future__ import annotations

import random
from typing import cast

import duckdb
import sqlglot
from sqlglot import exp

from tests.support.sql_agreement.aggregates import NOW, folded, reported
from worker.clusters import Rules
from worker.clusters.rules.toml_file import parse_rules
from worker.clusters.sql import Dialect, SourceShape, compile_statement

TABLES = {"redshift": "tall", "snowflake": "wide", "bigquery": "tall", "databricks": "wide"}
"""One table for each dialect. The other four pairs were run once, with the same result."""

RULES = parse_rules("""
name = "translated"
filter = { not = { trait = "staff", eq = true } }
traits = [
    { name = "ltv", keys = ["ltv", "lifetime_value"], type = "number", scale = "currency", currency = "USD" },
    { name = "churn", type = "number", scale = "probability" },
    { name = "staff", type = "boolean" },
    { name = "seen", keys = ["last_seen"], type = "date" },
    { name = "plan", type = "category" },
]
clusters = [
    { key = "rich", when = { trait = "ltv", gt = 100 } },
    { key = "away", when = { trait = "seen", gt = 300 } },
    { key = "saas", when = { trait = "plan", eq = "SaaS" } },
    { key = "rest" },
]
""")

VALUES = {
    "number": ["12.5", "700", "0", "-3", "1e3", " 5 ", "0.25", "0.1", "1", "abc", "", "1e16", "NaN", "12,5"],
    "boolean": ["true", "False", "yes", "0", "1.0", "maybe", ""],
    "date": [
        *("2024-02-29", "2025-12-31T23:59:59Z", "2026-01-31 10:00:00 UTC", "20260131", "1767225600", "1767225600000"),
        *("2026-01-31T10:00:00.123456+02:00", "2026-01-31T10:00:00-0530", "2026-01-31 10:00:00.5", "2024-02-30", "x"),
    ],
    "category": ["SaaS", "saas", " Retail ", "free", "pro", "ada@example.com", "null", ""],
}


def profiles_of(rules: Rules, count: int) -> list[dict[str, str]]:
    pick = random.Random(7)
    kinds = {key: trait.type for trait in rules.traits for key in trait.keys}
    return [
        {key: pick.choice(VALUES[kind]) for key, kind in kinds.items() if pick.random() < 0.8} for _ in range(count)
    ]


def in_duckdb(statement: str, dialect: str) -> str:
    """The statement in DuckDB's dialect; what sqlglot leaves as the engine writes it is replaced here."""

    parsed = sqlglot.parse_one(statement, dialect=dialect)
    for node in reversed([*parsed.find_all(exp.Normalize)]):  # the inner ones first
        node.replace(exp.func("nfc_normalize", node.this))
    return parsed.sql("duckdb").replace("TEXT(MAX)", "TEXT")


def test_the_statements_of_other_engines_count_as_the_fold_does() -> None:
    keys, profiles = RULES.keys, profiles_of(RULES, 300)
    entries: list[object] = [{"id": f"use_{i}", "traits": one} for i, one in enumerate(profiles)]
    expected = reported(folded(entries, RULES))
    shapes = {
        "tall": SourceShape("tall", id="id"),
        "wide": SourceShape("wide", columns=dict.fromkeys(keys, "TEXT"), id="id", merged_to="merged_to"),
    }
    with duckdb.connect() as connection:
        connection.execute("CREATE MACRO octet_length(words) AS strlen(CAST(words AS TEXT))")
        connection.execute("CREATE TABLE tall (id TEXT, name TEXT, value TEXT)")
        rows = [(f"use_{i}", key, value) for i, one in enumerate(profiles) for key, value in one.items()]
        connection.executemany("INSERT INTO tall VALUES (?, ?, ?)", [*rows, ("use_0", "unrelated", "x")])
        connection.execute(f"CREATE TABLE wide (id TEXT, merged_to TEXT, {', '.join(f'{key} TEXT' for key in keys)})")
        wide = [(f"use_{i}", "", *(one.get(key) for key in keys)) for i, one in enumerate(profiles)]
        connection.executemany(f"INSERT INTO wide VALUES ({', '.join('?' for _ in wide[0])})", wide)
        for dialect, table in TABLES.items():
            statement = compile_statement(
                RULES, shapes[table], exp.to_table(table), dialect=cast("Dialect", dialect), as_of=NOW
            )
            found = connection.execute(in_duckdb(statement.sql, dialect)).fetchall()
            assert reported(statement.aggregate(found)) == expected, (dialect, table)
