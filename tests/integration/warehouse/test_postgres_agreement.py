"""PostgreSQL's aggregate equals the fold's in everything that is reported: on any text, for any rules.

An example has a few values of each key, and many profiles with some of them, so that one statement reads many values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC
from decimal import Decimal
from hashlib import md5
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from sqlglot import exp

from tests.support.examples import examples
from tests.support.servers.postgres_server import PostgresServer
from tests.support.sql_agreement.aggregates import NOW, folded, reported
from tests.support.sql_agreement.random_rules import random_rules
from tests.support.sql_agreement.random_values import DATES, LISTS, NUMBERS_AS_TEXT, RULES, WORDS, signs
from worker.clusters import Aggregate, Rules
from worker.clusters.sql import CompiledStatement, SourceShape, compile_statement

Connection = psycopg.Connection[tuple[Any, ...]]

TALL = SourceShape("tall", id="canonical_segment_id")
PROFILES = 200

free_text = st.text(
    (signs | st.characters(exclude_categories=["Cs"])).filter(lambda sign: sign != "\0"),  # which PostgreSQL refuses
    max_size=12,
)
decimals = st.from_regex(r"\s?[+-]?[0-9]{0,20}\.?[0-9]{0,20}([eE][+-]?0?[0-9]{1,4})?\s?", fullmatch=True)
numbers = st.sampled_from(NUMBERS_AS_TEXT) | decimals | (st.floats() | st.integers()).map(repr)
iso_dates = st.from_regex(
    r"(19|20)[0-9]{2}(-?(0[0-9]|1[0-3])-?([012][0-9]|3[0-2])|-?W[0-5][0-9]-?[0-8]?)"
    r"([T _-][012][0-9](:?[0-6][0-9](:?[0-6][0-9]([.,:]?[0-9]{1,9})?)?|[.,][0-9]{1,7})? ?"
    r"(Z|z|UTC|GMT|EST|[+-][012][0-9](:?[0-6][0-9](:?[0-6][0-9])?)?( CET)?)?)?",
    fullmatch=True,
)
long_dates = st.from_regex(
    r"((mon|TUE|Wednesday)[,]? )?(0?[1-9]|[12][0-9]|3[0-2])[ -](jan|FEB|mar|may|anf|dec)[ -]20[0-9]{2}"
    r"( [012][0-9]:[0-6][0-9](:[0-6][0-9])? ?(PST|gmt|utc|x)?([+-][012][0-9]:?[0-9]{2})?( \(\w+\))?)?"
    r"|(thu )?(sep|Oct|NOV|bad) ([1-9]|[0-3][0-9]),? (20[0-9]{2}( 10:00 EDT)?|09:30:15 ?(cst|UTC|-0700)? 2024)"
    r"|20[0-9]{2}[-/]0[1-9][-/][0-3][0-9] {1,2}1[0-9]:00:00(\.[0-9]{1,9})? ?(\+0000( UTC)?|-0300 -03|EST)?( m=\+0\.1)?",
    fullmatch=True,
)
epochs = st.integers(-(10**13), 10**13).map(str) | st.floats(1e7, 1e13).map(repr)
dates = st.sampled_from(DATES) | iso_dates | long_dates | epochs | st.datetimes().map(str)
words = st.sampled_from(WORDS)
lists = st.lists(words | st.none() | st.integers(), max_size=3).map(json.dumps) | st.sampled_from(
    [one for one in LISTS if isinstance(one, str)]
)
padding = st.sampled_from(["", "", "", " ", "\t", "\u00a0", "\x1c", "\n"])
KINDS: dict[str, st.SearchStrategy[str]] = {
    "number": numbers,
    "date": dates,
    "boolean": words | st.sampled_from(["1", "0", "1.0", "true", "False", "NO"]),
    "category": words,
    "list": lists,
}
texts = numbers | dates | words | lists | free_text


def values_of(rules: Rules) -> st.SearchStrategy[dict[str, list[str]]]:
    """Some values of each key."""
    found: dict[str, st.SearchStrategy[list[str]]] = {}
    for trait in rules.traits:
        usual = KINDS[trait.type]
        padded = st.builds(lambda a, text, b: a + text + b, padding, usual, padding)
        for key in trait.keys:
            found[key] = st.lists(usual | usual | padded | texts, min_size=1, max_size=12)
    return st.fixed_dictionaries(found)


def profiles_of(values: dict[str, list[str]], random: Random, count: int = PROFILES) -> list[dict[str, str]]:
    """Profiles with these values, some of them often."""
    share = random.choice([0.3, 0.6, 0.9])
    return [{key: random.choice(some) for key, some in values.items() if random.random() < share} for _ in range(count)]


@pytest.fixture(scope="module")
def postgres(session_postgres: PostgresServer) -> Iterator[Connection]:
    with session_postgres.connect() as connection:
        connection.execute("SET jit = off")
        connection.execute("CREATE TEMPORARY TABLE user_traits (canonical_segment_id text, name text, value text)")
        yield connection


def counted_tall(
    postgres: Connection, rules: Rules, profiles: list[dict[str, str]], sample: float | None = None
) -> tuple[Aggregate, list[tuple[Any, ...]]]:
    """What PostgreSQL counts of profiles in a tall table, and the rows that it returns."""
    postgres.execute("TRUNCATE user_traits")
    with postgres.cursor().copy("COPY user_traits FROM STDIN") as copy:
        for i, profile in enumerate(profiles):
            for name, value in {**profile, "unrelated": "x"}.items():
                copy.write_row((f"use_{i}", name, value))
    return counted(postgres, rules, TALL, "user_traits", sample)


def counted(
    postgres: Connection, rules: Rules, shape: SourceShape, table: str, sample: float | None = None
) -> tuple[Aggregate, list[tuple[Any, ...]]]:
    statement = compiled(rules, shape, table, sample)
    rows = postgres.execute(statement.sql.encode()).fetchall()
    return statement.aggregate(rows), rows


def compiled(rules: Rules, shape: SourceShape, table: str, sample: float | None) -> CompiledStatement:
    """A statement. Most examples of a test have the same one, which takes longer to make than to run."""
    key = rules.model_dump_json(), repr(shape), sample
    if key not in _statements:
        _statements.clear()
        _statements[key] = compile_statement(
            rules, shape, exp.to_table(table), dialect="postgres", as_of=NOW, sample=sample, comment="a test"
        )
    return _statements[key]


_statements: dict[tuple[str, str, float | None], CompiledStatement] = {}
"""The statement that was compiled last."""


def assert_equal(found: Aggregate, expected: Aggregate) -> None:
    assert reported(found) == reported(expected)
    for key, cluster in expected.clusters.items():
        for trait, number in cluster.numbers.items():
            other = found.clusters[key].numbers[trait]
            assert other.mean == (None if number.mean is None else pytest.approx(number.mean, rel=1e-9, abs=1e-18))
            largest = max((abs(bound) for bound, _ in number.sketch.counted_values()), default=0.0)
            assert other.std == (
                None if number.std is None else pytest.approx(number.std, rel=1e-9, abs=1e-14 * largest + 1e-30)
            )
    assert Aggregate.from_bytes(found.to_bytes()) == found


def entries(profiles: list[dict[str, str]]) -> list[object]:
    return [{"traits": profile} for profile in profiles]


@examples(5, thorough=400)
@given(values_of(RULES), st.integers(0, 2**32))
def test_texts_of_any_values_count_as_the_fold_counts_them(
    postgres: Connection, values: dict[str, list[str]], seed: int
) -> None:
    profiles = profiles_of(values, Random(seed))
    assert_equal(counted_tall(postgres, RULES, profiles)[0], folded(entries(profiles), RULES))


@examples(4, thorough=400)
@given(st.integers(0, 2**32), st.data())
def test_any_rules_count_as_the_fold_counts_by_them(postgres: Connection, seed: int, data: st.DataObject) -> None:
    rules = random_rules(Random(seed))
    profiles = profiles_of(data.draw(values_of(rules)), Random(seed))
    assert_equal(counted_tall(postgres, rules, profiles)[0], folded(entries(profiles), rules))


COLUMNS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "Spend": ("double precision", st.floats() | st.sampled_from([500.0, 1e15, -1e15, 1e-40, 0.15, 5e-324, 7e-224])),
    "ltv": ("numeric", st.decimals(allow_nan=False, allow_infinity=False) | st.integers(-900, 900).map(Decimal)),
    "ltv_2": ("text", numbers | free_text),
    "risk": ("numeric(20,3)", st.integers(-100, 1200).map(lambda number: Decimal(number) / 1000)),
    "seen": ("text", dates),
    "seen_at": ("timestamp without time zone", st.datetimes()),
    "born": ("date", st.dates()),
    "vip": ("boolean", st.booleans()),
    "tags": ("text[]", st.lists(words, max_size=3)),
    "modules": ("jsonb", st.lists(words | st.none() | st.integers(), max_size=3) | words),
    "plan": ("character varying(80)", words.map(lambda word: word[:80])),
    "tier": ("timestamp with time zone", st.datetimes(timezones=st.just(UTC))),
    "size": ("integer", st.integers(-3, 10**9)),
    "employees": ("character(90)", words),
    "role": ("boolean", st.booleans()),
}
TYPED = Rules.model_validate(
    {
        **RULES.as_json(),
        "traits": [
            *RULES.as_json()["traits"],
            {"name": "numbered", "keys": ["size", "Spend"], "type": "boolean"},
            {"name": "dated", "keys": ["born", "size", "Spend", "tier", "seen_at"], "type": "date"},
            {"name": "flagged", "keys": ["vip", "born", "ltv_2"], "type": "number"},
        ],
    }
)


def python_value(kind: str, value: Any, text: str | None) -> object:
    """What the fold reads of a column: a number, a boolean, or the text that PostgreSQL shows."""
    if value is None:
        return None
    if kind in ("double precision", "integer", "boolean"):
        return value
    return float(value) if kind.startswith("numeric") else text


@examples(5, thorough=300)
@given(
    st.fixed_dictionaries(
        {name: st.lists(kind | st.none(), min_size=1, max_size=12) for name, (_, kind) in COLUMNS.items()}
    ),
    st.integers(0, 2**32),
)
def test_columns_of_any_type_count_as_their_text_does(
    postgres: Connection, values: dict[str, list[Any]], seed: int
) -> None:
    random = Random(seed)
    rows = [{name: random.choice(values[name]) for name in COLUMNS} for _ in range(PROFILES)]
    kinds = {name: kind for name, (kind, _) in COLUMNS.items()}
    postgres.execute("DROP TABLE IF EXISTS profile_traits")
    postgres.execute(
        "CREATE TEMPORARY TABLE profile_traits (id text, merged_to text, "
        + ", ".join(f'"{name}" {kind}' for name, kind in kinds.items())
        + ")"
    )
    with postgres.cursor().copy("COPY profile_traits FROM STDIN") as copy:
        for i, row in enumerate(rows):
            merged = "" if i % 3 else None
            found = [Jsonb(one) if kinds[name] == "jsonb" and one is not None else one for name, one in row.items()]
            copy.write_row((f"use_{i}", merged, *found))
        copy.write_row(("use_m", "use_1", *[None] * len(kinds)))
    shown = postgres.execute(
        "SELECT "
        + ", ".join(
            f"""to_jsonb("{name}") #>> '{{}}'""" if kind in ("text[]", "jsonb") else f'"{name}"::text'
            for name, kind in kinds.items()
        )
        + " FROM profile_traits WHERE id <> 'use_m' ORDER BY substr(id, 5)::integer"
    ).fetchall()
    keys = {"Spend": "spend", "ltv_2": "LTV 2"}
    profiles = [
        {
            key: python_value(kinds[name], row[name], text)
            for name, text in zip(kinds, texts, strict=True)
            for key in {name, keys.get(name, name)}
        }
        for row, texts in zip(rows, shown, strict=True)
    ]
    shape = SourceShape("wide", kinds, id="id", merged_to="merged_to")
    expected = folded([{"traits": profile} for profile in profiles], TYPED)
    expected.merged = 1
    assert_equal(counted(postgres, TYPED, shape, "profile_traits")[0], expected)


def test_a_sample_has_the_profiles_whose_hash_is_below_the_share(postgres: Connection) -> None:
    profiles = [{"spend": str(i)} for i in range(1000)]
    found, _ = counted_tall(postgres, RULES, profiles, sample=0.3)
    inside = [one for i, one in enumerate(profiles) if md5(f"use_{i}".encode()).hexdigest() < f"{int(0.3 * 2**32):08x}"]
    expected = folded(list(entries(inside)), RULES)
    expected.left_out = 1000 - len(inside)
    assert_equal(found, expected)
    assert found.listed == 1000


def test_result_rows_contain_nothing_of_few_profiles(postgres: Connection) -> None:
    planted = {
        "spend": "731234.5678",
        "LTV 2": "secret-9Q",
        "seen": "2021-03-04T05:06:07Z",
        "born": "04.03.2021 ada",
        "vip": "perhaps ada",
        "tags": '["Ada Lovelace"]',
        "modules": '["ada@example.com", "Quark"]',
        "plan": "Plan of Ada",
        "size": "ada@example.com",
        "role": "+49 151 2345678",
    }
    profiles = [
        *({"spend": str(900 + i), "plan": "pro", "modules": '["api"]'} for i in range(20)),
        planted,
        {"plan": "Plan of Ada", "size": "+49 151 2345678", "spend": "n0t 4 number"},
    ]
    found, rows = counted_tall(postgres, RULES, profiles)
    assert_equal(found, folded(entries(profiles), RULES))
    shown = repr(rows)
    for secret in (
        "731234",
        "secret",
        "9Q",
        "2021",
        "05:06",
        "ada",
        "Ada",
        "Quark",
        "Plan",
        "151",
        "2345",
        "n0t",
        "use_",
    ):
        assert secret not in shown
    assert {row[3] for row in rows} == {None, "pro", "api"}
