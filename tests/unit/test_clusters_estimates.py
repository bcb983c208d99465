"""What a sample says of everyone: true 95 times in 100, from the statistics that a sync keeps."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import median

import pytest

from worker.clusters import RECIPE, Aggregate, estimates, fold, summarise
from worker.clusters.estimates import Estimate
from worker.clusters.intervals import Interval, Typical


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


@pytest.mark.parametrize("left_out", [60, 2940])
def test_the_interval_of_a_median_holds_the_truth_though_values_are_known_in_buckets_only(left_out: int) -> None:
    """All values are in one or two buckets, then in ties in the middle of one, then nearer than 1 % to each other."""
    chance = random.Random(13)
    kinds: dict[str, Callable[[], float]] = {
        "narrow": lambda: chance.gauss(1000, 5),
        "prices": lambda: chance.choice([990.0, 999.0, 999.0, 1019.0]),
        "wide": lambda: chance.lognormvariate(5, 1),
    }
    for kind, draw in kinds.items():
        everyone = [draw() for _ in range(60 + left_out)]
        truth, hits = median(everyone), 0
        for _ in range(400):
            typical = of([at_risk(ltv) for ltv in chance.sample(everyone, 60)], left_out=left_out)["at_risk"]
            assert typical.numbers["ltv"].of == "median"
            hits += _holds(typical.numbers["ltv"].interval, truth)
        # More often than 95 times in 100 only where a bucket, or a tie, is wider than the interval.
        assert 0.93 < hits / 400 <= (0.985 if kind == "wide" else 1), kind


def test_whole_numbers_have_whole_bounds() -> None:
    numbers = of([at_risk(float(i % 9)) for i in range(60)], left_out=60)["at_risk"].numbers
    assert numbers["ltv"] == Typical("median", Interval(3.0, 5.0))


def _ltv(profile: dict[str, object]) -> float:
    return profile["traits"]["ltv"]  # type: ignore[index, no-any-return]


def _holds(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high
