"""Files of rules: what is in them is what is made of them, and what is wrong is told with line, field and fix."""

from __future__ import annotations

import tomllib
from typing import Any

import jsonschema
import pytest

from worker.clusters.lines import line_numbers, line_of
from worker.clusters.rules import Rules
from worker.clusters.shipped import RECIPE, SHIPPED
from worker.clusters.toml import MAX_TEXT, MalformedRules, parse_rules, schema

GOOD = """\
name = "mine"
filter = { not = { trait = "staff", eq = true } }

[[traits]]
name = "spend"
type = "number"
missing = 0

[[traits]]
name = "staff"
type = "boolean"

[[clusters]]
key = "big"
when.all = [
  { trait = "spend", gt = 100 },   # much
  { trait = "spend", lte = 1e6 },
]
persona = { type = "B2B", goals = ["grow"] }

[[clusters]]
key = "rest"
label = "All the rest"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(MalformedRules) as raised:
        parse_rules(text)
    assert str(raised.value) == "\n".join(map(str, raised.value.problems))
    return [str(problem) for problem in raised.value.problems]


def test_a_file_is_read_as_it_says() -> None:
    rules = parse_rules(GOOD)
    assert rules.cluster_keys == ("big", "rest")
    assert rules.clusters[1].label == "All the rest"
    assert rules.clusters[0].persona == {"type": "B2B", "goals": ["grow"]}
    assert [rules.compiled.classify(spend) for spend in (None, 5, 500, 1e7)] == [-1, 1, 0, 1]
    assert rules == Rules.model_validate(tomllib.loads(GOOD))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_file_is_well_formed_and_named_as_its_rules(name: str) -> None:
    assert parse_rules(SHIPPED[name]).name == name


def test_the_recipe_ships() -> None:
    assert parse_rules(SHIPPED["recipe"]) == RECIPE


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "mine"\n', "", ["line 1: name: it is missing. Small letters, digits, _ and -."]),
        ('name = "mine"', 'name = "My Rules"', ['line 1: name: "My Rules" is not possible. Small letters']),
        ('type = "number"', 'type = "numbr"', ["line 6: trait spend, type: it is one of number, category"]),
        ('type = "number"\n', "", ["line 4: trait spend, type: it is missing. How its values are read"]),
        ("missing = 0", 'mising = "0"', ["line 7: trait spend, mising: there is no such field; did you mean missing?"]),
        ("missing = 0", 'missing = "0"', ['line 7: trait spend, missing: spend is a number, and "0" is none']),
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
            ["line 2: filter.not.trait: no trait", "line 10: trait spend, name: a tr"],
        ),
        ('name = "staff"', "name = 7", ["line 10: trait 2, name: write text in quotes"]),
        ("gt = 100", 'gt = "100"', ["line 16: cluster big, when.all.gt: write a number"]),
        ("lte = 1e6", "eq = true", ["line 17: cluster big, when.all.eq: spend is a number, and true is none"]),
        ("lte = 1e6", "ltx = 1e6", ["line 17: cluster big, when.all.ltx: there is no such field; did you mean lt?"]),
        (
            'spend", lte',
            'spent", lte',
            ["line 17: cluster big, when.all.trait: no trait is called spent; did you mean"],
        ),
        ('{ type = "B2B", goals = ["grow"] }', "3", ["line 19: cluster big, persona: write a table"]),
        ('"B2B"', "2025-01-01", ["line 19: cluster big, persona.type: write text, a number, true, false, a list or"]),
        ('key = "rest"', 'key = "big"', ["line 22: cluster big, key: a cluster big stands above already"]),
        ('key = "rest"', 'key = "rest"\nwhen = 5', ["line 23: cluster rest, when: write a table"]),
        ('"All the rest"', f'"{"x" * 61}"', ["line 23: cluster rest, label: it should have at most 60 characters."]),
        ("[[clusters]]", "[[cluster]]", ["line 1: clusters: it is missing.", "line 13: cluster: there is no such"]),
        ("missing = 0", "default = 0", ["line 7: trait spend, default: there is no such field; did you mean missing?"]),
        ("missing = 0", "unit = 0", ["line 7: trait spend, unit: there is no such field; there are name, keys, type"]),
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
            ["line 7: trait spend, max_age: there is no such field; did you mean max_age"],
        ),
        (
            "missing = 0",
            'max_age_days = "90 days"',
            ["line 7: trait spend, max_age_days: write a number, without quotes"],
        ),
        ("missing = 0", "max_age_days = 1e9", ["line 7: trait spend, max_age_days: write a number of at most 36,525."]),
        ("gt = 100", '">=" = 100', ["line 16: cluster big, when.all.>=: there is no such field; did you mean gte?"]),
        ("gt = 100", "gt = 2025-01-01", ["line 16: cluster big, when.all.gt: write an age in days, as a number"]),
        ("gt = 100", "gt = 100, lt = 5", ["line 16: cluster big, when.all: nobody can be here: spend is never gt 100"]),
        (
            "1e6",
            "5",
            ["line 17: cluster big, when.all: nobody can be here: spend is never gt 100 and lte 5 at once. Ch"],
        ),
        ("when.all", "when.and", ["line 15: cluster big, when.and: there is no such field; did you mean all?"]),
        (
            'key = "rest"',
            'key = "rest"\nwhen = {}',
            ["line 23: cluster rest, when: the condition is empty: write which"],
        ),
        ('key = "rest"', 'key = "rest"\nwhen.any = []', ["line 23: cluster rest, when.any: it is empty: write at lea"]),
        ('key = "rest"', 'key = "rest"\nwhen = "spend > 5"', ["line 23: cluster rest, when: write a table in { }"]),
        (
            GOOD[GOOD.index("[[c") :],
            "clusters = 1",
            ["line 1: clusters: it is missing", "line 13: trait staff, clusters: there is no such field"],
        ),
        (
            GOOD[GOOD.index("[[t") :],
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
        (GOOD, '{"name": "mine"}', ["line 1: this is not TOML: Invalid statement; a line is name = value, [[traits]]"]),
        ('"All the rest"', '"All the rest', ["line 23: label: this is not TOML: Illegal character"]),
        (GOOD, "\nx = [1", ["line 2: x: this is not TOML: Unclosed array; close it with ]"]),
        (GOOD, "", ["line 1: name: it is", "line 1: traits: it is missing.", "line 1: clusters: it is missing."]),
        (GOOD, "x = " + "[" * 5_000, ["line 1: brackets stand in each other too deep"]),
        (GOOD, "#" * (MAX_TEXT + 1), ["line 1: more than 262,144 characters: this is no file of rules"]),
    ],
)
def test_what_is_wrong_is_told_with_its_line_its_field_and_the_fix(old: str, new: str, expected: list[str]) -> None:
    found = problems(GOOD.replace(old, new))
    assert len(found) == len(expected), found
    for one, start in zip(found, expected, strict=True):
        assert one.startswith(start)


def test_a_file_is_read_though_an_editor_has_marked_it_as_unicode_or_uses_tabs_and_other_ends_of_lines() -> None:
    expected = parse_rules(GOOD)
    assert parse_rules("\ufeff" + GOOD) == expected
    assert parse_rules(GOOD.replace("\nmissing = ", "\n\tmissing\t=\t")) == expected
    assert parse_rules(GOOD.replace("\n", "\r\n")) == expected
    assert problems("\ufeff" + GOOD.replace("type", "kind"))[0].startswith("line 4: trait spend, type: it is missing")


def test_every_fault_is_told_at_once_in_order_of_lines() -> None:
    text = GOOD.replace("missing = 0", "missing = true").replace("gt = 100", "gt = true").replace('"big"', '"BIG"')
    assert [problem.split(":")[0] for problem in problems(text)] == ["line 7", "line 14", "line 16"]


# Lines

EVERYTHING = '''\
a = 1          # [[not.a.table]]
"b c".d = "x = [1, # no \\" comment"
e = """
[[clusters]]
f = 1
"""
g = [1, [2,
  3], { h = 1, i = [
  4] },
]

[t]
u = { v.w = 'it"s', x = 1.5e3 }

[t.y.v]
z = 2025-01-01T00:00:00.5Z
[[l]]
m = \'\'\'two
lines\'\'\'\'
[l.n]
o = true
[[l.p]]
[[l.p]]
q = 1
[[l]]
m = 2'''


def test_everything_has_its_line() -> None:
    tomllib.loads(EVERYTHING)
    assert line_numbers(EVERYTHING) == {
        ("a",): 1,
        ("b c",): 2,
        ("b c", "d"): 2,
        ("e",): 3,
        ("g",): 7,
        ("g", 0): 7,
        ("g", 1): 7,
        ("g", 1, 0): 7,
        ("g", 1, 1): 8,
        ("g", 2): 8,
        ("g", 2, "h"): 8,
        ("g", 2, "i"): 8,
        ("g", 2, "i", 0): 9,
        ("t",): 12,
        ("t", "u"): 13,
        ("t", "u", "v"): 13,
        ("t", "u", "v", "w"): 13,
        ("t", "u", "x"): 13,
        ("t", "y"): 15,
        ("t", "y", "v"): 15,
        ("t", "y", "v", "z"): 16,
        ("l",): 17,
        ("l", 0): 17,
        ("l", 0, "m"): 18,
        ("l", 0, "n"): 20,
        ("l", 0, "n", "o"): 21,
        ("l", 0, "p"): 22,
        ("l", 0, "p", 0): 22,
        ("l", 0, "p", 1): 23,
        ("l", 0, "p", 1, "q"): 24,
        ("l", 1): 25,
        ("l", 1, "m"): 26,
    }


def test_what_is_not_there_has_the_line_of_what_is_around_it() -> None:
    numbers = line_numbers(EVERYTHING)
    assert line_of(("l", 0, "n", "absent", 3), numbers) == 20
    assert line_of(("absent",), numbers) == 1


# The schema for editors


def resolve(part: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema()["$defs"][part["$ref"].rsplit("/", 1)[1]]
    return found


def test_the_schema_describes_every_field_and_knows_no_null() -> None:
    document = schema()
    assert "null" not in str(document)
    assert set(document["properties"]) == set(Rules.model_fields)
    condition = resolve(document["properties"]["filter"])
    assert {"in", "not", "trait", "missing"} <= set(condition["properties"])
    for model in (document, *document["$defs"].values()):
        assert all("description" in field for field in model.get("properties", {}).values())
        assert model.get("additionalProperties", False) is False


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_file_fits_the_schema(name: str) -> None:
    jsonschema.validate(tomllib.loads(SHIPPED[name]), schema())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('type = "number"', 'type = "numbr"'),
        ("missing = 0", "mising = 0"),
        ('key = "rest"', ""),
        ("gt = 100", 'gt = 100, all = [{ trait = "spend", gt = 1 }]'),
    ],
)
def test_an_editor_can_tell_mistakes_by_the_schema(old: str, new: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(GOOD.replace(old, new)), schema())
