"""Which change of a cluster's figures is worth an update."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from worker.clusters import ClusterSummary
from worker.clusters.analysis.change_detection import ChangeThreshold, PersonaFigures, collect_figures, find_changes
from worker.clusters.analysis.summary import BooleanSummary, CategoryShare, CategorySummary, NumberSummary
from worker.clusters.rules.trait import Trait

USUAL = ChangeThreshold(share_points=1, mean_percent=2)


def some(
    share: float = 0.3,
    means: Mapping[str, float | None] | None = None,
    shares: Mapping[str, Mapping[str, float]] | None = None,
) -> PersonaFigures:
    return PersonaFigures(share, means or {}, shares or {})


def changed(before: PersonaFigures, after: PersonaFigures, threshold: ChangeThreshold = USUAL) -> list[str]:
    return list(find_changes(before, after, threshold))


def test_figures_hold_share_means_and_shares_of_top_values() -> None:
    summary = ClusterSummary(
        *("growth", 90, 0.8),
        numbers={"ltv": NumberSummary(600.0, 90), "seats": NumberSummary(None, 0), "rare": NumberSummary(9.0, 2)},
        categories={"plans": CategorySummary((CategoryShare("pro", 60, 0.75), CategoryShare("free", 20, 0.25)), 80)},
        booleans={"trial": BooleanSummary(0.4, 50), "staff": BooleanSummary(None, 0)},
        dates={"signed_up": NumberSummary(300.0, 90)},
    )
    numbers = [Trait(name=name, type="number") for name in ("ltv", "seats", "rare")]
    others = [
        Trait(name="plans", type="category"),
        Trait(name="trial", type="boolean"),
        Trait(name="staff", type="boolean"),
        Trait(name="signed_up", type="date"),
    ]
    assert collect_figures(summary, [*numbers, *others]) == PersonaFigures(
        share=0.8,
        means={"ltv": 600.0, "seats": None, "rare": None, "signed_up": 300.0},
        shares={"plans": {"pro": 0.75, "free": 0.25}, "trial": {"true": 0.4}},
    )


def test_traits_that_a_persona_leaves_out_are_not_its_figures() -> None:
    summary = ClusterSummary("growth", 9, 0.8, numbers={"ltv": NumberSummary(600.0, 9)}, categories={})
    assert collect_figures(summary, []) == PersonaFigures(0.8, {}, {})


def test_what_is_the_same_has_not_changed_even_where_any_change_counts() -> None:
    same = some(0.3, {"ltv": 100.0, "seats": None}, {"plans": {"pro": 0.5}})
    assert changed(same, same, ChangeThreshold(0, 0)) == []


@pytest.mark.parametrize(("after", "counts"), [(0.35, True), (0.33, True), (0.3499, False), (0.3301, False)])
def test_a_point_of_the_clusters_share_counts(after: float, counts: bool) -> None:
    assert bool(changed(some(0.34), some(after))) is counts
    assert bool(changed(some(after), some(0.34))) is counts


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        (100.0, 102.0, True),
        (100.0, 98.0, True),
        (-100.0, -102.0, True),
        (100.0, 101.9, False),
        (0.05, 0.051, True),
        (0.0, 0.0, False),
        (0.0, 1e-9, True),
        (1e-9, 0.0, True),
        (None, 0.0, True),
        (0.0, None, True),
        (None, None, False),
    ],
)
def test_two_percent_of_a_mean_counts_and_whether_there_is_one(
    before: float | None, after: float | None, counts: bool
) -> None:
    assert bool(changed(some(means={"ltv": before}), some(means={"ltv": after}))) is counts


def test_a_trait_that_came_or_went_counts_if_it_has_a_mean() -> None:
    assert changed(some(), some(means={"seats": 4.0})) == ["the mean of seats is known now"]
    assert changed(some(means={"seats": 4.0}), some()) == ["the mean of seats is no longer known"]
    assert changed(some(), some(means={"seats": None})) == []


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ({"pro": 0.50}, {"pro": 0.51}, True),
        ({"pro": 0.50}, {"pro": 0.509}, False),
        ({"pro": 0.50}, {}, True),
        ({}, {"pro": 0.005}, False),
        # The last of three takes the place of a fourth: how far that one has fallen is not known.
        ({"a": 0.5, "b": 0.3, "c": 0.1}, {"a": 0.5, "b": 0.3, "d": 0.1}, False),
        ({"a": 0.5, "b": 0.3, "c": 0.12}, {"a": 0.5, "b": 0.3, "d": 0.1}, True),
        ({"a": 0.5, "b": 0.3, "d": 0.1}, {"a": 0.5, "b": 0.3, "c": 0.12}, True),
    ],
)
def test_a_point_of_the_share_of_a_value_counts(
    before: Mapping[str, float], after: Mapping[str, float], counts: bool
) -> None:
    assert bool(changed(some(shares={"plans": before}), some(shares={"plans": after}))) is counts


def test_how_much_counts_can_be_chosen() -> None:
    before, after = some(0.3, {"ltv": 100.0}), some(0.33, {"ltv": 105.0})
    assert len(changed(before, after)) == 2
    assert changed(before, after, ChangeThreshold(share_points=5, mean_percent=10)) == []
    tiny = some(0.3000001, {"ltv": 100.0001})
    assert len(changed(before, tiny, ChangeThreshold(share_points=0, mean_percent=0))) == 2


def test_what_changed_is_reported_without_any_value_of_a_category() -> None:
    before = some(0.3, {"ltv": 100.0}, {"plans": {"very private": 0.5}})
    after = some(0.36, {"ltv": 108.0}, {"plans": {"very private": 0.7}})
    assert changed(before, after) == [
        "its share of the profiles moved by 6.0 points",
        "the mean of ltv moved by 8.0 %",
        "a share of plans moved by 20.0 points",
    ]
