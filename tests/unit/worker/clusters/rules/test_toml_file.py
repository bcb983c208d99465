"""Files of rules: they are read as written, and a mistake is reported with line, field and fix."""

from __future__ import annotations

import contextlib
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.rules import RULES_FILE, mistakes
from worker.clusters.rules.builtin import BUILTIN_RULES, RECIPE
from worker.clusters.rules.rules import Rules
from worker.clusters.rules.toml_file import MAX_TEXT, MalformedRules, parse_rules


def test_a_file_is_read_as_it_says() -> None:
    rules = parse_rules(RULES_FILE)
    assert rules.cluster_keys == ("big", "rest")
    assert rules.clusters[1].label == "All the rest"
    assert rules.clusters[0].persona == {"type": "B2B", "goals": ["grow"]}
    assert [rules.compiled.classify(spend) for spend in (None, 5, 500, 1e7)] == [-1, 1, 0, 1]
    assert rules == Rules.model_validate(tomllib.loads(RULES_FILE))


@pytest.mark.parametrize("name", BUILTIN_RULES)
def test_every_shipped_file_is_well_formed_and_named_as_its_rules(name: str) -> None:
    assert parse_rules(BUILTIN_RULES[name]).name == name


def test_the_recipe_ships() -> None:
    assert parse_rules(BUILTIN_RULES["recipe"]) == RECIPE


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "mine"\n', "", ["line 1: name: it is missing. Small letters, digits, _ and -."]),
        ('name = "mine"', 'name = "My Rules"', ['line 1: name: "My Rules" is not possible. Small letters']),
        ('type = "number"', 'type = "numbr"', ["line 6: trait spend, type: it is one of number, category"]),
        ('type = "number"\n', "", ["line 4: trait spend, type: it is missing. How its values are read"]),
        (
            "missing = 0",
            'mising = "0"',
            ["line 7: trait spend, mising: this field does not exist; did you mean missing?"],
        ),
        ("missing = 0", 'missing = "0"', ['line 7: trait spend, missing: spend is a number, and "0" is not']),
        ("missing = 0", "missing = []", ["line 7: trait spend, missing: write text in quotes, a finite number"]),
        ("missing = 0", 'keys = "x"', ["line 7: trait spend, keys: write a list in [ ]"]),
        ("missing = 0", "keys = [1]", ["line 7: trait spend, keys: write text in quotes"]),
        ("missing = 0", "keys = []", ["line 7: trait spend, keys: it is empty"]),
        ("missing = 0", "missing_is_zero = 1", ["line 7: trait spend, missing_is_zero: write true or false"]),
        ("missing = 0", "max_age_days = inf", ["line 7: trait spend, max_age_days: write a finite number"]),
        (
            "missing = 0",
            "max_age_days = 0",
            ["line 7: trait spend, max_age_days: write a number greater than 0. Days after"],
        ),
        (
            'name = "staff"',
            'name = "spend"',
            ["line 2: filter.not.trait: no trait", "line 10: trait spend, name: there is already a tr"],
        ),
        ('name = "staff"', "name = 7", ["line 10: trait 2, name: write text in quotes"]),
        ("gt = 100", 'gt = "100"', ["line 16: cluster big, when.all.gt: write a number"]),
        ("lte = 1e6", "eq = true", ["line 17: cluster big, when.all.eq: spend is a number, and true is not"]),
        ("lte = 1e6", "ltx = 1e6", ["line 17: cluster big, when.all.ltx: this field does not exist; did you mean lt?"]),
        (
            'spend", lte',
            'spent", lte',
            ["line 17: cluster big, when.all.trait: no trait is called spent; did you mean"],
        ),
        ('{ type = "B2B", goals = ["grow"] }', "3", ["line 19: cluster big, persona: write a table"]),
        ('"B2B"', "2025-01-01", ["line 19: cluster big, persona.type: write text, a number, true, false, a list or"]),
        ('key = "rest"', 'key = "big"', ["line 22: cluster big, key: there is already a cluster big above"]),
        ('key = "rest"', 'key = "rest"\nwhen = 5', ["line 23: cluster rest, when: write a table"]),
        ('"All the rest"', f'"{"x" * 61}"', ["line 23: cluster rest, label: it should have at most 60 characters."]),
        (
            "[[clusters]]",
            "[[cluster]]",
            ["line 1: clusters: it is missing.", "line 13: cluster: this field does not exist"],
        ),
        (
            "missing = 0",
            "default = 0",
            ["line 7: trait spend, default: this field does not exist; did you mean missing?"],
        ),
        (
            "missing = 0",
            "unit = 0",
            ["line 7: trait spend, unit: this field does not exist; the fields are name, keys, type"],
        ),
        (
            '"number"',
            '"integer"',
            ["line 6: trait spend, type: it is one of number, category, boolean, date, list; did"],
        ),
        ('"number"', '"money"', ["line 6: trait spend, type: it is one of number, category, boolean, date, list"]),
        (
            "missing = 0",
            'scale = "currency"',
            ["line 4: trait spend, currency: say which currency, such as currency ="],
        ),
        (
            "missing = 0",
            'scale = "currency"\ncurrency = "€"',
            ['line 8: trait spend, currency: "€" is not possible. Co'],
        ),
        (
            "missing = 0",
            'max_age = "90d"',
            ["line 7: trait spend, max_age: this field does not exist; did you mean max_age"],
        ),
        (
            "missing = 0",
            'max_age_days = "90 days"',
            ["line 7: trait spend, max_age_days: write a number, without quotes"],
        ),
        ("missing = 0", "max_age_days = 1e9", ["line 7: trait spend, max_age_days: write a number of at most 36,525."]),
        (
            '{ trait = "spend", gt = 100 }',
            "{ spend = { gt = 100 } }",
            ["line 16: cluster big, when.all.spend: this field does not exist; name the trait as a value: { trait ="],
        ),
        ("gt = 100", '">=" = 100', ["line 16: cluster big, when.all.>=: this field does not exist; did you mean gte?"]),
        ("gt = 100", "gt = 2025-01-01", ["line 16: cluster big, when.all.gt: write an age in days, as a number"]),
        (
            "gt = 100",
            "gt = 100, lt = 5",
            ["line 16: cluster big, when.all: this condition can never hold: spend"],
        ),
        (
            "1e6",
            "5",
            ["line 17: cluster big, when.all: this condition can never hold: spend cannot be gt 100"],
        ),
        ("when.all", "when.and", ["line 15: cluster big, when.and: this field does not exist; did you mean all?"]),
        (
            'key = "rest"',
            'key = "rest"\nwhen = {}',
            ["line 23: cluster rest, when: the condition is empty: write which"],
        ),
        ('key = "rest"', 'key = "rest"\nwhen.any = []', ["line 23: cluster rest, when.any: it is empty: write at lea"]),
        ('key = "rest"', 'key = "rest"\nwhen = "spend > 5"', ["line 23: cluster rest, when: write a table in { }"]),
        (
            RULES_FILE[RULES_FILE.index("[[c") :],
            "clusters = 1",
            ["line 1: clusters: it is missing", "line 13: trait staff, clusters: this field does not exist"],
        ),
        (
            RULES_FILE[RULES_FILE.index("[[t") :],
            "[traits]\n[[clusters]]\nkey = 'a'",
            ["line 4: traits: Begin each trait with a line [[tra"],
        ),
        ("[[traits]]", "traits = [", ["line 5: name: this is not TOML: Invalid value; write text in straight quotes"]),
        ("missing = 0", "missing = ", ["line 7: missing: this is not TOML: Invalid value; write text in straight"]),
        (
            "missing = 0",
            "missing = 0\nmissing = 1",
            ["line 8: missing: this is not TOML: Cannot overwrite a value; it"],
        ),
        (
            "missing = 0",
            "missing = True",
            ["line 7: missing: this is not TOML: Invalid value; write text in straight q"],
        ),
        ("[[traits]]\n", "[traits]\n", ["line 9: this is not TOML: Cannot declare ('traits',) twice; it is there"]),
        (
            "key = ",
            "key : ",
            ["line 14: this is not TOML: Expected '=' after a key in a key/value pair; a line is name ="],
        ),
        (
            RULES_FILE,
            '{"name": "mine"}',
            ["line 1: this is not TOML: Invalid statement; a line is name = value, [[traits]]"],
        ),
        ('"All the rest"', '"All the rest', ["line 23: label: this is not TOML: Illegal character"]),
        (RULES_FILE, "\nx = [1", ["line 2: x: this is not TOML: Unclosed array; close it with ]"]),
        (RULES_FILE, "", ["line 1: name: it is", "line 1: traits: it is missing.", "line 1: clusters: it is missing."]),
        (RULES_FILE, "x = " + "[" * 5_000, ["line 1: x: tables and lists are nested more than 100 deep"]),
        (RULES_FILE, "#" * (MAX_TEXT + 1), ["line 1: more than 262,144 characters: this is not a file of rules"]),
    ],
)
def test_what_is_wrong_is_reported_with_its_line_its_field_and_the_fix(old: str, new: str, expected: list[str]) -> None:
    found = mistakes(RULES_FILE.replace(old, new))
    assert len(found) == len(expected), found
    for one, start in zip(found, expected, strict=True):
        assert one.startswith(start)


def test_a_file_with_a_unicode_mark_tabs_or_other_line_ends_is_read() -> None:
    expected = parse_rules(RULES_FILE)
    assert parse_rules("\ufeff" + RULES_FILE) == expected
    assert parse_rules(RULES_FILE.replace("\nmissing = ", "\n\tmissing\t=\t")) == expected
    assert parse_rules(RULES_FILE.replace("\n", "\r\n")) == expected
    assert mistakes("\ufeff" + RULES_FILE.replace("type", "kind"))[0].startswith(
        "line 4: trait spend, type: it is missing"
    )


CASE = (Path(__file__).parents[4] / "cases" / "toml-break-in-braces.toml").read_text()

TABLES = {
    "a case from the field": (CASE, ["line 7: when: an inline table { } must be on one line"]),
    "a comma at the end": (
        RULES_FILE.replace("gt = 100 }", "gt = 100, }"),
        ["line 16: an inline table { } must not end with a comma"],
    ),
    "a break in an inner one": (
        RULES_FILE + "persona = { a = { b = 1,\n c = 2 } }\n",
        ["line 24: persona: an inline table { } must be on one line"],
    ),
    "a break before the end": (
        RULES_FILE + "persona = { a = 1\n}\n",
        ["line 24: persona: an inline table { } must be on one"],
    ),
    "a break after the beginning": (
        RULES_FILE + "persona = {\na = 1 }\n",
        ["line 24: persona: an inline table { } must be"],
    ),
    "not closed": (
        RULES_FILE + "persona = { a = 1\n",
        ["line 24: persona: this is not TOML: Unclosed inline table; close"],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_broken_inline_table_is_named_as_that(name: str) -> None:
    text, expected = TABLES[name]
    found = mistakes(text)
    assert len(found) == len(expected)
    for one, start in zip(found, expected, strict=True):
        assert one.startswith(start)


def test_a_list_in_an_inline_table_may_have_breaks_and_a_comma_at_its_end() -> None:
    rules = parse_rules(RULES_FILE + 'persona = { goals = [\n"a",\n"b",\n], x = """\n}""" }\n')
    assert rules.clusters[-1].persona == {"goals": ["a", "b"], "x": "}"}


def test_names_are_checked_too_while_other_mistakes_are_there() -> None:
    """All of them in one round: the mistakes of a part, and what does not fit the valid parts."""
    text = """
name = "shop"
filter = { trait = "region", eq = "eu" }
[[traits]]
name = "spend"
type = "numbr"
[[traits]]
name = "staff"
type = "boolean"
[[traits]]
name = "staff"
type = "boolean"
[[clusters]]
key = "A b"
when = { all = [{ trait = "spend", gt = 1 }, { trait = "nope", gt = 1 }] }
report = ["staf", "spend"]
[[clusters]]
key = "c"
when = { any = [{ trait = "staff", gt = 1 }, { trait = "spend", gt = 1 }] }
[[clusters]]
key = "d"
when = { trait = "spend", gtt = 1 }
template = "{spend} {staff.median}"
persona = { name = "x", big = 99999999999999999999 }
[[clusters]]
key = "c"
"""
    expected = [
        "line 3: filter.trait: no trait is called region",
        "line 6: trait spend, type: it is one of",
        "line 11: trait staff, name: there is already a trait staff above",
        'line 14: cluster A b, key: "A b" is not possible',
        "line 15: cluster A b, when.all.trait: no trait is called nope",
        "line 16: cluster A b, report: no trait is called staf; did you mean staff?",
        "line 19: cluster c, when.any.gt: staff is a boolean",
        "line 22: cluster d, when.gtt: this field does not exist",
        "line 24: cluster d, persona.big: write an integer from",
        "line 26: cluster c, key: there is already a cluster c above",
    ]
    found = mistakes(text)
    assert len(found) == len(expected), found
    for one, start in zip(found, expected, strict=True):
        assert one.startswith(start)


@examples(100, thorough=1500)
@given(
    st.lists(
        st.sampled_from(
            [*RULES_FILE.splitlines(keepends=True), "{", "}", "[", "]", '"', "'", '"""', "\n", ",", "=", ".", "#", "9"]
        )
        | st.text(max_size=5),
        max_size=40,
    ).map("".join)
)
def test_whatever_a_text_holds_is_rules_or_a_list_of_mistakes(text: str) -> None:
    lines = text.count("\n") + 1
    with contextlib.suppress(MalformedRules):
        parse_rules(text)
        return
    assert all(1 <= int(mistake.split(":")[0].removeprefix("line ")) <= lines for mistake in mistakes(text))


def test_every_fault_is_reported_at_once_in_order_of_lines() -> None:
    text = (
        RULES_FILE.replace("missing = 0", "missing = true").replace("gt = 100", "gt = true").replace('"big"', '"BIG"')
    )
    assert [mistake.split(":")[0] for mistake in mistakes(text)] == ["line 7", "line 14", "line 16"]
