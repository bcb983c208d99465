"""What sets a cluster apart: large and certain differences from everyone else, the largest first."""

from math import log, pi, sqrt

import pytest

from worker.clusters import Aggregate, Rules, summarise
from worker.clusters.analysis.distinguishing_traits import (
    MAX_EFFECT,
    Contrast,
    MeanContrast,
    ShareContrast,
    compare_counts,
    compare_means,
    largest_contrasts,
    moments_of_others,
)
from worker.clusters.statistics.numeric import Moments

RULES = Rules.model_validate(
    {
        "name": "test",
        "traits": [
            {"name": "ltv", "type": "number", "missing": 0.0},
            {"name": "seats", "type": "number"},
            {"name": "seen", "type": "date"},
            {"name": "plan", "type": "category"},
            {"name": "trial", "type": "boolean"},
            {"name": "modules", "type": "list"},
            {"name": "staff", "type": "boolean"},
        ],
        "filter": {"not": {"trait": "staff", "eq": True}},
        "clusters": [
            {"key": "large", "when": {"trait": "ltv", "gt": 100.0}},
            {"key": "small", "report": ["seats", "plan"]},
        ],
    }
)


def one(contrasts: list[Contrast], trait: str) -> Contrast:
    [found] = [contrast for contrast in contrasts if contrast.trait == trait]
    return found


def counted() -> Aggregate:
    """Large ones have many seats, are on pro, are not on trial, use the API; as many small ones the reverse."""
    aggregate = Aggregate()
    large, small = aggregate.cluster("large"), aggregate.cluster("small")
    for cluster in (large, small):
        cluster.n = 100
        cluster.number("ltv").add([500.0 if cluster is large else 5.0] * 100)
    large.number("seats").add([40.0, 60.0] * 50)
    small.number("seats").add([20.0, 40.0] * 50)
    large.number("seen").add([1.0, 3.0] * 20)
    small.number("seen").add([21.0, 23.0] * 20)
    large.category("plan").add(["pro"] * 80 + ["free"] * 20)
    small.category("plan").add(["pro"] * 20 + ["free"] * 78 + ["odd"] * 2)
    large.boolean("trial").add([True] * 10 + [False] * 90)
    small.boolean("trial").add([True] * 60 + [False] * 40)
    large.category("modules").add_lists([("api", "chat")] * 60 + [("chat",)] * 40)
    small.category("modules").add_lists([("chat",)] * 100)
    large.boolean("staff").add([False] * 100)
    small.boolean("staff").add([True] * 100)
    return aggregate


def test_every_trait_type_is_compared_and_the_largest_effect_is_first() -> None:
    large, _ = summarise(counted(), RULES)
    assert [(contrast.trait, getattr(contrast, "value", None)) for contrast in large.contrasts] == [
        ("seen", None),
        ("modules", "api"),
        ("seats", None),
        ("plan", "pro"),
        ("trial", False),
    ]
    effects = [abs(contrast.effect) for contrast in large.contrasts]
    assert effects == sorted(effects, reverse=True)


def test_a_share_is_compared_with_that_of_moments_of_others() -> None:
    large, _ = summarise(counted(), RULES)
    plan = one([*large.contrasts], "plan")
    assert isinstance(plan, ShareContrast)
    assert (plan.value, plan.share, plan.rest) == ("pro", 0.8, 0.2)
    log_odds = log(80.5 / 20.5) - log(20.5 / 80.5)
    assert plan.effect == pytest.approx(log_odds * sqrt(3) / pi)
    api = one([*large.contrasts], "modules")
    assert isinstance(api, ShareContrast)
    assert (api.value, api.share, api.rest) == ("api", 0.6, 0.0)


def test_a_mean_is_compared_in_pooled_standard_deviations() -> None:
    large, small = summarise(counted(), RULES)
    seats = one([*large.contrasts], "seats")
    assert seats == MeanContrast("seats", 50.0, 30.0, pytest.approx(20 / sqrt(2 * 100 * 100 / 198)))
    assert one([*small.contrasts], "seats").effect == -seats.effect


def test_what_the_rules_compare_sets_nothing_apart() -> None:
    large, small = summarise(counted(), RULES)
    for summary in (large, small):
        assert not {"ltv", "staff"} & {contrast.trait for contrast in summary.contrasts}


def test_a_cluster_mentions_only_the_traits_that_it_reports() -> None:
    _, small = summarise(counted(), RULES)
    assert {contrast.trait for contrast in small.contrasts} == {"seats", "plan"}


def test_a_difference_that_may_be_chance_or_is_small_sets_nothing_apart() -> None:
    assert not [*compare_counts("plan", "pro", (60, 100), (50, 100))]
    assert [*compare_counts("plan", "pro", (6_000, 10_000), (5_000, 10_000))]
    assert not [*compare_counts("plan", "pro", (51_000, 100_000), (50_000, 100_000))]
    assert not [*compare_means("seats", Moments.from_values([0.0, 1.0] * 20), Moments.from_values([0.2, 1.2] * 20))]
    assert not [
        *compare_means("seats", Moments.from_values([0.0, 1.0] * 9_000), Moments.from_values([0.09, 1.09] * 9_000))
    ]
    assert not [*compare_means("seats", Moments.from_values([2.0] * 50), Moments.from_values([2.0] * 50))]


def test_a_value_that_is_rarer_inside_is_not_listed() -> None:
    assert not [*compare_counts("plan", "pro", (100, 1000), (900, 1000))]


@pytest.mark.parametrize(("inside", "outside", "compared"), [(30, 30, True), (29, 30, False), (30, 29, False)])
def test_thirty_profiles_on_either_side_are_compared(inside: int, outside: int, compared: bool) -> None:
    assert bool([*compare_counts("plan", "pro", (inside, inside), (0, outside))]) is compared
    few, many = ([start + i % 2 for i in range(n)] for start, n in ((1.0, inside), (91.0, outside)))
    assert bool([*compare_means("seats", Moments.from_values(few), Moments.from_values(many))]) is compared


def test_a_category_that_fewer_than_three_have_is_in_no_contrast() -> None:
    aggregate = Aggregate()
    for key, words in (("large", ["secret"] * 2 + ["pro"] * 28), ("small", ["pro"] * 30_000)):
        aggregate.cluster(key).n = len(words)
        aggregate.cluster(key).category("plan").add(words)
        aggregate.cluster(key).category("modules").add_lists([(word,) for word in words])
        aggregate.cluster(key).boolean("trial").add([word == "secret" for word in words])
    large, _ = summarise(aggregate, RULES)
    assert large.contrasts == ()
    aggregate.cluster("large").category("plan").add(["secret"])
    [found] = summarise(aggregate, RULES)[0].contrasts
    assert isinstance(found, ShareContrast)
    assert found.value == "secret"


def test_without_any_spread_a_difference_is_as_large_as_can_be() -> None:
    [found] = compare_means("seats", Moments.from_values([1.0] * 30), Moments.from_values([2.0] * 30))
    assert found.effect == -MAX_EFFECT


def test_counts_that_are_too_low_make_no_difference_larger() -> None:
    aggregate = Aggregate()
    for key in ("large", "small"):
        aggregate.cluster(key).n = 1000
        aggregate.cluster(key).category("plan").add(["pro"] * 500 + ["free"] * 500)
    rest = aggregate.cluster("small").category("plan")
    rest.counts["pro"], rest.error = 100, 400
    assert summarise(aggregate, RULES)[0].contrasts == ()


def test_moments_of_others_is_all_the_others() -> None:
    groups = [Moments.from_values([1.0]), Moments.from_values([2.0, 4.0]), Moments(), Moments.from_values([8.0])]
    assert [(rest.count, rest.mean) for rest in moments_of_others(groups)] == [
        (3, 14 / 3),
        (2, 4.5),
        (4, 3.75),
        (3, 7 / 3),
    ]
    assert moments_of_others([Moments.from_values([1.0])]) == [Moments()]


def test_ties_are_in_order_of_the_traits() -> None:
    contrasts = [MeanContrast(name, 1.0, 0.0, effect) for name, effect in (("c", 1.0), ("b", -1.0), ("a", 0.5))]
    assert [contrast.trait for contrast in largest_contrasts(contrasts, 2)] == ["b", "c"]
