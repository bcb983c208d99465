"""Compiled statements: for random rules, at the bounds of buckets, with many words, and with hostile names."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import duckdb
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.sql_agreement.aggregates import ENTRIES, NOW, assert_equal
from tests.support.sql_agreement.random_rules import random_rules
from tests.support.sql_agreement.random_values import entries_of
from worker.clusters import RECIPE, Aggregate, Rules, fold
from worker.clusters.parsing.words import ANY_WORD
from worker.clusters.sql import SourceShape, compile_statement
from worker.clusters.sql.word_patterns import CLEAN, PLACEHOLDERS
from worker.clusters.statistics.category import MAX_VALUES
from worker.clusters.statistics.numeric import exact_mean, exact_sum
from worker.clusters.statistics.quantile_sketch import QuantileSketch

ENTRY = SourceShape("object", column="json", is_entry=True)
GOLDEN = Path(__file__).parent / "recipe_duckdb.sql"


@examples(4, thorough=200)
@given(st.integers(0, 2**32), st.data())
def test_any_rules_count_as_the_fold_counts_by_them(
    database: duckdb.DuckDBPyConnection, seed: int, data: st.DataObject
) -> None:
    rules = random_rules(Random(seed))
    rows = [json.dumps(entry) for entry in data.draw(entries_of(rules))]
    statement = compile_statement(rules, ENTRY, ENTRIES, as_of=NOW)
    expected = Aggregate()
    fold(expected, [json.loads(row) for row in rows], rules, as_of=NOW)
    assert_equal(statement.aggregate(database.execute(statement.sql, {"rows": rows}).fetchall()), expected)


def values_at_bounds() -> Iterator[float]:
    """Values at the bounds of buckets, and where a double rounds to the next 32-bit float."""
    for exponent in (*range(-152, -120), *range(-12, 12), *range(40, 50)):
        for step in (0, 1, 2, 63, 64, 127):
            bound = math.ldexp(1 + step / 128, exponent)
            half = math.ldexp(1.0, exponent - 24)
            for value in (bound, bound - half, bound - half / 2, bound + half, bound - 3 * half):
                for near in (math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf)):
                    yield from (near, -near) if step % 2 else (near,)
    yield from (0.0, -0.0, 5e-324, 1e15, -1e15)


def test_every_value_is_in_the_bucket_of_the_sketch(database: duckdb.DuckDBPyConnection) -> None:
    values = [value for value in values_at_bounds() if abs(value) <= 1e15]
    relation = sqlglot.parse_one("(SELECT UNNEST($values::DOUBLE[]) AS ltv)", dialect="duckdb")
    rules = Rules.model_validate(
        {"name": "one", "traits": [{"name": "ltv", "type": "number"}], "clusters": [{"key": "everyone"}]}
    )
    statement = compile_statement(rules, SourceShape("wide", {"ltv": "DOUBLE"}), relation, as_of=NOW)
    rows = database.execute(statement.sql, {"values": values}).fetchall()
    found = {bucket: n for _, _, bucket, _, n, *_ in rows if bucket is not None}
    sketch = QuantileSketch()
    sketch.add(values)
    assert found == dict(sketch._fresh)
    moments = statement.aggregate(rows).clusters["everyone"].numbers["ltv"].moments
    assert moments.mean == pytest.approx(float(exact_mean(exact_sum(values), len(values)) or 0), rel=1e-15)


def test_of_many_words_the_most_frequent_are_returned_and_all_are_counted(
    database: duckdb.DuckDBPyConnection,
) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [f"w{letters[i // 26 % 26]}{letters[i % 26]}{letters[i // 676]}" for i in range(900)]
    counted = [(word, 1 + i // 3) for i, word in enumerate(words)]
    profiles = [{"traits": {"ltv": 1, "plan": word, "industry": f"x {word}1"}} for word, n in counted for _ in range(n)]
    statement = compile_statement(RECIPE, ENTRY, ENTRIES, as_of=NOW)
    rows = database.execute(statement.sql, {"rows": [json.dumps(profile) for profile in profiles]}).fetchall()
    assert sum(1 for _, trait, _, text, *_ in rows if trait == 4 and text) == 2 * MAX_VALUES
    found = statement.aggregate(rows)
    plans = found.clusters["at_risk"].categories["plans"]
    assert plans.count == len(profiles)
    assert len(plans.counts) <= MAX_VALUES
    for word, n in counted:
        assert n - plans.error <= plans.counts.get(word, 0) <= n
    assert plans.error <= plans.count / (MAX_VALUES + 1)
    assert Aggregate.from_bytes(found.to_bytes()) == found


def test_hostile_names_and_words_stay_inside_their_quotes(database: duckdb.DuckDBPyConnection) -> None:
    hostile = ["'); DROP TABLE t; --", '"; SELECT 1', "a/b~c", "*/ x", "$.a", "K[1]", "Ünïcode 'x' \\", "?", "$1", ":a"]
    rules = Rules.model_validate(
        {
            "name": "hostile",
            "traits": [
                {"name": f"t{i}", "keys": [key, f"{key}2"], "type": "category", "label": 'it\'s "x"'}
                for i, key in enumerate(hostile)
            ],
            "clusters": [{"key": f"c{i}", "when": {"trait": f"t{i}", "eq": hostile[i]}} for i in range(len(hostile))],
        }
    )
    profiles: list[object] = [{"traits": {key: word}} for key in hostile for word in (*hostile, "x")]
    expected = Aggregate()
    fold(expected, profiles, rules, as_of=NOW)
    statement = compile_statement(rules, ENTRY, ENTRIES, as_of=NOW)
    rows = [json.dumps(profile) for profile in profiles]
    assert_equal(statement.aggregate(database.execute(statement.sql, {"rows": rows}).fetchall()), expected)

    names = ", ".join(f"UNNEST($c{i}) AS {duckdb_identifier(key)}" for i, key in enumerate(hostile))
    relation = sqlglot.parse_one(f"(SELECT {names})", dialect="duckdb")
    shape = SourceShape("wide", dict.fromkeys(hostile, "VARCHAR"))
    statement = compile_statement(rules, shape, relation, as_of=NOW)
    columns = {f"c{i}": [profile["traits"].get(key) for profile in profiles] for i, key in enumerate(hostile)}
    assert_equal(statement.aggregate(database.execute(statement.sql, columns).fetchall()), expected)
    assert len(sqlglot.parse(statement.sql, dialect="duckdb")) == 1


def duckdb_identifier(name: str) -> str:
    return sqlglot.exp.to_identifier(name, quoted=True).sql("duckdb")


def test_result_rows_contain_no_single_number_and_no_uncounted_profile(
    database: duckdb.DuckDBPyConnection,
) -> None:
    planted = {"ltv": 731234.5678, "churn_risk": 0.0123456, "industry": "Planted"}
    lines = [
        *({"id": str(i), "traits": {"ltv": 900 + i, "churn_risk": 0.1, "industry": "SaaS"}} for i in range(20)),
        {"id": "p", "traits": {"ltv": 731234.5678, "churn_risk": 0.0123456}},
        {"id": "q", "merged_to": "p", "traits": planted},
        {"id": "u", "traits": {"industry": "Planted"}},
        {"id": "e", "traits": {"ltv": "secret-9Q"}},
    ]
    statement = compile_statement(RECIPE, ENTRY, ENTRIES, as_of=NOW)
    rows = database.execute(statement.sql, {"rows": [json.dumps(line) for line in lines]}).fetchall()
    shown = repr(rows)
    assert statement.aggregate(rows).profiles == 23
    for secret in ("731234", "0.0123456", "secret", "9Q", "use_"):
        assert secret not in shown


def test_the_statement_of_the_default_rules_is_the_golden_file() -> None:
    shape = SourceShape(
        "wide", {"LTV": "DOUBLE", "purchase_count": "BIGINT", "Churn Risk": "VARCHAR", "plan": "VARCHAR"}
    )
    relation = sqlglot.parse_one("read_parquet(['profiles-*.parquet'])", dialect="duckdb")
    text = compile_statement(RECIPE, shape, relation, as_of=NOW, comment="sync 1").sql + "\n"
    if not GOLDEN.exists():
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), f"delete {GOLDEN.name} and run this test again to write it anew"
    assert Counter(type(one).__name__ for one in sqlglot.parse(text, dialect="duckdb")) == {"Union": 1}


@examples(100, thorough=3000)
@given(st.from_regex(CLEAN, fullmatch=True))
def test_a_word_that_the_statement_accepts_is_usable_unchanged(word: str) -> None:
    placeholder = word.lower() in PLACEHOLDERS
    assert ANY_WORD.parse(word) == (None if placeholder else word)
    assert ANY_WORD.is_missing(word) == placeholder


def test_traits_as_json_text_count_as_objects(database: duckdb.DuckDBPyConnection) -> None:
    texts = ['{"ltv": 9, "plan": "pro"}', "{}", None, "", " ", "null", "5", "[1]", "{ltv: 1}", '"x"', '{"ltv": "x"}']
    relation = sqlglot.parse_one("(SELECT UNNEST($texts::VARCHAR[]) AS traits)", dialect="duckdb")
    statement = compile_statement(RECIPE, SourceShape("object", column="traits"), relation, as_of=NOW)
    found = statement.aggregate(database.execute(statement.sql, {"texts": texts}).fetchall())
    traits: list[object] = [
        {"ltv": 9, "plan": "pro"},
        {},
        None,
        None,
        None,
        None,
        5,
        [1],
        "{ltv: 1}",
        "x",
        {"ltv": "x"},
    ]
    expected = Aggregate()
    fold(expected, [{"traits": one} for one in traits], RECIPE, as_of=NOW)
    assert_equal(found, expected)
