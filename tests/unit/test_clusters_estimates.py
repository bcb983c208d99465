"""What a sample says of everyone: true 95 times in 100, from the statistics that a sync keeps."""

from __future__ import annotations

import random

import pytest

from worker.clusters import RECIPE, Aggregate, estimates, fold, summarise
from worker.clusters.estimates import Estimate
from worker.clusters.intervals import Interval


def of(profiles: list[object], *, left_out: int) -> dict[str, Estimate]:
    """The estimates of every cluster, after a journey through bytes."""
    aggregate = Aggregate(left_out=left_out)
    fold(aggregate, profiles, RECIPE)
    aggregate = Aggregate.from_bytes(aggregate.to_bytes())
    summaries = summarise(aggregate, RECIPE)
    found = estimates(aggregate, summaries, RECIPE)
    return {summary.key: estimate for summary, estimate in zip(summaries, found, strict=True)}


def at_risk(ltv: float, **traits: object) -> dict[str, object]:
    return {"traits": {"ltv": ltv, "churn_risk": 0.9, **traits}}


def test_of_nothing_nothing_is_said() -> None:
    for estimate in of([], left_out=10).values():
        assert estimate == Estimate(0, None, {}, {"industries": {}, "plans": {}}, {})


def test_few_values_have_shares_and_no_typical_value() -> None:
    found = of([at_risk(1.0, industry="SaaS")] * 29 + [at_risk(1.0)], left_out=270)["at_risk"]
    assert found.n == 300
    assert found.numbers["ltv"].of == "median"
    assert found.categories["industries"]["SaaS"].high == pytest.approx(1)
    fewer = of([at_risk(1.0)] * 29, left_out=271)["at_risk"]
    assert fewer.numbers == {}
    assert fewer.share is not None


def test_a_symmetrical_trait_has_the_interval_of_its_mean_and_a_skewed_one_that_of_its_median() -> None:
    chance = random.Random(5)
    even = of([at_risk(chance.uniform(0, 90)) for _ in range(1000)], left_out=9000)["at_risk"].numbers
    assert even["ltv"].of == "mean"
    assert even["ltv"].interval.low < 45 < even["ltv"].interval.high
    skewed = of([at_risk(5.0)] * 990 + [at_risk(90.0)] * 10, left_out=9000)["at_risk"].numbers
    assert (skewed["ltv"].of, skewed["ltv"].interval) == ("median", Interval(5.0, 5.0))


def test_intervals_of_what_a_sync_keeps_hold_the_truth_95_times_in_100() -> None:
    chance = random.Random(3)
    everyone = [at_risk(chance.expovariate(1 / 90), plan=chance.choice("aab")) for _ in range(4000)]
    true_mean = sum(_ltv(profile) for profile in everyone) / 4000
    true_share = sum(profile["traits"]["plan"] == "a" for profile in everyone) / 4000  # type: ignore[index]
    hits: dict[str, list[bool]] = {"ltv": [], "plans": []}
    for _ in range(250):
        found = of(list(chance.sample(everyone, 500)), left_out=3500)["at_risk"]
        if found.numbers["ltv"].of == "mean":
            hits["ltv"].append(_holds(found.numbers["ltv"].interval, true_mean))
        hits["plans"].append(_holds(found.categories["plans"]["a"], true_share))
    assert len(hits["ltv"]) > 200
    assert all(0.92 < sum(hit) / len(hit) < 0.98 for hit in hits.values())


def _ltv(profile: dict[str, object]) -> float:
    return profile["traits"]["ltv"]  # type: ignore[index, no-any-return]


def _holds(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high
