"""PostgreSQL decides about words, lists and shapes as the parsers do, whatever a text contains."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import psycopg
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from tests.support.examples import THOROUGH, examples
from tests.support.servers.postgres_server import PostgresServer
from tests.support.texts import DIRTY_LISTS, DIRTY_TEXTS, dirty_list, dirty_text
from worker.clusters.parsing.value_parsers import parse_list
from worker.clusters.parsing.words import ANY_WORD, Vocabulary
from worker.clusters.sql.words import WordColumns, category_columns, category_of, list_columns, list_of, shape_of
from worker.clusters.statistics.value_shape import value_shape

Connection = psycopg.Connection[tuple[object, ...]]

Expected = Callable[[str], object]

VALUE = exp.column("value")
TEXTS = "UNNEST(:texts::TEXT[]) WITH ORDINALITY AS texts(value, n)"
VOCABULARIES = [
    ANY_WORD,
    Vocabulary(frozenset({"Café", "unknown", "n/a", "{{x}}", "1234567", "Straße", "-"})),
    Vocabulary(frozenset({"Café", "a", "b", "not set", "Real Estate", "{{x}}"}), is_closed=True),
]
BATCH = 200


@pytest.fixture(scope="module")
def connection(session_postgres: PostgresServer) -> Iterator[Connection]:
    with session_postgres.connect() as opened:
        yield opened


def category(text: str, vocabulary: Vocabulary) -> tuple[str | None, int]:
    word = vocabulary.parse(text)
    return word, 0 if word is not None else 1 if vocabulary.is_missing(text) else 2


def listed(text: str, vocabulary: Vocabulary) -> tuple[list[str] | None, int]:
    words, usable = parse_list(text, vocabulary)
    return None if words is None else list(words), 2 if not usable else 1 if words is None else 0


def differences(
    connection: Connection, texts: Sequence[str], source: str, wanted: exp.Expr | WordColumns, expected: Expected
) -> list[str]:
    """Returns the texts about which the server and the parsers disagree, with both answers."""
    columns = [wanted.word, wanted.state] if isinstance(wanted, WordColumns) else [wanted]
    query = "SELECT {} FROM {}".format(", ".join(column.sql("postgres") for column in columns), source)
    found = connection.execute(query.replace("%", "%%").replace(":texts", "%s").encode(), [list(texts)])
    return [
        f"{text!a}: {row!a} instead of {expected(text)!a}"
        for text, row in zip(texts, found, strict=True)
        if row != expected(text)
    ]


def word_differences(connection: Connection, texts: Sequence[str], *, lists: bool = False) -> list[str]:
    """Compares the columns that are computed from `found`, as a statement uses them."""
    make, make_of, expect = (list_columns, list_of, listed) if lists else (category_columns, category_of, category)
    found = []
    for vocabulary in VOCABULARIES:
        inner = make(VALUE, vocabulary, "postgres").found.sql("postgres")
        source = f"(SELECT {inner} AS found, n FROM {TEXTS} OFFSET 0) AS words ORDER BY n"
        wanted = make_of(exp.column("found"), "postgres")
        found += differences(connection, texts, source, wanted, lambda text, v=vocabulary: expect(text, v))  # type: ignore[misc]
    return found


def shape_differences(connection: Connection, texts: Sequence[str]) -> list[str]:
    source = f"{TEXTS} ORDER BY n"
    return differences(connection, texts, source, shape_of(VALUE, "postgres"), lambda text: (value_shape(text),))


def test_the_known_texts_are_decided_alike(connection: Connection) -> None:
    assert word_differences(connection, DIRTY_TEXTS) == []
    assert word_differences(connection, [*DIRTY_LISTS, *DIRTY_TEXTS], lists=True) == []
    assert shape_differences(connection, [*DIRTY_LISTS, *DIRTY_TEXTS]) == []


def test_word_and_state_need_no_column_before_them(connection: Connection) -> None:
    made = category_columns(VALUE, ANY_WORD, "postgres")
    wrong = differences(connection, DIRTY_TEXTS, f"{TEXTS} ORDER BY n", made, lambda text: category(text, ANY_WORD))
    made = list_columns(VALUE, ANY_WORD, "postgres")
    wrong += differences(connection, DIRTY_LISTS, f"{TEXTS} ORDER BY n", made, lambda text: listed(text, ANY_WORD))
    assert wrong == []


def test_null_is_missing(connection: Connection) -> None:
    null = exp.cast(exp.Null(), "TEXT")
    for made in (category_columns(null, ANY_WORD, "postgres"), list_columns(null, ANY_WORD, "postgres")):
        query = f"SELECT {made.word.sql('postgres')}, {made.state.sql('postgres')}"
        assert connection.execute(query.encode()).fetchall() == [(None, 1)]


@settings(examples(3, thorough=150), phases=[Phase.generate])  # a seed cannot be shrunk
@given(st.integers(0, 2**64))
def test_any_text_is_decided_alike(connection: Connection, seed: int) -> None:
    rng = random.Random(seed)
    texts = [dirty_text(rng) for _ in range(BATCH)]
    assert word_differences(connection, texts) == []
    assert shape_differences(connection, texts) == []


@settings(examples(3, thorough=150), phases=[Phase.generate])  # a seed cannot be shrunk
@given(st.integers(0, 2**64))
def test_any_list_is_decided_alike(connection: Connection, seed: int) -> None:
    rng = random.Random(seed)
    assert word_differences(connection, [dirty_list(rng) for _ in range(BATCH)], lists=True) == []


def test_every_character_is_decided_alike(connection: Connection) -> None:
    """One in 499 of all code points; all of the planes that have characters in a thorough run."""
    codes = [*range(1, 0x40000, 1 if THOROUGH else 499), *range(0x40000, 0x110000, 499)]
    codes = [code for code in codes if not 0xD800 <= code < 0xE000]
    for start in range(0, len(codes), 50_000):
        texts = [f"a{chr(code)}1" for code in codes[start : start + 50_000]]
        assert word_differences(connection, texts)[:20] == []
        assert shape_differences(connection, texts)[:20] == []
