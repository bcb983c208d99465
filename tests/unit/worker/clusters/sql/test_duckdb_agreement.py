"""DuckDB's aggregate equals the fold's: on any values, for any rules, from any shape of a source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import duckdb
import orjson
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from worker.clusters import RECIPE, Aggregate, Rules, fold
from worker.clusters.sql import CompiledStatement, SourceShape, compile_statement

NOW = 1_772_366_400.123456

RULES = Rules.model_validate(
    {
        "name": "every-type",
        "traits": [
            {"name": "spend", "keys": ["spend", "ltv", "LTV 2"], "type": "number", "missing": 1.5},
            {"name": "risk", "type": "number", "scale": "probability"},
            {"name": "seen", "keys": ["seen", "seen_at"], "type": "date", "max_age_days": 3650.0},
            {"name": "born", "type": "date"},
            {"name": "vip", "type": "boolean"},
            {"name": "tags", "type": "list", "values": ["Café", "a", "unknown", "b"]},
            {"name": "modules", "keys": ["modules", "tags"], "type": "list", "max_age_days": 30.0},
            {"name": "plan", "keys": ["plan", "tier"], "type": "category"},
            {"name": "size", "keys": ["size", "employees"], "type": "category"},
            {"name": "role", "type": "category", "values": ["admin", "n/a", "a-b"]},
        ],
        "filter": {"not": {"all": [{"trait": "vip", "eq": True}, {"trait": "risk", "gt": 0.9}]}},
        "clusters": [
            {"key": "named", "when": {"trait": "plan", "in": ["Café", "unknown"]}},
            {
                "key": "tagged",
                "when": {"any": [{"trait": "modules", "eq": "api"}, {"trait": "tags", "missing": False}]},
            },
            {"key": "rich", "when": {"all": [{"trait": "spend", "gte": 500.0}, {"not": {"trait": "risk", "gt": 0.5}}]}},
            {"key": "fresh", "when": {"trait": "seen", "lt": 30.0}},
            {"key": "admin", "when": {"trait": "role", "eq": "n/a"}},
            {"key": "unseen", "when": {"trait": "seen", "missing": True}},
            {"key": "others"},
        ],
    }
)

signs = st.sampled_from(
    list("aAéK\u0301 9.,:;-/_+\"'<>{}[]()$@#\\\n\t\x0b\x00\x1b\x7f\x9b\u200b\u202e\u2028\u3164\ufe0f")
)
free_text = st.text(signs | st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = [
    *(0, -0.0, 1, 1.0, 2, 0.5, 0.15, 500, 1e15, -1e15, 1e15 + 0.125, 10**15 + 1, 10**400, 1e-40, -1e-39, 2.0**-126),
    *(20260131, 20260131.0, 1706659200, 1706659200123, 1706659200.5, -1, 631152000, 631151999, 7258118400),
]


def listed(*texts: str) -> list[str]:
    return [one for text in texts for one in text.split("|")]


NUMBERS_AS_TEXT = listed(
    "12| 12 |1e3|5.|.5|+3|-0|1,5|1_000|NaN|inf|0x10|１２|1e400|12a|1-2|\x0b7|0.30|1.5|901|20260131|1706659200",
    "1706659200000|1706659200.0|16|1e|--|e|1.2.3",
)
DATES = listed(
    "2026-02-28|2026-02-30|2026-02-28T10:00:00Z|2026-02-28 10:00:00|2026-02-28 10:00:00.5 UTC|1970-01-01|2026-2-8",
    "2026-02-28T10:00:00+00:00|2026-02-28T10:00:00+05:30|1970-01-01T00:00:00Z|1899-12-31|2200-01-01|2200-01-02",
    "Sat, 28 Feb 2026 10:00:00 GMT|2026-02-28T24:00:00|2026-W09|2027-01-01|1950-05-05|2010-01-01T00:00:00.1234567Z",
    "2026-02-28T10:00|28/02/2026|yesterday",
)
WORDS = listed(
    "Café|Cafe\u0301|unknown|Unknown|N/A|n/a|(not set)|a|b|api|SaaS| SaaS|Real  Estate|admin|a-b|not-set",
    "user123|ada@example.com|+49 151 2345678|pro 2024|1,001-5,000|<b>|{{x}}|www.x1|\u00a0| ||ja✓|maybe",
    "t|yes|TRUE| True |off|ON|1|0.0",
    "x" * 81,
)
LISTS = ['["a","api"]', "[]", '["a"', ' ["b"]', "[1]", ["api", "a"], ["a"], ["chat"]]

numeric, numeric_text = st.sampled_from(NUMBERS), st.sampled_from(NUMBERS_AS_TEXT)
dates, words = st.sampled_from(DATES), st.sampled_from(WORDS)
lists = st.lists(words | st.none() | numeric, max_size=3) | st.sampled_from(LISTS)
scalars = free_text | numeric_text | dates | words | st.none() | st.booleans() | numeric | st.integers() | st.floats()
wrapped = st.fixed_dictionaries(
    {
        "value": scalars | lists,
        "updated_at": st.sampled_from(["2026-02-20T00:00:00Z", "2025-02-20T00:00:00Z", None, "x"]),
    }
)
values = scalars | lists | wrapped | st.dictionaries(st.sampled_from(["value", "updated_at", "x"]), scalars, max_size=2)


def traits_of(rules: Rules) -> st.SearchStrategy[dict[str, object]]:
    kinds = {"number": numeric | numeric_text, "date": dates | numeric, "boolean": words | st.booleans() | numeric}
    found: dict[str, st.SearchStrategy[Any]] = {}
    for trait in rules.traits:
        for key in trait.keys:
            usual = kinds.get(trait.type, words if trait.type == "category" else lists)
            found[key] = usual | usual | usual | values
    return st.fixed_dictionaries({}, optional=found)


def entries_of(rules: Rules) -> st.SearchStrategy[list[object]]:
    profile = st.fixed_dictionaries({"traits": traits_of(rules)})
    odd = st.sampled_from(
        [{}, {"traits": None}, {"traits": 5}, {"traits": [1]}, {"traits": "x"}, None, 1, "x", [], [{}]]
    )
    return st.lists(profile | profile | profile | profile | odd, max_size=30)


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


def folded(entries: list[object], rules: Rules) -> Aggregate:
    aggregate = Aggregate()
    fold(aggregate, entries, rules, as_of=NOW)
    return aggregate


def assert_equal(found: Aggregate, expected: Aggregate) -> None:
    """Equal bytes, apart from what may differ in its last digits: sums and spreads."""
    for key, cluster in expected.clusters.items():
        for trait, number in cluster.numbers.items():
            other = found.clusters[key].numbers[trait]
            assert (other.mean is None) == (number.mean is None)
            if number.mean is not None:
                assert other.mean == pytest.approx(number.mean, rel=1e-9, abs=1e-18)
            if number.std is not None:
                largest = max(abs(bound) for bound, _ in number.sketch.counted_values())
                assert other.std == pytest.approx(number.std, rel=1e-9, abs=1e-15 * largest)
    assert without_sums(found) == without_sums(expected)
    assert Aggregate.from_bytes(found.to_bytes()) == found


def without_sums(aggregate: Aggregate) -> object:
    document = orjson.loads(aggregate.to_bytes())
    for cluster in document["clusters"].values():
        for number in cluster["numbers"].values():
            del number["squares"], number["sum"]
    return document


ENTRIES = sqlglot.parse_one("(SELECT UNNEST($rows)::JSON AS json)", dialect="duckdb")


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
