"""What an aggregate says: means with their coverage, shares, tiers, and the recipe's own numbers."""

import pytest

from worker.clusters import RECIPE, Aggregate, ClusterSummary, fold, percent, summarise
from worker.clusters.summary import CategoryShare, CategorySummary, NumberSummary

RECIPE_SAMPLE: list[object] = [
    {"traits": {"ltv": 1200, "purchase_count": 8, "churn_risk": 0.05, "engagement_tier": "high"}},
    {"traits": {"ltv": 450, "purchase_count": 3, "churn_risk": 0.22, "engagement_tier": "medium"}},
    {"traits": {"ltv": 85, "purchase_count": 1, "churn_risk": 0.65, "engagement_tier": "low"}},
] * 20


def summaries(*traits: dict[str, object]) -> dict[str, ClusterSummary]:
    aggregate = Aggregate()
    fold(aggregate, [{"traits": each} for each in traits])
    return {summary.key: summary for summary in summarise(aggregate)}


def test_the_recipes_sample_gives_the_recipes_numbers() -> None:
    aggregate = Aggregate()
    fold(aggregate, RECIPE_SAMPLE)
    found = [(s.label, s.n, s.avg_ltv, s.avg_purchases, percent(s.avg_churn)) for s in summarise(aggregate)]
    assert found == [
        ("High Value", 20, 1200.0, 8.0, "5%"),
        ("Growth", 20, 450.0, 3.0, "22%"),
        ("At Risk", 20, 85.0, 1.0, "65%"),
        ("New", 0, None, None, None),
    ]
    assert [s.engagement_tier for s in summarise(aggregate)] == ["high", "medium", "low", "unknown"]
    assert (aggregate.profiles, aggregate.unclassified, aggregate.trait_errors) == (60, 0, {})


def test_every_cluster_of_the_rules_is_summarised_in_their_order() -> None:
    assert [summary.key for summary in summarise(Aggregate())] == list(RECIPE.cluster_keys)


def test_an_empty_cluster_knows_nothing() -> None:
    summary = summaries()["growth"]
    assert summary.n == 0
    assert summary.numbers == dict.fromkeys(("ltv", "purchase_count", "churn_risk"), NumberSummary(None, 0))
    assert summary.categories == dict.fromkeys(("industries", "plans"), CategorySummary((), 0, 0))
    assert (summary.industries, summary.plans, summary.engagement_tier) == ((), (), "unknown")


def test_a_mean_is_taken_over_the_profiles_that_have_the_trait() -> None:
    summary = summaries({"churn_risk": 0.9}, {"churn_risk": 0.7, "ltv": 60}, {"ltv": 0})["at_risk"]
    assert summary.n == 3
    assert summary.numbers["ltv"] == NumberSummary(mean=30.0, coverage=2)
    assert summary.numbers["purchase_count"] == NumberSummary(mean=None, coverage=0)
    assert summary.avg_churn == pytest.approx(0.8)


def test_the_three_most_frequent_values_are_listed_and_ties_broken_by_name() -> None:
    industries = ["b", "b", "d", "c", "a", "a", "z"]
    summary = summaries(*({"ltv": 1, "industry": each} for each in industries))["at_risk"]
    assert summary.industries == ("a", "b", "c")


def test_a_share_is_taken_over_the_profiles_that_have_the_trait() -> None:
    plans: list[object] = ["pro", "pro", "pro", "free", None, "", 7, None]
    summary = summaries(*({"ltv": 1, "plan": each} for each in plans))["at_risk"]
    assert summary.n == 8
    assert summary.categories["plans"] == CategorySummary(
        top=(CategoryShare("pro", 3, 0.75), CategoryShare("free", 1, 0.25)), coverage=4, error=0
    )


@pytest.mark.parametrize(
    ("ltv", "tier"),
    [(500.01, "high"), (500, "medium"), (100.01, "medium"), (100, "low"), (0, "low"), (-5, "low")],
)
def test_the_engagement_tier_follows_the_average_ltv(ltv: float, tier: str) -> None:
    assert summaries({"ltv": ltv})["at_risk"].engagement_tier == tier


def test_a_trait_that_the_rules_do_not_have_is_unknown() -> None:
    summary = ClusterSummary("new", 3, share=1.0, numbers={}, categories={})
    assert (summary.avg_ltv, summary.plans, summary.engagement_tier) == (None, (), "unknown")


def test_a_percentage_is_written_as_in_the_recipe() -> None:
    assert [percent(share) for share in (0.05, 0.223, 0.655, 0.0, 1.0, None)] == [
        "5%",
        "22%",
        "66%",
        "0%",
        "100%",
        None,
    ]
