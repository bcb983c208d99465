"""Which rules are refused, and that each mistake is reported at its place."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.rules import TRAITS, cluster_index, faults, make_rules
from worker.clusters.rules.builtin import RECIPE
from worker.clusters.rules.condition import MAX_DEPTH
from worker.clusters.rules.rules import MAX_BYTES, MAX_CLUSTERS, MAX_TRAITS, Rules
from worker.clusters.rules.trait import Trait


@pytest.mark.parametrize(
    ("condition", "place", "fragment"),
    [
        ({"trait": "plna", "eq": "pro"}, "trait", "did you mean plan?"),
        ({"trait": "nothing_like_it", "eq": "pro"}, "trait", "there are spend, score"),
        ({"trait": "plan", "gt": 5}, "gt", "plan is a category, which has no gt: use eq, in, missing"),
        ({"trait": "joined", "eq": 5}, "eq", "joined is a date, which has no eq"),
        ({"trait": "trial", "in": [True]}, "in", "trial is a boolean, which has no in"),
        ({"trait": "trial", "eq": "yes"}, "eq", "write true or false"),
        ({"trait": "spend", "eq": "7"}, "eq", 'spend is a number, and "7" is not'),
        ({"trait": "spend", "eq": True}, "eq", "spend is a number, and true is not"),
        ({"trait": "score", "gt": 15}, "gt", "15 is outside 0 to 1"),
        ({"trait": "plan", "in": ["pro", 5]}, "in", 'write "5" in quotes'),
        ({"trait": "plan", "eq": " pro"}, "eq", "single spaces"),
        ({"trait": "plan", "eq": "x" * 101}, "eq", "at most 100 characters"),
        ({"trait": "plan"}, "trait", "what should plan be? Add one of gt"),
        ({"eq": 5}, "", 'Add trait = "…" to eq'),
        ({}, "", "the condition is empty"),
        ({"trait": "plan", "eq": "pro", "all": [{"trait": "plan", "eq": "x"}]}, "all", "trait and all together"),
        ({"not": {"trait": "plan", "eq": "pro"}, "gt": 5}, "", "gt beside not"),
        ({"all": []}, "all", "at least 1 item"),
        ({"all": [{"any": [{"trait": "plna", "eq": "x"}]}]}, "all.0.any.0.trait", "did you mean plan?"),
        ({"trait": "spend", "gt": float("nan")}, "gt", "finite"),
        ({"trait": "spend", "eq": float("inf")}, "eq", "finite"),
        ({"trait": "spend", "gt": "5"}, "gt", "valid number"),
    ],
)
def test_a_senseless_condition_is_refused_at_its_place(condition: dict[str, Any], place: str, fragment: str) -> None:
    found = faults(lambda: make_rules(condition, None))
    path = f"clusters.0.when.{place}".rstrip(".")
    assert path in found, found
    assert fragment in found[path]


@pytest.mark.parametrize(
    ("trait", "place", "fragment"),
    [
        ({"name": "Spend", "type": "number"}, "name", "pattern"),
        ({"name": "traits", "type": "number"}, "name", "choose another name"),
        ({"name": "a", "type": "number", "keys": []}, "keys", "at least 1"),
        ({"name": "a", "type": "number", "keys": ["x,y"]}, "keys.0", "pattern"),
        ({"name": "a", "type": "category", "scale": "percent"}, "scale", "only a number has a scale"),
        ({"name": "a", "type": "number", "scale": "currency"}, "currency", "say which currency"),
        ({"name": "a", "type": "number", "currency": "EUR"}, "currency", "add scale"),
        ({"name": "a", "type": "number", "scale": "currency", "currency": "euro"}, "currency", "pattern"),
        ({"name": "a", "type": "category", "missing_is_zero": True}, "missing_is_zero", "only a number can be 0"),
        ({"name": "a", "type": "list", "missing": "x"}, "missing", "a missing list holds nothing"),
        ({"name": "a", "type": "category", "missing": 5}, "missing", 'write "5" in quotes'),
        ({"name": "a", "type": "number", "scale": "percentile", "missing": 80}, "missing", "outside 0 to 1"),
        ({"name": "churn_risk", "type": "number", "scale": "percentile"}, "scale", 'such as "churn percentile"'),
        ({"name": "a", "label": "Churn Risk", "type": "number", "scale": "percentile"}, "label", "is a rank"),
        ({"name": "a", "type": "date", "max_age_days": 0}, "max_age_days", "greater than 0"),
        ({"name": "a", "type": "date", "unknown": 0}, "unknown", "Extra inputs"),
    ],
)
def test_a_trait_that_makes_no_sense_is_refused(trait: dict[str, Any], place: str, fragment: str) -> None:
    found = faults(lambda: Trait.model_validate(trait))
    assert fragment in found[place]


@pytest.mark.parametrize(
    ("scale", "bounds"),
    [("plain", (-1e15, 1e15)), ("probability", (0, 1)), ("percent", (0, 100)), ("percentile", (0, 1))],
)
def test_a_scale_bounds_its_values(scale: str, bounds: tuple[float, float]) -> None:
    trait = Trait.model_validate({"name": "a", "type": "number", "scale": scale})
    assert (trait.lowest, trait.highest) == bounds


def test_a_percentile_may_say_what_it_ranks() -> None:
    trait = {"name": "churn_risk", "label": "churn percentile", "type": "number", "scale": "percentile"}
    assert Trait.model_validate(trait).label == "churn percentile"


def test_names_are_unique() -> None:
    pro = {"trait": "plan", "eq": "pro"}
    twice = [{"key": "a", "when": pro}, {"key": "a"}]
    found = faults(lambda: make_rules(clusters=twice, traits=[*TRAITS, TRAITS[0]]))
    assert "choose another key" in found["clusters.1.key"]
    assert "choose another name" in found["traits.7.name"]


def test_a_cluster_that_no_profile_can_be_in_is_refused() -> None:
    pro = {"trait": "plan", "eq": "pro"}
    assert "c0 above takes everyone else" in faults(lambda: make_rules(None, pro))["clusters.1"]
    assert "c0 above has the same condition" in faults(lambda: make_rules(pro, pro))["clusters.1"]
    alone = faults(lambda: make_rules({"trait": "plan", "missing": True}))
    assert "in no cluster" in alone["clusters.0.when"]


def test_a_persona_keeps_its_own_fields_and_reports_known_traits() -> None:
    made = make_rules(clusters=[{"key": "a", "report": ["plan"], "persona": {"type": "B2B", "goals": ["x", {"y": 1}]}}])
    assert made.clusters[0].persona == {"type": "B2B", "goals": ["x", {"y": 1}]}
    found = faults(lambda: make_rules(clusters=[{"key": "a", "report": ["plna"], "persona": {"description": "x"}}]))
    assert "comes from the statistics" in found["clusters.0.persona.description"]
    assert "did you mean plan?" in found["clusters.0.report.0"]


def test_rules_are_bounded() -> None:
    traits = [{"name": f"t{i}", "type": "number"} for i in range(MAX_TRAITS + 1)]
    conditions = [{"trait": "spend", "eq": i} for i in range(MAX_CLUSTERS + 1)]
    assert "at most 100" in faults(lambda: make_rules(None, traits=traits))["traits"]
    assert "at most 50" in faults(lambda: make_rules(*conditions))["clusters"]
    assert "at least 1" in faults(lambda: make_rules())["clusters"]
    assert "at least 1" in faults(lambda: make_rules(None, traits=[]))["traits"]
    long = [{"key": "a", "persona": {"goals": "x" * MAX_BYTES}}]
    assert "at most 32,768" in faults(lambda: make_rules(clusters=long))[""]
    endless = [{"key": "a", "persona": {"goals": float("nan")}}]
    assert "finite" in faults(lambda: make_rules(clusters=endless))["clusters.0.persona.goals"]


def nested(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = {"trait": "plan", "eq": "pro"}
    for _ in range(levels - 1):
        condition = {"not": condition}
    return condition


def test_conditions_are_not_nested_without_end() -> None:
    assert cluster_index(make_rules(nested(MAX_DEPTH)), plan="free") == 0
    (found,) = faults(lambda: make_rules(nested(MAX_DEPTH + 1))).values()
    assert "more than 10 deep" in found
    assert faults(lambda: make_rules(nested(2_000)))


@pytest.mark.parametrize(
    ("trait", "field", "fragment"),
    [
        ({"type": "number", "values": ["1"]}, "values", "only a category or a list"),
        ({"type": "category", "values": []}, "values", "at least 1"),
        ({"type": "category", "values": ["pro", "pro"]}, "values.1", "there already"),
        ({"type": "category", "values": ["two  spaces"]}, "values.0", "single spaces"),
        ({"type": "category", "values": ["jane@example.com"]}, "values.0", "no ids"),
        ({"type": "category", "values": [7]}, "values.0", ""),
    ],
)
def test_an_allow_list_is_checked(trait: dict[str, object], field: str, fragment: str) -> None:
    found = faults(lambda: make_rules(None, traits=[{"name": "plan", **trait}]))
    assert fragment in found[f"traits.0.{field}"]


def test_a_condition_names_no_word_that_the_allow_list_lacks() -> None:
    traits = [{"name": "plan", "type": "category", "values": ["pro", "free"], "missing": "none"}]
    found = faults(lambda: make_rules({"trait": "plan", "eq": "team"}, None, traits=traits))
    assert "add it to its values" in found["clusters.0.when.eq"]
    assert make_rules({"trait": "plan", "in": ["pro", "none"]}, None, traits=traits)


@pytest.mark.parametrize("share", [-0.1, 1.1, "1%", True, float("nan")])
def test_the_share_of_a_word_lies_between_0_and_1(share: object) -> None:
    with pytest.raises(ValidationError):
        Rules.model_validate({**RECIPE.as_json(), "min_value_share": share})
