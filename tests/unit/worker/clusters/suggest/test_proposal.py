"""Suggested files: well-formed whatever the sample holds, with thresholds from it and nothing personal in it."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from producer.sandbox import SpaceSpec, profiles
from tests.support.examples import examples
from worker.clusters.rules.rules import Rules
from worker.clusters.rules.toml_file import parse_rules
from worker.clusters.suggest.proposal import suggest

NOW = 1_760_000_000.0


def suggested(*traits: dict[str, Any]) -> Rules:
    return parse_rules(suggest([{"traits": one} for one in traits], as_of=NOW).text)


def thresholds(rules: Rules) -> dict[str, dict[str, Any]]:
    """Cluster → its comparisons, with the trait."""
    return {
        cluster.key: {"trait": cluster.when.trait, **cluster.when.comparisons}
        for cluster in rules.clusters
        if cluster.when
    }


@pytest.mark.parametrize("kind", ["recipe", "mixed", "wide", "saas"])
def test_a_sample_of_every_kind_of_space_gives_a_usable_file(kind: Any) -> None:
    entries = list(profiles(SpaceSpec(500, kind, seed=1)))
    found = suggest(entries, as_of=NOW)
    rules = parse_rules(found.text)
    assert len(rules.clusters) >= 3
    assert rules.clusters[-1].when is None
    for personal in ("@", "Private", "+49"):
        assert personal not in found.text


def test_a_saas_space_gives_clusters_by_trial_value_silence_and_tenure() -> None:
    rules = parse_rules(suggest(list(profiles(SpaceSpec(2000, "saas", seed=1, as_of=NOW))), as_of=NOW).text)
    assert thresholds(rules) == {
        "on_trial": {"trait": "is_trial", "eq": True},
        "high_mrr": {"trait": "mrr", "gte": 480},
        "long_since_last_active": {"trait": "last_active", "gte": 41},
        "new_by_signed_up": {"trait": "signed_up", "lt": 110},
        "low_mrr": {"trait": "mrr", "lt": 12},
    }
    assert rules.filter is not None
    assert rules.filter.traits == {"is_staff"}
    assert rules.trait("mrr").currency == "USD"
    assert rules.trait("feature_adoption").scale == "percent"


def test_the_file_says_how_large_the_clusters_would_be() -> None:
    text = suggest([{"traits": {"ltv": i}} for i in range(100)], as_of=NOW).text
    assert '[[clusters]] # 26% of the sample\nkey = "high_ltv"\nwhen = { trait = "ltv", gte = 74 }' in text
    assert '[[traits]] # 100% of the profiles have it\nname = "ltv"' in text


def test_clusters_without_any_profile_are_left_out() -> None:
    rules = suggested(*({"ltv": value} for value in [5] * 60 + [100] * 40))
    assert list(thresholds(rules)) == ["high_ltv"]


@pytest.mark.parametrize(
    ("key", "value", "scale"),
    [
        ("churn_risk", 0.5, "probability"),
        ("churn_risk", 5, "plain"),
        ("likelihood_to_buy", 0.5, "percentile"),
        ("churn_likelihood", 0.5, "percentile"),
        ("open_rate", 50, "percent"),
        ("open_rate", 500, "plain"),
        ("monthlyRevenue", 50, "currency"),
        ("logins", 0.5, "plain"),
    ],
)
def test_the_scale_of_a_number_is_guessed_from_its_name_and_bounds(key: str, value: float, scale: str) -> None:
    (trait,) = suggested(*({key: value * (0.5 + i % 2)} for i in range(50))).traits
    assert (trait.keys, trait.scale) == ((key,), scale)
    assert scale != "percentile" or trait.label.endswith("percentile")


def test_with_words_only_the_most_frequent_ones_make_clusters() -> None:
    rules = suggested(*({"plan": plan} for plan in ["pro"] * 10 + ["free"] * 8 + ['say "x"'] * 3 + ["rare"]))
    assert [one["eq"] for one in thresholds(rules).values()] == ["pro", "free", 'say "x"']


def test_traits_that_few_profiles_have_are_left_out_and_make_no_cluster() -> None:
    sample: list[dict[str, Any]] = [{"ltv": i} for i in range(100)]
    for i in range(20):
        sample[i]["risk"] = i / 20
    sample[0]["rare"] = 1
    rules = suggested(*sample)
    assert {trait.name for trait in rules.traits} == {"ltv", "risk"}
    assert {one["trait"] for one in thresholds(rules).values()} == {"ltv"}


def test_names_are_made_of_keys_and_are_unique() -> None:
    rules = suggested(*[{"Lifetime Value": 1, "lifetimeValue": 2, "30 days": 3, "traits": 4, "x" * 90: 5}] * 5)
    assert {trait.keys[0]: trait.name for trait in rules.traits} == {
        "30 days": "trait_30_days",
        "Lifetime Value": "lifetime_value",
        "lifetimeValue": "lifetime_value_2",
        "traits": "traits_2",
        "x" * 90: "x" * 50,
    }


@pytest.mark.parametrize("entries", [[], [{}], ["deleted"], [{"traits": {"email": "a@b.example"}}]])
def test_without_a_usable_trait_no_file_is_suggested(entries: list[object]) -> None:
    assert suggest(entries, as_of=NOW).text == ""


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=True),
    st.text(max_size=5),
    st.sampled_from(["pro", "free", "2025-01-01", "12.5", '"', "\\", "a\nb", "\ud800"]),
    st.lists(st.sampled_from(["a", "b", 1, None]), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)
KEYS = st.one_of(
    st.sampled_from(
        ["ltv", "churn_risk", "likelihood", "is_trial", "last_seen", "createdAt", "is staff", "email", "plan"]
    ),
    st.text(string.printable + "äß\ud800'\"\\", max_size=8),
)


@examples(30, thorough=300)
@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=5), max_size=4), st.integers(1, 15))
@example([{"ltv": "\x7f"}], 3)
def test_whatever_a_sample_holds_the_file_is_well_formed(traits: list[dict[str, Any]], times: int) -> None:
    text = suggest([{"traits": one} for one in traits * times], as_of=NOW).text
    if text:
        assert parse_rules(text).name == "suggested"
        text.encode()
