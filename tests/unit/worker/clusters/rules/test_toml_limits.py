"""Files of rules that no person writes: too long, too deep, or with values that a persona cannot hold."""

from __future__ import annotations

import tomllib

import orjson
import pytest

from tests.support.rules import RULES_FILE, mistakes
from worker.clusters.rules.toml_file import MOST_MISTAKES, MalformedRules, parse_rules
from worker.toml.tokenizer import find_broken_table, find_limit_violation, tokenize

DIGITS = "9" * 5_000
DEEP = {
    "integer": (f"persona = {{ x = {DIGITS} }}", "a number of 5,000 digits"),
    "negative integer": (f"persona = {{ x = -{DIGITS} }}", "a number of 5,001 digits"),
    "hexadecimal integer": (f"persona = {{ x = 0x{'f' * 5_000} }}", "a number of 5,002 digits"),
    "integer with underscores": (f"persona = {{ x = {'9_9' * 3_000} }}", "a number of 9,000 digits"),
    "integer in a list": (f"persona.x = [1, [{DIGITS}]]", "a number of 5,000 digits"),
    "integer in a condition": (f'when = {{ trait = "spend", gt = {DIGITS} }}', "a number of 5,000 digits"),
    "float": (f"persona.x = 1.{DIGITS}", "a number of 5,000 digits"),
    "inline tables": ("persona = " + "{ a = " * 300 + "1" + " }" * 300, "nested more than 100 deep"),
    "conditions": ("when = " + "{ not = " * 300 + '{ trait = "spend", gt = 1 }' + " }" * 300, "nested more than 100"),
    "lists": ("persona.x = " + "[" * 40_000 + "]" * 40_000, "nested more than 100 deep"),
    "lists that are not closed": ("persona.x = " + "[" * 100_000, "nested more than 100 deep"),
    "keys in tables": ("persona = " + "{ a.b.c.d.e.f.g.h.i = " * 20 + "1" + " }" * 20, "nested more than 100 deep"),
    "dotted key": ("persona." + "a." * 60_000 + "b = 1", "a name of more than 10 parts"),
    "dotted header": ("[clusters.persona." + "a." * 60_000 + "b]\nx = 1", "a name of more than 10 parts"),
    "dotted key with quotes": ("persona." + '"a" . ' * 40_000 + "b = 1", "a name of more than 10 parts"),
    "name": ("a" * 200_000 + " = 1", "a name of 200,000 characters"),
    "name in quotes": (f'"{"a" * 200_000}" = 1', "a name of 200,000 characters"),
    "name of digits": ("1" * 200_000 + " = 1", "a number of 200,000 digits"),
}


@pytest.mark.parametrize("name", DEEP)
def test_what_is_too_long_or_too_deep_is_an_error_with_its_line(name: str) -> None:
    line, sentence = DEEP[name]
    (found,) = mistakes(RULES_FILE + line + "\n")
    assert found.startswith("line 24: ")
    assert sentence in found
    assert len(found) < 300


@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * 100_000,
        "x = " + '"' * 200_000,
        "x = " + "'" * 200_000,
        'x = """' + '\\"' * 100_000,
        "{" * 100 + "\n" * 200_000,
        "[" * 250_000,
        "]" * 250_000,
        "=" * 250_000,
        "." * 250_000,
    ],
)
def test_any_text_is_looked_through_once(text: str) -> None:
    """Patterns that go back to where they began would take minutes."""
    tokens = tokenize(text)
    find_limit_violation(tokens)
    find_broken_table(tokens, 1)
    with pytest.raises(MalformedRules):
        parse_rules(text)


def test_conditions_of_any_depth_that_are_read_are_refused_by_their_place() -> None:
    nested = "{ not = " * 45 + '{ trait = "spend", gt = 1 }' + " }" * 45
    (found,) = mistakes(RULES_FILE.replace('{ trait = "spend", gt = 100 }', nested))
    assert "more than 10 deep" in found
    (found,) = mistakes(RULES_FILE + "persona.x = " + "[" * 95 + "]" * 95)
    assert found.startswith("line 24: cluster rest, persona.x: lists and tables are nested more than")


@pytest.mark.parametrize(
    ("value", "field", "sentence"),
    [
        ("18446744073709551616", "persona.x", "write an integer from -9223372036854775808 to 18446744073709551615"),
        ("-9223372036854775809", "persona.x", "write an integer from"),
        ("[1, { y = 99999999999999999999 }]", "persona.x.y", "write an integer from"),
        ("nan", "persona.x", "write a finite number"),
        ("-inf", "persona.x", "write a finite number"),
        ("2024-01-31", "persona.x", "write text, a number"),
        ("2024-01-31T00:00:00Z", "persona.x", "write text, a number"),
        ("10:00:00", "persona.x", "write text, a number"),
    ],
)
def test_what_a_persona_cannot_hold_is_an_error_of_the_rules(value: str, field: str, sentence: str) -> None:
    (found,) = mistakes(RULES_FILE + f"persona = {{ x = {value} }}\n")
    assert found.startswith(f"line 24: cluster rest, {field}: {sentence}")


@pytest.mark.parametrize(
    "value", ["18446744073709551615", "-9223372036854775808", "1.5", "true", '"99999999999999999999"']
)
def test_what_a_persona_can_hold_is_written_as_json(value: str) -> None:
    cluster = parse_rules(RULES_FILE + f"persona.x = {value}\n").clusters[-1]
    assert orjson.loads(orjson.dumps(dict(cluster.persona))) == tomllib.loads(f"x = {value}")


def test_many_mistakes_are_reported_up_to_a_bound() -> None:
    found = mistakes(RULES_FILE + "".join(f"k{i} = 1\n" for i in range(2_000)))
    assert len(found) == MOST_MISTAKES + 1
    assert found[-1].endswith("1,900 more mistakes from here on")
