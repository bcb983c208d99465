"""Whether a cluster says something of its members, or only of what is not known of them."""

from __future__ import annotations

import pytest

from worker.clusters import RECIPE, Aggregate, ClusterSummary, fold, summarise
from worker.clusters.analysis.quality_guards import compared_traits, has_evidence
from worker.clusters.rules.condition import Condition
from worker.clusters.rules.rules import Rules


def clusters(rules: Rules, *groups: tuple[int, dict[str, object]]) -> dict[str, ClusterSummary]:
    """The clusters of a space of so many profiles with such traits."""
    aggregate = Aggregate()
    fold(aggregate, [{"traits": traits} for n, traits in groups for _ in range(n)], rules)
    return {summary.key: summary for summary in summarise(aggregate, rules)}


@pytest.mark.parametrize(("known", "evident"), [(0, False), (19, False), (20, True), (100, True)])
def test_a_cluster_needs_a_fifth_of_members_with_a_trait_of_its_rule(known: int, evident: bool) -> None:
    # Whose risk is not known counts as a risk of 0.5, and so is at risk.
    found = clusters(RECIPE, (100 - known, {"ltv": 10}), (known, {"churn_risk": 0.9}))["at_risk"]
    assert found.n == 100
    assert has_evidence(RECIPE, found) is evident


def test_everyone_else_needs_any_trait_that_decides() -> None:
    assert has_evidence(RECIPE, clusters(RECIPE, (100, {"churn_risk": 0.3}))["new"])


def test_an_empty_cluster_lacks_no_evidence() -> None:
    assert has_evidence(RECIPE, clusters(RECIPE)["growth"])


RULES = Rules.model_validate(
    {
        "name": "seats",
        "traits": [{"name": "seats", "type": "number"}, {"name": "plan", "type": "category"}],
        "clusters": [
            {"key": "no_plan", "when": {"trait": "plan", "missing": True}},
            {"key": "pro", "when": {"trait": "plan", "eq": "pro"}},
            {"key": "large", "when": {"trait": "seats", "gt": 100.0}},
            {"key": "others"},
        ],
    }
)


def test_asking_whether_a_trait_is_missing_needs_none() -> None:
    assert has_evidence(RULES, clusters(RULES, (10, {"seats": 3}))["no_plan"])


def test_any_type_of_trait_is_evidence() -> None:
    found = clusters(RULES, (10, {"plan": "pro", "seats": 3}), (10, {"plan": "free"}))
    assert has_evidence(RULES, found["pro"])
    assert has_evidence(RULES, found["others"])


def test_what_is_compared_is_found_at_any_depth() -> None:
    condition = Condition.model_validate(
        {
            "any": [
                {"all": [{"trait": "a", "gt": 1.0}, {"not": {"trait": "b", "eq": "x"}}]},
                {"trait": "c", "missing": False},
            ]
        }
    )
    assert compared_traits(condition) == {"a", "b"}
