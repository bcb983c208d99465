"""Conditions: which values they hold for, which can never hold, and that their compiled form decides as they read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.rules import (
    CONDITIONS,
    LEAVES,
    PROFILES,
    TRAITS,
    cluster_index,
    contradicts_itself,
    faults,
    holds,
    kept,
    make_rules,
)
from worker.clusters.rules.condition import Condition


@pytest.mark.parametrize(
    ("condition", "holds", "does_not"),
    [
        ({"trait": "spend", "gt": 10}, {"spend": 10.5}, {"spend": 10}),
        ({"trait": "spend", "gte": 10}, {"spend": 10}, {"spend": 9}),
        ({"trait": "spend", "lt": 10}, {"spend": 9}, {"spend": 10}),
        ({"trait": "spend", "lte": 10}, {"spend": 10}, {"spend": 10.5}),
        ({"trait": "spend", "gt": 10, "lte": 20}, {"spend": 20}, {"spend": 21}),
        ({"trait": "spend", "eq": 7}, {"spend": 7.0}, {"spend": 8}),
        ({"trait": "spend", "in": [1, 2]}, {"spend": 2.0}, {"spend": 3}),
        ({"trait": "plan", "eq": "pro"}, {"plan": "pro"}, {"plan": "Pro"}),
        ({"trait": "plan", "in": ["pro", "team"]}, {"plan": "team"}, {"plan": "free"}),
        ({"trait": "trial", "eq": True}, {"trial": True}, {"trial": False}),
        ({"trait": "trial", "eq": False}, {"trial": False}, {"trial": True}),
        ({"trait": "joined", "lt": 30}, {"joined": 29.9}, {"joined": 30}),
        ({"trait": "modules", "eq": "crm"}, {"modules": ("mail", "crm")}, {"modules": ("crm2",)}),
        ({"trait": "modules", "in": ["crm", "chat"]}, {"modules": ("chat",)}, {"modules": ()}),
        ({"trait": "plan", "missing": True}, {"trial": True}, {"plan": "pro"}),
        ({"trait": "plan", "missing": False}, {"plan": "pro"}, {"trial": True}),
        ({"not": {"trait": "plan", "eq": "pro"}}, {"plan": "free"}, {"plan": "pro"}),
        (
            {"all": [{"trait": "plan", "eq": "pro"}, {"trait": "trial", "eq": True}]},
            {"plan": "pro", "trial": True},
            {"plan": "pro"},
        ),
        (
            {"any": [{"trait": "plan", "eq": "pro"}, {"trait": "trial", "eq": True}]},
            {"trial": True},
            {"trial": False},
        ),
    ],
)
def test_a_condition_holds_for_what_it_says(
    condition: dict[str, Any], holds: dict[str, Any], does_not: dict[str, Any]
) -> None:
    assert kept(condition, holds)
    assert not kept(condition, does_not)


def test_a_comparison_with_a_missing_value_is_false_without_a_default() -> None:
    for comparison in ({"lt": 0.5}, {"gte": 0}, {"eq": 0}, {"in": [0]}):
        assert (
            cluster_index(make_rules({"trait": "score", **comparison}, {"trait": "plan", "eq": "x"}), plan="pro") == -1
        )
    assert cluster_index(make_rules({"trait": "spend", "lt": 1}, {"trait": "plan", "eq": "x"}), plan="pro") == 0
    assert (
        cluster_index(make_rules({"trait": "country", "eq": "unknown"}, {"trait": "plan", "eq": "x"}), plan="pro") == 0
    )
    assert cluster_index(make_rules({"trait": "modules", "eq": "crm"}, {"trait": "plan", "eq": "x"}), plan="pro") == -1


def test_missing_asks_for_the_value_itself_and_not_for_what_it_counts_as() -> None:
    made = make_rules({"trait": "spend", "missing": True}, {"trait": "plan", "eq": "x"})
    assert cluster_index(made, plan="pro") == 0
    assert cluster_index(made, plan="pro", spend=0) == -1


def test_a_profile_with_none_of_the_deciding_traits_is_in_no_cluster() -> None:
    made = make_rules({"trait": "spend", "lte": 0}, {"trait": "plan", "eq": "pro"}, None)
    assert made.compiled.deciding == ("spend", "plan")
    assert cluster_index(made) == -1
    assert cluster_index(made, plan="free") == 0
    assert cluster_index(made, spend=5) == 2


def test_profiles_in_no_cluster_are_reported_without_a_catch_all() -> None:
    assert cluster_index(make_rules({"trait": "plan", "eq": "pro"}), plan="free") == -1


def test_a_single_cluster_of_everyone_takes_every_profile_with_a_trait() -> None:
    made = make_rules(None)
    assert made.compiled.deciding == tuple(trait["name"] for trait in TRAITS)
    assert (cluster_index(made), cluster_index(made, trial=False)) == (-1, 0)


def test_the_filter_keeps_an_empty_profile_that_it_says_nothing_against() -> None:
    condition = {"not": {"trait": "trial", "eq": True}}
    assert make_rules(None, filter=condition).compiled.filtering == ("trial",)
    assert [kept(condition, profile) for profile in ({}, {"trial": False}, {"trial": True})] == [True, True, False]


@given(st.lists(CONDITIONS, min_size=1, max_size=3, unique_by=repr), PROFILES)
def test_compiled_conditions_decide_as_they_read(conditions: list[dict[str, Any]], profile: dict[str, Any]) -> None:
    assume(not contradicts_itself(*conditions))
    assert kept(conditions[0], profile) is holds(conditions[0], profile)
    # A comparison of a date keeps every profile from being an empty one.
    made = make_rules({"trait": "joined", "lt": 0}, *conditions, None)
    expected = next((i for i, condition in enumerate(conditions, 1) if holds(condition, profile)), len(conditions) + 1)
    assert cluster_index(made, joined=0, **profile) == expected


@given(st.lists(LEAVES, min_size=1, max_size=4), PROFILES)
def test_a_condition_refused_as_never_true_holds_for_no_profile(
    leaves: list[dict[str, Any]], profile: dict[str, Any]
) -> None:
    if contradicts_itself({"all": leaves}):
        assert not holds({"all": leaves}, profile)


@pytest.mark.parametrize(
    ("condition", "place", "words"),
    [
        ({"trait": "spend", "gt": 100, "lt": 50}, "", "spend cannot be gt 100 and lt 50"),
        ({"trait": "spend", "gt": 5, "lte": 5}, "", "spend cannot be gt 5 and lte 5"),
        ({"trait": "spend", "gt": 5, "in": [1, 5]}, "", "spend cannot be gt 5 and in [1, 5]"),
        ({"trait": "score", "gt": 1}, "", "score cannot be gt 1. Change it"),
        ({"trait": "joined", "gt": 90, "lt": 30}, "", "joined cannot be gt 90 and lt 30"),
        ({"trait": "plan", "eq": "a", "missing": True}, "", 'plan cannot be eq "a" and missing true'),
        ({"trait": "spend", "gt": 5, "missing": True}, "", "spend cannot be gt 5 and missing true"),
        (
            {"all": [{"trait": "plan", "eq": "a"}, {"all": [{"trait": "plan", "in": ["b", "c"]}]}]},
            ".all.1.all.0",
            'plan cannot be eq "a" and in ["b", "c"]',
        ),
        (
            {"not": {"any": [{"trait": "trial", "eq": True}, {"trait": "spend", "gte": 2, "lt": 2}]}},
            ".not.any.1",
            "spend cannot be gte 2 and lt 2",
        ),
        (
            {"all": [{"trait": "plan", "missing": True}, {"trait": "plan", "missing": False}]},
            ".all.1",
            "plan cannot be missing true and missing false",
        ),
    ],
)
def test_a_condition_that_never_holds_is_refused_at_its_place(condition: object, place: str, words: str) -> None:
    found = faults(lambda: make_rules(condition))
    assert list(found) == [f"clusters.0.when{place}"]
    assert words in found[f"clusters.0.when{place}"]


@pytest.mark.parametrize(
    "condition",
    [
        {"trait": "spend", "gte": 5, "lte": 5},
        {"trait": "spend", "lt": 5, "missing": True},  # counts as 0
        {"trait": "score", "gte": 1},
        {"trait": "joined", "lt": -1000},
        {"all": [{"trait": "modules", "eq": "a"}, {"trait": "modules", "eq": "b"}]},
        {"any": [{"trait": "plan", "eq": "a"}, {"trait": "plan", "eq": "b"}]},
        {"all": [{"trait": "plan", "eq": "a"}, {"not": {"trait": "plan", "eq": "b"}}]},
    ],
)
def test_what_somebody_can_be_is_not(condition: object) -> None:
    assert not contradicts_itself(condition)


def test_a_condition_knows_all_its_traits() -> None:
    condition = Condition.model_validate({"all": [{"trait": "a", "gt": 1}, {"not": {"trait": "b", "eq": "x"}}]})
    assert condition.traits == {"a", "b"}
