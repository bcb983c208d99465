"""Templates: which placeholders there are, what is wrong with a text, and how it is filled."""

from __future__ import annotations

import pytest

from worker.clusters import Aggregate, Rules, summarise
from worker.clusters.rules.template import GENERAL_PLACEHOLDERS, fill_template, find_template_faults, placeholders
from worker.clusters.rules.trait import Trait
from worker.mavera.text.description import placeholder_values

TRAITS = [
    Trait(name="ltv", type="number"),
    Trait(name="plans", type="category"),
    Trait(name="modules", type="list"),
    Trait(name="trial", type="boolean"),
    Trait(name="joined", type="date"),
]


def test_every_placeholder_has_a_value_and_nothing_else_has() -> None:
    document = {"name": "own", "traits": [trait.model_dump() for trait in TRAITS], "clusters": [{"key": "all"}]}
    rules = Rules.model_validate(document)
    values = placeholder_values(summarise(Aggregate(), rules)[0], rules.traits)
    assert set(values) == set(placeholders(TRAITS))
    assert values["label"] == "All"
    assert values["n"] == "0"
    unknown = set(values) - {"label", "key", "n", "opening", "details"}
    assert {values[name] for name in unknown} == {"n/a"}


def test_a_trait_does_not_hide_a_placeholder_of_the_cluster() -> None:
    assert placeholders([Trait(name="n", type="number")]) == GENERAL_PLACEHOLDERS


@pytest.mark.parametrize(
    "text", ["", "no placeholder", "{label} {n} {ltv} {ltv.median} {plans.shares} {trial} {joined.p90}", "{{x}} }}{{"]
)
def test_a_good_template_is_not_objected_to(text: str) -> None:
    assert list(find_template_faults(text, TRAITS)) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{lvt}", "no placeholder is called lvt; did you mean ltv?"),
        ("{plans.median}", "no placeholder is called plans.median; did you mean "),
        ("{}", "no placeholder is called ; there are label, key, n,"),
        ("{0}", "no placeholder is called 0; there are"),
        ("{ltv.__class__}", "no placeholder is called ltv.__class__; there are label"),
        ("{ltv[0]}", "no placeholder is called ltv[0]; did you mean ltv?"),
        ("{ltv:.2f}", "{ltv} takes no format"),
        ("{ltv!r}", "{ltv} takes no format"),
        ("100 } more", "a single brace: write {{ or }} for a brace in the text"),
        ("{ltv", "a single brace"),
    ],
)
def test_what_is_wrong_is_reported_with_what_was_probably_meant(text: str, sentence: str) -> None:
    (found,) = find_template_faults(text, TRAITS)
    assert found.startswith(sentence)


def test_every_mistake_is_named() -> None:
    assert len(list(find_template_faults("{a} {label} {b}", TRAITS))) == 2


def test_a_template_is_filled_without_looking_into_its_values() -> None:
    assert fill_template("  {{{label}}} has {ltv.median}\n", {"label": "{x}", "ltv.median": "$5"}) == "{{x}} has $5"
