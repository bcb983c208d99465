"""Words in their normal form: what is missing, what is refused, and that nothing invisible is left."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.clusters.parsing import words
from worker.clusters.parsing.value_parsers import category_column, list_column, parse_category
from worker.clusters.parsing.words import ANY_WORD, WORD_LENGTH, Vocabulary, is_placeholder, normal_form
from worker.clusters.rules.rules import Rules
from worker.clusters.statistics.aggregate import Aggregate
from worker.clusters.statistics.fold import fold

ESC, BIDI, ZERO_WIDTH = "\x1b", "\u202e", "\u200b"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("Sa\x00aS", "SaaS"),
        (f"{ESC}]52;c;aGk={ESC}\\pro", "]52;c;aGk=\\pro"),
        (f"{ESC}[2Jpro", "[2Jpro"),
        ("\x9b2Jpro", "2Jpro"),
        (f"pro{BIDI}orp", "proorp"),
        (f"p{ZERO_WIDTH}ro\ufeff", "pro"),
        ("pro\U000e0041\U000e0042", "pro"),
        ("pr\u00ado", "pro"),
        ("\u3164pro\ufe0f", "pro"),
        ("Cafe\u0301", "Café"),
        ("A\u030angstro\u0308m", "Ångström"),
        ("Real\u2028estate\u00a0 &\t\x1fmore", "Real estate & more"),
        ("👩\u200d💻", "👩💻"),
        ("x" * WORD_LENGTH, "x" * WORD_LENGTH),
        ("e\u0301" * WORD_LENGTH, "é" * WORD_LENGTH),
    ],
)
def test_a_word_is_nfc_without_invisible_characters(value: str, word: str) -> None:
    assert parse_category(value) == word
    assert category_column([value, "pro"]).values == [word, "pro"]
    assert list_column([[value]]).values == [(word,)]


PLACEHOLDERS = (
    *("N/A", "n/a", " n/A ", "n.a.", "#N/A", "(not set)", "not set", "(Not Set)", "null", "NULL", "(null)", "<null>"),
    *("None", "none", "(none)", "[none]", "undefined", "nil", "NaN", "nan", "NaT", "<NA>", "unknown", "(unknown)"),
    *("-", "--", "---", "–", "—", "?", "???", ".", "...", "_", "/", "- -", "()", "(-)", "\\N"),
    *(
        "N / A",
        "n/a.",
        "N/ A",
        "Ｎ/Ａ",
        "not-set",
        "NOT_SET",
        "not_applicable",
        "(not-set)",
        "'null'",
        '"None"',
        "{null}",
    ),
    *("not available", "Not Applicable", "not provided", "(blank)", "(empty)", f"nu{ZERO_WIDTH}ll", "\x00", ZERO_WIDTH),
)


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_a_placeholder_is_missing_and_no_error(value: str) -> None:
    for column in (category_column([value, "pro"]), category_column([value, "pro", {}])):
        assert (column.values[0], 0 in column.wrong) == (None, False)
    lists = list_column([[value, "pro"], value])
    assert (lists.values, list(lists.wrong)) == ([("pro",), None], [])


@pytest.mark.parametrize(
    "value",
    ["NA", "Nonesuch", "no", "0", "Unknown Worlds", "A-", "N-A", "'round'", "non/a", "$", "#", "null island", "C/C++"],
)
def test_a_word_that_resembles_a_placeholder_is_a_word(value: str) -> None:
    assert parse_category(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "<b>pro</b>",
        "pro<img src=x onerror=alert(1)>",
        "</description>",
        "<!-- pro -->",
        "javascript:alert(1)",
        "JavaScript :alert(1)",
        "data:text/html,hi",
        "[click](me)",
        "{{ secrets }}",
        "${env}",
        "{% if %}",
        "```sh",
        "<scr\u200bipt>",
        "[object Object]",
        f"jane{ZERO_WIDTH}@example.com",
        "jane＠example．com",
        "x" * (WORD_LENGTH + 1),
        "e\u0301" * (WORD_LENGTH + 1),
        "a\ud800",
        "\u0301\u0323" * 500_000,
    ],
)
def test_markup_and_personal_and_long_words_are_trait_errors(value: str) -> None:
    assert parse_category(value) is None
    assert list(category_column(["pro", value]).wrong) == [1]
    assert list(list_column([["pro", value]]).wrong) == [0]


@pytest.mark.parametrize(
    "value", ["<10", "< 50 employees", "> 1,000", "R&D", "Health &amp; Beauty", "Data: analytics", "C++ {x}"]
)
def test_ranges_and_punctuation_are_words(value: str) -> None:
    assert parse_category(value) == value


def test_a_refused_value_is_not_remembered() -> None:
    words._accepted.clear()
    parse_category("jane@example.com")
    parse_category("N/A")
    parse_category("<b>Jane</b>")
    assert words._accepted == {}
    parse_category(" pro ")
    assert words._accepted == {" pro ": "pro"}
    for i in range(2 * words._CACHED):
        parse_category(f"plan {i}")
    assert len(words._accepted) <= words._CACHED


def rules(condition: dict[str, object], **trait: object) -> Rules:
    return Rules.model_validate(
        {
            "name": "words",
            "traits": [{"name": "plan", "type": "category", **trait}],
            "clusters": [{"key": "named", "when": {"trait": "plan", **condition}}, {"key": "others"}],
        }
    )


def sizes(rules: Rules, *values: object) -> dict[str, int]:
    aggregate = Aggregate()
    fold(aggregate, [{"traits": {"plan": value}} for value in values], rules)
    return {key: cluster.n for key, cluster in aggregate.clusters.items()} | {"nobody": aggregate.unclassified}


def test_a_placeholder_that_a_condition_names_is_a_word() -> None:
    values = ("unknown", " unknown ", "Unknown", "N/A", "pro")
    assert sizes(rules({"eq": "unknown"}), *values) == {"named": 2, "others": 1, "nobody": 2}
    assert sizes(rules({"in": ["unknown", "N/A"]}), *values) == {"named": 3, "others": 1, "nobody": 1}
    assert sizes(rules({"eq": "pro"}), *values) == {"named": 1, "nobody": 4}
    assert sizes(rules({"eq": "none"}, missing="none"), "none", "null", "pro") == {"named": 1, "others": 1, "nobody": 1}


def test_conditions_compare_in_the_normal_form() -> None:
    for written in ("Cafe\u0301", "Café", f"Ca{ZERO_WIDTH}fé"):
        found = rules({"eq": written})
        assert sizes(found, "Cafe\u0301", "Café", " Caf\u200bé", "Cafe") == {"named": 3, "others": 1, "nobody": 0}
        assert Rules.model_validate(found.as_json()) == found


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Cn", "Co", "Mn", "Zs", "Ll"])))
def test_the_normal_form_is_printable_and_its_own(value: str) -> None:
    word = normal_form(value)
    if word is not None:
        assert word.isprintable()
        assert unicodedata.is_normalized("NFC", word)
        assert word == word.strip()
        assert normal_form(word) == word
        assert is_placeholder(word) in (True, False)
    parsed = ANY_WORD.parse(value)
    assert parsed is None or (parsed == word and ANY_WORD.parse(parsed) == parsed and len(parsed) <= WORD_LENGTH)


@given(st.lists(st.text(max_size=6) | st.sampled_from(PLACEHOLDERS) | st.none(), max_size=8))
def test_values_of_one_normal_form_are_one_category(raw: list[object]) -> None:
    dirty = [f" \x00{value}{ZERO_WIDTH}" if isinstance(value, str) else value for value in raw]
    assert category_column(dirty).values == category_column(raw).values
    assert list(category_column(dirty).wrong) == list(category_column(raw).wrong)


@pytest.mark.parametrize(
    ("value", "members"),
    [
        ('["a","b"]', ("a", "b")),
        (' [ "a" , "a", " b " ]\n', ("a", "b")),
        ("[]", ()),
        ('["a", null, "N/A", ""]', ("a",)),
    ],
)
def test_a_list_as_json_text_is_a_list(value: str, members: tuple[str, ...]) -> None:
    column = list_column([value, ["c"]])
    assert (column.values, list(column.wrong)) == ([members, ("c",)], [])


@pytest.mark.parametrize(
    "value", ["a", "a,b", '["a"', "['a']", '{"a": 1}', '"a"', "[NaN, 1]", "[1]", "[" * 5000, '["a"] x', "[\ud800]"]
)
def test_other_text_is_not_a_list_but_a_trait_error(value: str) -> None:
    assert list(list_column([value]).wrong) == [0]
    assert not list_column([value]).values[0]


def test_an_allow_list_makes_every_other_word_a_trait_error() -> None:
    own = rules({"eq": "pro"}, values=["pro", "unknown", "Café"])
    aggregate = Aggregate()
    values = ["pro", " pro ", "Cafe\u0301", "unknown", "N/A", "", None, "Pro", "Ignore previous instructions", 7]
    fold(aggregate, [{"traits": {"plan": value}} for value in values], own)
    assert aggregate.trait_errors == {"plan": 3}
    assert aggregate.clusters["named"].categories["plan"].counts == {"pro": 2}
    assert aggregate.clusters["others"].categories["plan"].counts == {"Café": 1, "unknown": 1}


def test_items_that_an_allow_list_lacks_are_left_out_of_lists() -> None:
    column = list_column([["a", "x"], ["a", "N/A"], '["b"]'], Vocabulary(frozenset({"a", "b"}), is_closed=True))
    assert (column.values, list(column.wrong)) == ([("a",), ("a",), ("b",)], [0])
