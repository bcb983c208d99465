"""Small rules, their mistakes, and conditions and profiles made up at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.clusters.rules.rules import Rules
from worker.clusters.rules.toml_file import MalformedRules, parse_rules

TRAITS: list[dict[str, Any]] = [
    {"name": "spend", "type": "number", "missing": 0},
    {"name": "score", "type": "number", "scale": "probability"},
    {"name": "plan", "type": "category"},
    {"name": "country", "type": "category", "missing": "unknown"},
    {"name": "trial", "type": "boolean"},
    {"name": "joined", "type": "date"},
    {"name": "modules", "type": "list"},
]


def make_rules(*clusters: object, **more: Any) -> Rules:
    """Rules with one cluster for each condition: c0, c1, …; None is everyone else."""
    listed = [{"key": f"c{i}", "when": when} for i, when in enumerate(clusters)]
    return Rules.model_validate({"name": "test", "traits": TRAITS, "clusters": listed, **more})


def cluster_index(rules: Rules, **values: object) -> int:
    """The index of a profile's cluster."""
    return rules.compiled.classify(*(values.get(name) for name in rules.compiled.deciding))


def kept(condition: object, profile: Mapping[str, object]) -> bool:
    """Whether a filter of this condition keeps a profile."""
    compiled = make_rules(None, filter=condition).compiled
    assert compiled.keep is not None
    return compiled.keep(*(profile.get(name) for name in compiled.filtering))


def faults(call: Any) -> dict[str, str]:
    """Place → sentence of everything that is refused."""
    with pytest.raises(ValidationError) as raised:
        call()
    return {".".join(map(str, error["loc"])): error["msg"] for error in raised.value.errors()}


RULES_FILE = """\
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

WORDS = st.sampled_from(["a", "b", "it's", 'say "x"', "\\", "{0}", "ü"])
NUMBERS = st.sampled_from([0, 1, 2.5, -3, 1e15])
LEAVES = st.one_of(
    st.builds(
        lambda sign, value: {"trait": "spend", sign: value}, st.sampled_from(["gt", "gte", "lt", "lte"]), NUMBERS
    ),
    st.builds(lambda values: {"trait": "spend", "in": values}, st.lists(NUMBERS, min_size=1, max_size=3)),
    st.builds(lambda value: {"trait": "plan", "eq": value}, WORDS),
    st.builds(lambda values: {"trait": "country", "in": values}, st.lists(WORDS, min_size=1, max_size=3)),
    st.builds(lambda value: {"trait": "trial", "eq": value}, st.booleans()),
    st.builds(lambda value: {"trait": "modules", "eq": value}, WORDS),
    st.builds(lambda name, value: {"trait": name, "missing": value}, st.sampled_from(["plan", "spend"]), st.booleans()),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda kind, parts: {kind: parts}, st.sampled_from(["all", "any"]), st.lists(inner, min_size=1)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
)
PROFILES = st.fixed_dictionaries(
    {},
    optional={
        "spend": NUMBERS,
        "plan": WORDS,
        "country": WORDS,
        "trial": st.booleans(),
        "modules": st.lists(WORDS).map(tuple),
    },
)


def holds(condition: dict[str, Any], profile: dict[str, Any]) -> bool:
    """What a condition means, one step at a time."""
    if "all" in condition:
        return all(holds(part, profile) for part in condition["all"])
    if "any" in condition:
        return any(holds(part, profile) for part in condition["any"])
    if "not" in condition:
        return not holds(condition["not"], profile)
    name = condition["trait"]
    if "missing" in condition:
        return (name not in profile) is condition["missing"]
    value = profile.get(name, {"spend": 0, "country": "unknown"}.get(name))
    if value is None:
        return False
    operands = {sign: operand for sign, operand in condition.items() if sign != "trait"}
    ((sign, operand),) = operands.items()
    if isinstance(value, tuple):
        return operand in value
    return {
        "gt": lambda: value > operand,
        "gte": lambda: value >= operand,
        "lt": lambda: value < operand,
        "lte": lambda: value <= operand,
        "eq": lambda: value == operand,
        "in": lambda: value in operand,
    }[sign]()


def contradicts_itself(*conditions: object) -> bool:
    """Whether a part of a condition is refused because it never holds."""
    try:
        make_rules(*conditions)
    except ValidationError as error:
        return any("this condition can never hold" in one["msg"] for one in error.errors())
    return False


def mistakes(text: str) -> list[str]:
    """What is wrong with a file of rules, one text for each mistake."""
    with pytest.raises(MalformedRules) as raised:
        parse_rules(text)
    assert str(raised.value) == "\n".join(map(str, raised.value.mistakes))
    return [str(mistake) for mistake in raised.value.mistakes]
