"""Rules: what they must be, and that their compiled form decides as their conditions read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.clusters.rules.builtin import RECIPE
from worker.clusters.rules.condition import MAX_DEPTH, Condition
from worker.clusters.rules.rules import MAX_BYTES, MAX_CLUSTERS, MAX_TRAITS, Rules
from worker.clusters.rules.trait import Trait

# A loaded machine must not make a test fail.

TRAITS: list[dict[str, Any]] = [
    {"name": "spend", "type": "number", "missing": 0},
    {"name": "score", "type": "number", "scale": "probability"},
    {"name": "plan", "type": "category"},
    {"name": "country", "type": "category", "missing": "unknown"},
    {"name": "trial", "type": "boolean"},
    {"name": "joined", "type": "date"},
    {"name": "modules", "type": "list"},
]


def rules(*clusters: object, **more: Any) -> Rules:
    """Rules with one cluster for each condition: c0, c1, …; None is everyone else."""
    listed = [{"key": f"c{i}", "when": when} for i, when in enumerate(clusters)]
    return Rules.model_validate({"name": "test", "traits": TRAITS, "clusters": listed, **more})


def index(rules: Rules, **values: object) -> int:
    """The index of a profile's cluster."""
    return rules.compiled.classify(*(values.get(name) for name in rules.compiled.deciding))


def kept(condition: object, profile: Mapping[str, object]) -> bool:
    """Whether a filter of this condition keeps a profile."""
    compiled = rules(None, filter=condition).compiled
    assert compiled.keep is not None
    return compiled.keep(*(profile.get(name) for name in compiled.filtering))


def faults(call: Any) -> dict[str, str]:
    """Place → sentence of everything that is refused."""
    with pytest.raises(ValidationError) as raised:
        call()
    return {".".join(map(str, error["loc"])): error["msg"] for error in raised.value.errors()}


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


# Conditions


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
        assert index(rules({"trait": "score", **comparison}, {"trait": "plan", "eq": "x"}), plan="pro") == -1
    assert index(rules({"trait": "spend", "lt": 1}, {"trait": "plan", "eq": "x"}), plan="pro") == 0
    assert index(rules({"trait": "country", "eq": "unknown"}, {"trait": "plan", "eq": "x"}), plan="pro") == 0
    assert index(rules({"trait": "modules", "eq": "crm"}, {"trait": "plan", "eq": "x"}), plan="pro") == -1


def test_missing_asks_for_the_value_itself_and_not_for_what_it_counts_as() -> None:
    made = rules({"trait": "spend", "missing": True}, {"trait": "plan", "eq": "x"})
    assert index(made, plan="pro") == 0
    assert index(made, plan="pro", spend=0) == -1


def test_a_profile_with_none_of_the_deciding_traits_is_in_no_cluster() -> None:
    made = rules({"trait": "spend", "lte": 0}, {"trait": "plan", "eq": "pro"}, None)
    assert made.compiled.deciding == ("spend", "plan")
    assert index(made) == -1
    assert index(made, plan="free") == 0
    assert index(made, spend=5) == 2


def test_profiles_in_no_cluster_are_reported_without_a_catch_all() -> None:
    assert index(rules({"trait": "plan", "eq": "pro"}), plan="free") == -1


def test_a_single_cluster_of_everyone_takes_every_profile_with_a_trait() -> None:
    made = rules(None)
    assert made.compiled.deciding == tuple(trait["name"] for trait in TRAITS)
    assert (index(made), index(made, trial=False)) == (-1, 0)


def test_the_filter_keeps_an_empty_profile_that_it_says_nothing_against() -> None:
    condition = {"not": {"trait": "trial", "eq": True}}
    assert rules(None, filter=condition).compiled.filtering == ("trial",)
    assert [kept(condition, profile) for profile in ({}, {"trial": False}, {"trial": True})] == [True, True, False]


words = st.sampled_from(["a", "b", "it's", 'say "x"', "\\", "{0}", "ü"])
numbers = st.sampled_from([0, 1, 2.5, -3, 1e15])
LEAVES = st.one_of(
    st.builds(
        lambda sign, value: {"trait": "spend", sign: value}, st.sampled_from(["gt", "gte", "lt", "lte"]), numbers
    ),
    st.builds(lambda values: {"trait": "spend", "in": values}, st.lists(numbers, min_size=1, max_size=3)),
    st.builds(lambda value: {"trait": "plan", "eq": value}, words),
    st.builds(lambda values: {"trait": "country", "in": values}, st.lists(words, min_size=1, max_size=3)),
    st.builds(lambda value: {"trait": "trial", "eq": value}, st.booleans()),
    st.builds(lambda value: {"trait": "modules", "eq": value}, words),
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
        "spend": numbers,
        "plan": words,
        "country": words,
        "trial": st.booleans(),
        "modules": st.lists(words).map(tuple),
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
        rules(*conditions)
    except ValidationError as error:
        return any("this condition can never hold" in one["msg"] for one in error.errors())
    return False


@given(st.lists(CONDITIONS, min_size=1, max_size=3, unique_by=repr), PROFILES)
def test_compiled_conditions_decide_as_they_read(conditions: list[dict[str, Any]], profile: dict[str, Any]) -> None:
    assume(not contradicts_itself(*conditions))
    assert kept(conditions[0], profile) is holds(conditions[0], profile)
    # A comparison of a date keeps every profile from being an empty one.
    made = rules({"trait": "joined", "lt": 0}, *conditions, None)
    expected = next((i for i, condition in enumerate(conditions, 1) if holds(condition, profile)), len(conditions) + 1)
    assert index(made, joined=0, **profile) == expected


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
    found = faults(lambda: rules(condition))
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


# On the way


@given(st.lists(CONDITIONS, min_size=1, max_size=2, unique_by=repr))
def test_rules_survive_their_journey_in_a_request(conditions: list[dict[str, Any]]) -> None:
    assume(not contradicts_itself(*conditions))
    made = rules(*conditions, {"trait": "joined", "lt": 0}, None, filter=conditions[0])
    again = Rules.model_validate_json(json.dumps(made.as_json()))
    assert again == made
    assert again.as_json() == made.as_json()


def test_only_what_was_given_travels() -> None:
    assert rules({"trait": "plan", "in": ["pro"]}).as_json()["clusters"] == [
        {"key": "c0", "when": {"trait": "plan", "in": ["pro"]}}
    ]


def test_rules_are_compiled_once() -> None:
    made = rules(None)
    assert made.compiled is made.compiled
    assert made == rules(None)
    assert hash(made) == hash(rules(None))


def test_differences_name_the_parts() -> None:
    one, two = {"trait": "spend", "gt": 1}, {"trait": "plan", "eq": "pro"}
    ours = rules(one, two)
    assert ours.differences(rules(one, two)) == []
    assert ours.differences(rules(one, two, name="other", filter=two)) == ["name", "filter"]
    assert ours.differences(rules(one, {"trait": "plan", "eq": "free"}, None)) == ["cluster c1", "cluster c2"]
    assert ours.differences(rules(one, two, traits=[*TRAITS[1:], TRAITS[0]])) == ["order of traits"]
    cheap = [{**TRAITS[0], "missing": 5}, *TRAITS[1:]]
    assert ours.differences(rules(one, two, traits=cheap)) == ["trait spend"]


# What is refused


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
    found = faults(lambda: rules(condition, None))
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
    found = faults(lambda: rules(clusters=twice, traits=[*TRAITS, TRAITS[0]]))
    assert "choose another key" in found["clusters.1.key"]
    assert "choose another name" in found["traits.7.name"]


def test_a_cluster_that_no_profile_can_be_in_is_refused() -> None:
    pro = {"trait": "plan", "eq": "pro"}
    assert "c0 above takes everyone else" in faults(lambda: rules(None, pro))["clusters.1"]
    assert "c0 above has the same condition" in faults(lambda: rules(pro, pro))["clusters.1"]
    alone = faults(lambda: rules({"trait": "plan", "missing": True}))
    assert "in no cluster" in alone["clusters.0.when"]


def test_a_persona_keeps_its_own_fields_and_reports_known_traits() -> None:
    made = rules(clusters=[{"key": "a", "report": ["plan"], "persona": {"type": "B2B", "goals": ["x", {"y": 1}]}}])
    assert made.clusters[0].persona == {"type": "B2B", "goals": ["x", {"y": 1}]}
    found = faults(lambda: rules(clusters=[{"key": "a", "report": ["plna"], "persona": {"description": "x"}}]))
    assert "comes from the statistics" in found["clusters.0.persona.description"]
    assert "did you mean plan?" in found["clusters.0.report.0"]


def test_rules_are_bounded() -> None:
    traits = [{"name": f"t{i}", "type": "number"} for i in range(MAX_TRAITS + 1)]
    conditions = [{"trait": "spend", "eq": i} for i in range(MAX_CLUSTERS + 1)]
    assert "at most 100" in faults(lambda: rules(None, traits=traits))["traits"]
    assert "at most 50" in faults(lambda: rules(*conditions))["clusters"]
    assert "at least 1" in faults(lambda: rules())["clusters"]
    assert "at least 1" in faults(lambda: rules(None, traits=[]))["traits"]
    long = [{"key": "a", "persona": {"goals": "x" * MAX_BYTES}}]
    assert "at most 32,768" in faults(lambda: rules(clusters=long))[""]
    endless = [{"key": "a", "persona": {"goals": float("nan")}}]
    assert "finite" in faults(lambda: rules(clusters=endless))["clusters.0.persona.goals"]


def nested(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = {"trait": "plan", "eq": "pro"}
    for _ in range(levels - 1):
        condition = {"not": condition}
    return condition


def test_conditions_are_not_nested_without_end() -> None:
    assert index(rules(nested(MAX_DEPTH)), plan="free") == 0
    (found,) = faults(lambda: rules(nested(MAX_DEPTH + 1))).values()
    assert "more than 10 deep" in found
    assert faults(lambda: rules(nested(2_000)))


def test_a_condition_knows_all_its_traits() -> None:
    condition = Condition.model_validate({"all": [{"trait": "a", "gt": 1}, {"not": {"trait": "b", "eq": "x"}}]})
    assert condition.traits == {"a", "b"}


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
    found = faults(lambda: rules(None, traits=[{"name": "plan", **trait}]))
    assert fragment in found[f"traits.0.{field}"]


def test_a_condition_names_no_word_that_the_allow_list_lacks() -> None:
    traits = [{"name": "plan", "type": "category", "values": ["pro", "free"], "missing": "none"}]
    found = faults(lambda: rules({"trait": "plan", "eq": "team"}, None, traits=traits))
    assert "add it to its values" in found["clusters.0.when.eq"]
    assert rules({"trait": "plan", "in": ["pro", "none"]}, None, traits=traits)


@pytest.mark.parametrize("share", [-0.1, 1.1, "1%", True, float("nan")])
def test_the_share_of_a_word_lies_between_0_and_1(share: object) -> None:
    with pytest.raises(ValidationError):
        Rules.model_validate({**RECIPE.as_json(), "min_value_share": share})


def test_rules_without_the_new_fields_are_written_as_before() -> None:
    assert "min_value_share" not in RECIPE.as_json()
    assert all("values" not in trait for trait in RECIPE.as_json()["traits"])
    made = rules(None, traits=[{"name": "plan", "type": "category", "values": ["pro"]}])
    assert Rules.model_validate(made.as_json()) == made
    assert made.differences(rules(None, traits=[{"name": "plan", "type": "category"}])) == ["trait plan"]
