"""Folding pages: what every kind of profile counts as."""

from collections import Counter

import pytest

from tests.support.syncs.merging import merge
from worker.clusters import Aggregate, Rules, fold


def folded(*traits: object) -> Aggregate:
    aggregate = Aggregate()
    fold(aggregate, [{"traits": each} for each in traits])
    return aggregate


def sizes(aggregate: Aggregate) -> dict[str, int]:
    return {key: cluster.n for key, cluster in aggregate.clusters.items()}


@pytest.mark.parametrize(
    ("traits", "cluster"),
    [
        ({"ltv": 500.01, "churn_risk": 0.1499}, "high_value"),
        ({"ltv": 500, "churn_risk": 0.1}, "new"),
        ({"ltv": 501, "churn_risk": 0.15}, "new"),
        ({"ltv": 501, "churn_risk": 0.15, "purchase_count": 2}, "growth"),
        ({"ltv": 100.5, "purchase_count": 2, "churn_risk": 0.9}, "growth"),
        ({"ltv": 100, "purchase_count": 9, "churn_risk": 0.41}, "at_risk"),
        ({"ltv": 101, "purchase_count": 1.9, "churn_risk": 0.4}, "new"),
        ({"ltv": 0, "purchase_count": 0, "churn_risk": 0}, "new"),
        ({"lifetime_value": 900, "order_count": 1, "churn_probability": 0.01}, "high_value"),
        ({"ltv": "900", "churn_risk": "0.05"}, "high_value"),
    ],
)
def test_the_first_rule_that_holds_wins(traits: dict[str, object], cluster: str) -> None:
    assert sizes(folded(traits)) == {cluster: 1}


def test_a_churn_risk_of_zero_is_a_value() -> None:
    aggregate = folded({"ltv": 1000, "churn_risk": 0})
    assert sizes(aggregate) == {"high_value": 1}
    assert aggregate.clusters["high_value"].numbers["churn_risk"].mean == 0.0


@pytest.mark.parametrize(
    ("traits", "cluster"),
    [
        ({"ltv": 1000}, "at_risk"),  # a missing churn risk is 0.5
        ({"ltv": 1000, "purchase_count": 2}, "growth"),
        ({"churn_risk": 0.1}, "new"),  # a missing LTV is 0
        ({"purchase_count": 7}, "at_risk"),
        ({"ltv": 1000, "churn_risk": 0.2}, "new"),  # a missing number of purchases is 0
        ({"ltv": 1000, "churn_risk": 12}, "at_risk"),  # not a probability, so missing
    ],
)
def test_missing_traits_are_assumed_for_the_rules(traits: dict[str, object], cluster: str) -> None:
    assert sizes(folded(traits)) == {cluster: 1}


def test_assumed_values_enter_no_mean() -> None:
    cluster = folded({"ltv": 1000}, {"purchase_count": 4}).clusters["at_risk"]
    assert cluster.n == 2
    assert (cluster.numbers["ltv"].count, cluster.numbers["ltv"].mean) == (1, 1000.0)
    assert (cluster.numbers["purchase_count"].count, cluster.numbers["purchase_count"].mean) == (1, 4.0)
    assert (cluster.numbers["churn_risk"].count, cluster.numbers["churn_risk"].mean) == (0, None)


@pytest.mark.parametrize("traits", [None, {}, {"plan": "pro"}, {"ltv": None, "churn_risk": ""}, {"ltv": "a lot"}])
def test_a_profile_with_none_of_the_three_is_unclassified(traits: object) -> None:
    aggregate = folded(traits)
    assert (aggregate.profiles, aggregate.unclassified, aggregate.clusters) == (1, 1, {})


def test_an_entry_without_traits_is_an_empty_profile() -> None:
    aggregate = Aggregate()
    fold(aggregate, [{}, {"segment_id": "use_1"}])
    assert aggregate == Aggregate(profiles=2, unclassified=2)


def test_entries_that_are_not_objects_count_only_as_profile_errors() -> None:
    aggregate = Aggregate()
    fold(aggregate, [None, 1, "x", [], [{"traits": {"ltv": 1}}], True])
    assert aggregate == Aggregate(profile_errors=6)


@pytest.mark.parametrize("traits", [[], "ltv", 5, True, [{"ltv": 1}]])
def test_traits_that_are_not_an_object_are_a_trait_error(traits: object) -> None:
    assert folded(traits) == Aggregate(profiles=1, unclassified=1, trait_errors=Counter(traits=1))


def test_trait_errors_count_profiles_by_the_name_of_the_trait() -> None:
    aggregate = folded(
        {"ltv": "x", "lifetime_value": [], "churn_risk": 0.1},
        {"ltv": True, "lifetime_value": 700, "churn_risk": 0.1},
        {"order_count": 10**400, "industry": ["SaaS"], "plan": 3},
        {"churn_probability": -0.1, "ltv": 5, "plan": " "},
    )
    assert aggregate.trait_errors == {
        "ltv": 2,
        "purchase_count": 1,
        "churn_risk": 1,
        "industries": 1,
        "plans": 1,
    }
    assert aggregate.unclassified == 1


def test_only_the_rules_traits_are_read() -> None:
    data = folded({"ltv": 1000, "churn_risk": 0.1, "email": "ada@example.com", "name": "Ada"}).to_bytes()
    assert b"ada" not in data.lower()


def test_categories_are_counted_by_cluster() -> None:
    aggregate = folded(
        {"ltv": 900, "churn_risk": 0.1, "industry": " SaaS ", "plan": "pro"},
        {"ltv": 900, "churn_risk": 0.1, "industry": "SaaS"},
        {"ltv": 1, "churn_risk": 0.1, "industry": "Retail", "plan": ""},
    )
    high_value, new = aggregate.clusters["high_value"], aggregate.clusters["new"]
    assert high_value.categories["industries"].counts == {"SaaS": 2}
    assert (high_value.categories["plans"].count, high_value.categories["plans"].counts) == (1, {"pro": 1})
    assert new.categories["industries"].counts == {"Retail": 1}
    assert new.categories["plans"].count == 0


def test_an_empty_page_changes_nothing() -> None:
    aggregate = folded({"ltv": 1})
    before = aggregate.to_bytes()
    fold(aggregate, [])
    assert aggregate.to_bytes() == before


def test_a_filtered_profile_counts_only_as_filtered() -> None:
    rules = Rules.model_validate(
        {
            "name": "filtered",
            "traits": [{"name": "ltv", "type": "number"}, {"name": "email_domain", "type": "category"}],
            "filter": {"not": {"trait": "email_domain", "eq": "acme"}},
            "clusters": [{"key": "rich", "when": {"trait": "ltv", "gt": 5.0}}, {"key": "others"}],
        }
    )
    aggregate = Aggregate()
    page: list[object] = [
        {"traits": {"ltv": 9, "email_domain": "acme"}},
        {"traits": {"ltv": "?", "email_domain": "acme"}},
        {"traits": {"ltv": 9, "email_domain": "other"}},
        {"traits": {"ltv": "?", "email_domain": 5}},
        {"traits": {"ltv": 1}},
        None,
    ]
    fold(aggregate, page, rules)
    assert (aggregate.profiles, aggregate.filtered, aggregate.unclassified) == (5, 2, 1)
    assert (aggregate.profile_errors, aggregate.trait_errors) == (1, {"ltv": 1, "email_domain": 1})
    assert sizes(aggregate) == {"rich": 1, "others": 1}
    assert aggregate.clusters["rich"].categories["email_domain"].counts == {"other": 1}
    assert Aggregate.from_bytes(aggregate.to_bytes()) == aggregate
    assert merge(aggregate, aggregate).filtered == 4
    fold(aggregate, [{"traits": {"email_domain": "acme"}}], rules)
    assert aggregate.filtered == 3


def test_rules_compare_dates_by_age_lists_by_what_they_hold_and_booleans() -> None:
    rules = Rules.model_validate(
        {
            "name": "every-type",
            "traits": [
                {"name": "seen", "type": "date", "max_age_days": 365.0},
                {"name": "modules", "type": "list"},
                {"name": "trial", "type": "boolean"},
            ],
            "clusters": [
                {"key": "fresh", "when": {"trait": "seen", "lt": 7.0}},
                {"key": "builders", "when": {"trait": "modules", "eq": "api"}},
                {"key": "trying", "when": {"trait": "trial", "eq": True}},
                {"key": "gone", "when": {"trait": "seen", "missing": True}},
                {"key": "others"},
            ],
        }
    )
    now = 1_772_366_400.0  # 2026-03-01T12:00:00Z
    aggregate = Aggregate()
    cases: dict[str, dict[str, object]] = {
        "fresh": {"seen": "2026-02-28T12:00:00Z", "modules": ["api"]},
        "builders": {"seen": now - 30 * 86_400, "modules": ["chat", "api"]},
        "trying": {"seen": "2026-01-01", "trial": "true"},
        "gone": {"seen": "2020-01-01", "modules": ["chat"]},
        "others": {"seen": "2026-01-01", "modules": []},
    }
    fold(aggregate, [{"traits": traits} for traits in cases.values()], rules, as_of=now)
    assert sizes(aggregate) == dict.fromkeys(cases, 1)
    fold(aggregate, [{"traits": {}}, {"traits": {"seen": "2020-01-01"}}], rules, as_of=now)
    assert aggregate.unclassified == 2


def test_what_looks_personal_never_enters_the_aggregate() -> None:
    rules = Rules.model_validate(
        {
            "name": "careless",
            "traits": [{"name": "plan", "type": "category"}, {"name": "tags", "type": "list"}],
            "clusters": [{"key": "everyone"}],
        }
    )
    aggregate = Aggregate()
    fold(
        aggregate,
        [
            {"traits": {"plan": value, "tags": [value, "ok"]}}
            for value in ("ada@example.com", "+49 151 2345678", *["pro"] * 3)
        ],
        rules,
    )
    assert aggregate.trait_errors == {"plan": 2, "tags": 2}
    data = aggregate.to_bytes()
    assert b"ada" not in data
    assert b"151" not in data
    assert aggregate.clusters["everyone"].categories["plan"].counts == {"pro": 3}
    assert aggregate.clusters["everyone"].categories["tags"].counts == {"pro": 3, "ok": 5}
