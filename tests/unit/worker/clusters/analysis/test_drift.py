"""What changed between two syncs: shares in points, means in standard deviations, clusters that came and went."""

from __future__ import annotations

from math import sqrt
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.syncs.spaces import snapshot
from worker.clusters.analysis.drift import compare_snapshots, standardised_difference
from worker.clusters.analysis.snapshot import ClusterSnapshot, NumberSnapshot


def number(mean: float, std: float | None = 2.0, n: int = 100) -> NumberSnapshot:
    return NumberSnapshot(n=n, mean=mean, std=std)


def test_what_is_the_same_has_not_moved() -> None:
    one = snapshot({"growth": 60, "new": 40}, means={"ltv": 10.0})
    drift = compare_snapshots(one, one)
    assert [(cluster.key, cluster.share_points, cluster.status) for cluster in drift.clusters] == [
        ("growth", 0.0, "kept"),
        ("new", 0.0, "kept"),
    ]
    assert all(cluster.means == {"ltv": 0.0} for cluster in drift.clusters)


def test_a_share_moves_in_points_of_the_classified_profiles() -> None:
    drift = compare_snapshots(snapshot({"growth": 50, "new": 50}), snapshot({"growth": 30, "new": 10}))
    assert [(cluster.key, cluster.share_points) for cluster in drift.clusters] == [
        ("growth", pytest.approx(25)),
        ("new", pytest.approx(-25)),
    ]


def test_clusters_come_and_go_and_empty_ones_are_not_reported() -> None:
    drift = compare_snapshots(snapshot({"a": 10, "b": 0, "c": 0}), snapshot({"a": 0, "b": 10, "c": 0}))
    assert {cluster.key: cluster.status for cluster in drift.clusters} == {"a": "vanished", "b": "new"}
    assert {cluster.key: cluster.share_points for cluster in drift.clusters} == {"a": -100, "b": 100}


def test_a_mean_moves_in_standard_deviations() -> None:
    assert standardised_difference(number(10), number(11)) == 0.5
    assert standardised_difference(number(10), number(9)) == -0.5


@pytest.mark.parametrize(("before", "now"), [(None, 2.0), (2.0, None), (None, None)])
def test_without_a_deviation_no_difference_is_given(before: float | None, now: float | None) -> None:
    assert standardised_difference(number(10, before), number(11, now)) is None


def test_values_that_were_all_the_same_have_moved_or_not() -> None:
    assert standardised_difference(number(10, 0.0), number(10, 0.0)) == 0.0
    assert standardised_difference(number(10, 0.0), number(11, 0.0)) is None


def test_a_trait_that_only_one_of_them_has_is_not_compared() -> None:
    before = snapshot({"a": 10}, means={"ltv": 1.0})
    now = snapshot({"a": 10}, means={"seats": 1.0})
    (cluster,) = compare_snapshots(before, now).clusters
    assert cluster.means == {}


VALUES = st.lists(st.integers(-1000, 1000), min_size=2, max_size=20)


@given(VALUES, VALUES)
def test_the_difference_is_cohens_d(before: list[int], now: list[int]) -> None:
    pooled = sqrt(
        ((len(before) - 1) * stdev(before) ** 2 + (len(now) - 1) * stdev(now) ** 2) / (len(before) + len(now) - 2)
    )
    found = standardised_difference(
        *(NumberSnapshot(n=len(values), mean=mean(values), std=stdev(values)) for values in (before, now))
    )
    if pooled:
        assert found == pytest.approx((mean(now) - mean(before)) / pooled)
    else:
        assert found == (0.0 if before[0] == now[0] else None)


def test_a_snapshot_round_trips_and_drops_means_if_it_is_too_large() -> None:
    small = snapshot({"growth": 60}, means={"ltv": 10.0})
    assert type(small).decode(small.encode()) == small
    assert small.encode().startswith('{"sync_id":"before"')
    figures = {f"trait_{n}": number(1.25) for n in range(100)}
    large = small.model_copy(
        update={"clusters": {f"cluster_{n}": ClusterSnapshot(n=n, share=0.02, numbers=figures) for n in range(50)}}
    )
    kept = type(small).decode(large.encode())
    assert kept
    assert {key: cluster.n for key, cluster in kept.clusters.items()} == {f"cluster_{n}": n for n in range(50)}
    assert not any(cluster.numbers for cluster in kept.clusters.values())
    assert len(large.encode()) < 8192
