"""What the generated dialects accept is usable for the parsers, too. DuckDB runs the statements in their place."""

from __future__ import annotations

import json
import random

import duckdb
import pytest
import sqlglot
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from tests.support.examples import examples
from tests.support.texts import DIRTY_LISTS, DIRTY_TEXTS, dirty_list, dirty_text
from worker.clusters.parsing.value_parsers import parse_list
from worker.clusters.parsing.words import ANY_WORD, Vocabulary
from worker.clusters.sql.words import category_columns, category_of, list_columns, list_of, shape_of
from worker.clusters.statistics.value_shape import value_shape

DIALECTS = ["redshift", "snowflake", "bigquery", "databricks"]
VALUE, FOUND = exp.column("value"), exp.column("found")
VOCABULARIES = [
    ANY_WORD,
    Vocabulary(frozenset({"Café", "unknown", "n/a", "{{x}}", "O'Neil", "a|b"})),
    Vocabulary(frozenset({"Café", "a", "b", "not set", "{{x}}", "a^"}), is_closed=True),
    Vocabulary(frozenset(), is_closed=True),
]
ACCEPTED = [
    *("SaaS", "Food & Drink", "R&D", "Health/Beauty", "Retail, Wholesale", "Real Estate", "not-for-profit", "O'Neil"),
    *("Tier 1", "Q3 2024", "plan-12", "2024", "50%", "3.5", "1-10", "11-50", "51-200", "201-500", "501-1,000"),
    *("501-1000", "1,001-5,000", "1001-5000", "5,001-10,000", "10,001-50,000", "50,001-100,000", "10,001+", "$1,000+"),
]
ACCEPTED_LETTERS = ["Île-de-France", "São Paulo", "Łódź", "Ελλάδα", "Россия", "日本", "한국", "ישראל", "Zürich 2"]


def in_duckdb(statement: str, dialect: str) -> str:
    """Returns the statement in DuckDB's dialect: it has functions for NFC, and for small letters without NFKC."""
    parsed = sqlglot.parse_one(statement, dialect=dialect)
    for node in reversed(list(parsed.find_all(exp.Normalize))):
        name = "LOWER" if node.args.get("is_casefold") else "NFC_NORMALIZE"
        node.replace(exp.Anonymous(this=name, expressions=[node.this]))
    for node in parsed.find_all(exp.RegexpReplace):
        node.set("modifiers", exp.Literal.string("g"))
    return parsed.sql("duckdb").replace("\\p{Cntrl}", "[:cntrl:]").replace("TEXT(MAX)", "TEXT")


def answers(texts: list[str], dialect: str, inner: exp.Expr, outer: list[exp.Expr]) -> list[tuple[object, ...]]:
    """Returns for each text the expressions `outer` of the column `found`, which is `inner`."""
    wanted = ", ".join(in_duckdb(one.sql(dialect), dialect) for one in outer)
    found = in_duckdb(inner.sql(dialect), dialect)
    with duckdb.connect() as database:
        database.execute("CREATE TABLE texts AS SELECT UNNEST($1) AS value", [texts])
        rows: list[tuple[object, ...]] = database.execute(
            f"SELECT {wanted} FROM (SELECT {found} AS found, rowid AS n FROM texts) ORDER BY n"
        ).fetchall()
    return rows


def wrong_categories(texts: list[str], dialect: str, vocabulary: Vocabulary) -> list[str]:
    """Returns the texts that are decided otherwise than by the parsers, though not as wrong."""
    made = category_of(FOUND, dialect)
    inner = category_columns(VALUE, vocabulary, dialect).found
    return [
        f"{dialect} {text!a}: {word!a}, {state}"
        for text, (word, state) in zip(texts, answers(texts, dialect, inner, [made.word, made.state]), strict=True)
        if (word != vocabulary.parse(text) if state == 0 else state == 1 and not vocabulary.is_missing(text))
    ]


def wrong_lists(texts: list[str], dialect: str, vocabulary: Vocabulary) -> list[str]:
    made, found = list_of(FOUND, dialect), []
    inner = list_columns(VALUE, vocabulary, dialect).found
    for text, (answer, state) in zip(texts, answers(texts, dialect, inner, [made.word, made.state]), strict=True):
        words = json.loads(answer) if isinstance(answer, str) else answer
        expected, usable = parse_list(text, vocabulary)
        right = set(words or ()) <= set(expected or ()) and (state == 2 or usable)
        if not right or (state == 0 and set(words) != set(expected or ())) or (state == 1) > (expected is None):
            found.append(f"{dialect} {text!a}: {words!a}, {state}")
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_not_wrong_is_what_the_parsers_find(dialect: str) -> None:
    for vocabulary in VOCABULARIES:
        assert wrong_categories(DIRTY_TEXTS + ACCEPTED + ACCEPTED_LETTERS, dialect, vocabulary) == []
        assert wrong_lists(DIRTY_LISTS + DIRTY_TEXTS, dialect, vocabulary) == []


@settings(examples(2, thorough=80), phases=[Phase.generate])  # a seed cannot be shrunk
@given(st.sampled_from(DIALECTS), st.sampled_from(VOCABULARIES), st.integers(0, 2**64))
def test_nothing_else_is_found_in_any_text(dialect: str, vocabulary: Vocabulary, seed: int) -> None:
    rng = random.Random(seed)
    numbers = ["".join(rng.choices("01589,.-–$+<% ", k=rng.randrange(2, 14))) for _ in range(300)]
    words = ["".join(rng.choices("aAfFzéß1200 -/&,'_:.@", k=rng.randrange(2, 20))) for _ in range(300)]
    assert wrong_categories([*(dirty_text(rng) for _ in range(300)), *numbers, *words], dialect, vocabulary) == []
    assert wrong_lists([dirty_list(rng) for _ in range(300)], dialect, vocabulary) == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_usual_categories_are_accepted(dialect: str) -> None:
    texts = ACCEPTED if dialect == "redshift" else ACCEPTED + ACCEPTED_LETTERS
    found = category_columns(VALUE, ANY_WORD, dialect).found
    assert [row[0] for row in answers(texts, dialect, found, [FOUND])] == texts
    of_lists = list_columns(VALUE, ANY_WORD, dialect).found
    made = list_of(FOUND, dialect)
    [(words, state)] = answers([json.dumps(texts, ensure_ascii=False)], dialect, of_lists, [made.word, made.state])
    assert isinstance(words, str | list)
    assert (sorted(json.loads(words) if isinstance(words, str) else words), state) == (sorted(texts), 0)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_shapes_of_ascii_are_those_of_the_fold(dialect: str) -> None:
    texts = [text for text in DIRTY_TEXTS if text.isascii() and text.isprintable() and "````" not in text]
    found = [row[0] for row in answers(texts, dialect, shape_of(VALUE, dialect), [FOUND])]
    assert found == list(map(value_shape, texts))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_expression_parses_in_its_dialect(dialect: str) -> None:
    made = [shape_of(VALUE, dialect)]
    for columns in (category_of(FOUND, dialect), list_of(FOUND, dialect)):
        made += [columns.word, columns.state]
    for vocabulary in VOCABULARIES[1:3]:
        made += [make(VALUE, vocabulary, dialect).found for make in (category_columns, list_columns)]
    for one in made:
        statement = one.sql(dialect)
        assert sqlglot.parse_one(statement, dialect=dialect).sql(dialect) == statement
