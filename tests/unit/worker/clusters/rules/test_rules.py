"""Rules: the default ones, their journey in a request, and what differs between two of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.rules import CONDITIONS, TRAITS, contradicts_itself, make_rules
from worker.clusters.rules.builtin import RECIPE
from worker.clusters.rules.rules import Rules

# The default


def test_the_default_rules_are_the_recipes() -> None:
    assert RECIPE.name == "recipe"
    assert RECIPE.cluster_keys == ("high_value", "growth", "at_risk", "new")
    assert [cluster.label for cluster in RECIPE.clusters] == ["High Value", "Growth", "At Risk", "New"]
    assert RECIPE.keys == (
        *("ltv", "lifetime_value", "purchase_count", "order_count", "churn_risk", "churn_probability"),
        *("industry", "plan"),
    )
    assert [(trait.name, trait.missing) for trait in RECIPE.traits] == [
        ("ltv", 0),
        ("purchase_count", 0),
        ("churn_risk", 0.5),
        ("industries", None),
        ("plans", None),
    ]
    assert (RECIPE.trait("churn_risk").lowest, RECIPE.trait("churn_risk").highest) == (0, 1)
    assert RECIPE.compiled.deciding == ("ltv", "purchase_count", "churn_risk")
    assert (RECIPE.compiled.filtering, RECIPE.compiled.keep) == ((), None)


around = [None, *(bound + step for bound in (0, 100, 500) for step in (-1, 0, 0.5)), 1e15]


@given(
    st.sampled_from(around), st.sampled_from([None, 0, 1, 1.9, 2, 5]), st.sampled_from([None, 0, 0.1, 0.15, 0.4, 0.41])
)
def test_the_default_rules_decide_as_the_recipe_does(
    ltv: float | None, purchases: float | None, churn: float | None
) -> None:
    found = RECIPE.compiled.classify(ltv, purchases, churn)
    if ltv is None and purchases is None and churn is None:
        assert found == -1
        return
    ltv, purchases, churn = ltv or 0, purchases or 0, 0.5 if churn is None else churn
    if ltv > 500 and churn < 0.15:
        expected = "high_value"
    elif ltv > 100 and purchases >= 2:
        expected = "growth"
    else:
        expected = "at_risk" if churn > 0.4 else "new"
    assert RECIPE.cluster_keys[found] == expected


# On the way


@given(st.lists(CONDITIONS, min_size=1, max_size=2, unique_by=repr))
def test_rules_survive_their_journey_in_a_request(conditions: list[dict[str, Any]]) -> None:
    assume(not contradicts_itself(*conditions))
    made = make_rules(*conditions, {"trait": "joined", "lt": 0}, None, filter=conditions[0])
    again = Rules.model_validate_json(json.dumps(made.as_json()))
    assert again == made
    assert again.as_json() == made.as_json()


def test_only_what_was_given_travels() -> None:
    assert make_rules({"trait": "plan", "in": ["pro"]}).as_json()["clusters"] == [
        {"key": "c0", "when": {"trait": "plan", "in": ["pro"]}}
    ]


def test_rules_are_compiled_once() -> None:
    made = make_rules(None)
    assert made.compiled is made.compiled
    assert made == make_rules(None)
    assert hash(made) == hash(make_rules(None))


def test_differences_name_the_parts() -> None:
    one, two = {"trait": "spend", "gt": 1}, {"trait": "plan", "eq": "pro"}
    ours = make_rules(one, two)
    assert ours.differences(make_rules(one, two)) == []
    assert ours.differences(make_rules(one, two, name="other", filter=two)) == ["name", "filter"]
    assert ours.differences(make_rules(one, {"trait": "plan", "eq": "free"}, None)) == ["cluster c1", "cluster c2"]
    assert ours.differences(make_rules(one, two, traits=[*TRAITS[1:], TRAITS[0]])) == ["order of traits"]
    cheap = [{**TRAITS[0], "missing": 5}, *TRAITS[1:]]
    assert ours.differences(make_rules(one, two, traits=cheap)) == ["trait spend"]


def test_rules_without_the_new_fields_are_written_as_before() -> None:
    assert "min_value_share" not in RECIPE.as_json()
    assert all("values" not in trait for trait in RECIPE.as_json()["traits"])
    made = make_rules(None, traits=[{"name": "plan", "type": "category", "values": ["pro"]}])
    assert Rules.model_validate(made.as_json()) == made
    assert made.differences(make_rules(None, traits=[{"name": "plan", "type": "category"}])) == ["trait plan"]
