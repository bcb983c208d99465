"""Confidence intervals: where they are shown, 95 of 100 contain the truth."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import fmean, median, stdev

import pytest

from worker.clusters import RECIPE, Aggregate, estimate_clusters, fold, summarise
from worker.clusters.analysis.confidence import (
    MAX_SKEWNESS,
    MIN_FOR_MEAN,
    MIN_FOR_MEDIAN,
    CentralInterval,
    Estimate,
    Interval,
    central_interval,
    mean_interval,
    median_ranks,
    share_interval,
)

DISTRIBUTIONS: dict[str, Callable[[random.Random], float]] = {
    "uniform": lambda chance: chance.random(),
    "exponential": lambda chance: chance.expovariate(1),
    "lognormal": lambda chance: math.exp(0.5 * chance.gauss(0, 1)),
    "mostly zero": lambda chance: chance.expovariate(1) if chance.random() < 0.5 else 0.0,
}


def test_wilson_interval_matches_published_values() -> None:
    found = share_interval(10, 100)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.0552291, 0.1743657), abs=1e-6)
    assert share_interval(0, 0) is None
    assert share_interval(0, 20) == Interval(pytest.approx(0), pytest.approx(0.1611252, abs=1e-6))
    assert share_interval(20, 20) == Interval(pytest.approx(0.8388748, abs=1e-6), pytest.approx(1))


@pytest.mark.parametrize("n", [30, 100, 1000])
def test_share_interval_covers_95_percent(n: int) -> None:
    """Exactly, from the binomial distribution, over every share of which at least five are expected on either side."""
    shares = [k / 200 for k in range(1, 200) if min(k / 200, 1 - k / 200) * n >= 5]
    inside = [_share_coverage(n, share) for share in shares]
    assert 0.945 < fmean(inside) < 0.955
    assert min(inside) > 0.92


@pytest.mark.parametrize("n", [100, 1000])
def test_share_interval_covers_rare_and_nearly_certain_values(n: int) -> None:
    shares = [k / 20 / n for k in range(1, 100)]
    inside = [_share_coverage(n, share) for share in shares]
    assert 0.945 < fmean(inside) < 0.965
    assert min(inside) > 0.92
    assert min(_share_coverage(n, 1 - share) for share in shares) > 0.92


def test_bounds_of_very_small_counts_match_poisson_tables() -> None:
    for count, mean in ((1, 0.0513), (2, 0.3554), (3, 0.8177)):
        fewer = sum(mean**k / math.factorial(k) for k in range(count)) * math.exp(-mean)
        assert fewer == pytest.approx(0.95, abs=1e-4)
        few, most = share_interval(count, 1000), share_interval(1000 - count, 1000)
        assert few is not None
        assert most is not None
        assert (few.low, most.high) == pytest.approx((mean / 1000, 1 - mean / 1000))


def _share_coverage(n: int, share: float) -> float:
    def chance(count: int) -> float:
        ways = math.lgamma(n + 1) - math.lgamma(count + 1) - math.lgamma(n - count + 1)
        return math.exp(ways + count * math.log(share) + (n - count) * math.log(1 - share))

    spread = 6 * math.sqrt(n * share * (1 - share))
    counts = range(max(0, int(n * share - spread)), min(n, int(n * share + spread) + 1) + 1)
    return sum(chance(count) for count in counts if _holds(share_interval(count, n), share))


@pytest.mark.parametrize("n", [*range(MIN_FOR_MEDIAN, 130), 200, 300, 1000])
def test_median_ranks_cover_95_percent(n: int) -> None:
    """Exactly: how many values of a sample are below the median is binomial."""
    low, high = median_ranks(n)
    assert 1 <= low <= high <= n
    inside = sum(math.comb(n, below) for below in range(low, high)) / 2**n
    assert 0.938 < inside < 0.962


@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.9])
def test_coverage_holds_for_large_sampling_fractions(fraction: float) -> None:
    chance = random.Random(7)
    population = [chance.expovariate(1) for _ in range(int(400 / fraction))]
    share = sum(value > 1 for value in population) / len(population)
    truths = (fmean(population), median(population), share)
    rounds, hits = 500, [0, 0, 0]
    for _ in range(rounds):
        sample = chance.sample(population, 400)
        low, high = median_ranks(400, fraction)
        ordered = sorted(sample)
        found = (
            mean_interval(fmean(sample), stdev(sample), 400, fraction),
            Interval(ordered[low - 1], ordered[high - 1]),
            share_interval(sum(value > 1 for value in sample), 400, fraction),
        )
        for place, (interval, truth) in enumerate(zip(found, truths, strict=True)):
            hits[place] += _holds(interval, truth)
    assert all(0.925 < hit / rounds < 0.975 for hit in hits), hits
    assert 0.935 < sum(hits) / (3 * rounds) < 0.965


def test_central_interval_covers_95_percent_where_it_is_shown() -> None:
    """Of the mean where the sample is large enough for its skewness, else of the median."""
    chance = random.Random(11)
    shown: dict[tuple[str, int], list[int]] = {}
    for draw in DISTRIBUTIONS.values():
        population = [draw(chance) for _ in range(6000)]
        truths = {"mean": fmean(population), "median": median(population)}
        for n in (60, 600):
            for _ in range(150):
                sample = sorted(chance.sample(population, n))
                found = central_interval(n, fmean(sample), stdev(sample), _skewness(sample), _at(sample), n / 6000)
                assert found is not None
                shown.setdefault((found.of, n), []).append(_holds(found.interval, truths[found.of]))
    assert set(shown) >= {("median", 60), ("mean", 600)}
    for key, hits in shown.items():
        if len(hits) > 400:
            assert 0.93 < fmean(hits) < 0.975, key


def test_skewed_or_small_samples_get_the_median_and_tiny_ones_nothing() -> None:
    def kind(n: int, skewness: float) -> str | None:
        found = central_interval(n, 5.0, 1.0, skewness, lambda rank: (rank, rank))
        return found and found.of

    assert kind(MIN_FOR_MEDIAN - 1, 0) is None
    assert kind(MIN_FOR_MEDIAN, 0) == kind(MIN_FOR_MEAN - 1, 0) == "median"
    assert kind(MIN_FOR_MEAN, 0) == kind(900, MAX_SKEWNESS) == kind(900, -MAX_SKEWNESS) == "mean"
    assert kind(900, MAX_SKEWNESS + 0.01) == kind(10_000, -MAX_SKEWNESS - 0.01) == "median"


def test_median_interval_spans_whole_buckets() -> None:
    low, high = median_ranks(60)
    found = central_interval(60, 5.0, 1.0, 0.0, lambda rank: (rank - 0.25, rank + 0.5))
    assert found == CentralInterval("median", Interval(low - 0.25, high + 0.5))


def test_a_complete_sample_has_intervals_of_no_width() -> None:
    assert share_interval(3, 10, 1.0) == Interval(0.3, 0.3)
    assert mean_interval(7.0, 2.0, 400, 1.0) == Interval(7.0, 7.0)
    assert median_ranks(401, 1.0) == (201, 201)
    assert median_ranks(400, 1.0) == (200, 201)


def _skewness(values: list[float]) -> float:
    mean = fmean(values)
    return fmean((value - mean) ** 3 for value in values) / fmean((value - mean) ** 2 for value in values) ** 1.5


def _at(ordered: list[float]) -> Callable[[int], tuple[float, float]]:
    return lambda rank: (ordered[rank - 1],) * 2


def _holds(interval: Interval | None, truth: float) -> bool:
    assert interval is not None
    return interval.low <= truth <= interval.high


def estimate_by_key(profiles: list[object], *, left_out: int) -> dict[str, Estimate]:
    """The estimates of every cluster, after a journey through bytes."""
    aggregate = Aggregate(left_out=left_out)
    fold(aggregate, profiles, RECIPE)
    aggregate = Aggregate.from_bytes(aggregate.to_bytes())
    summaries = summarise(aggregate, RECIPE)
    found = estimate_clusters(aggregate, summaries, RECIPE)
    return {summary.key: estimate for summary, estimate in zip(summaries, found, strict=True)}


def at_risk(ltv: float, **traits: object) -> dict[str, object]:
    return {"traits": {"ltv": ltv, "churn_risk": 0.9, **traits}}


def test_an_empty_sample_has_no_intervals() -> None:
    for estimate in estimate_by_key([], left_out=10).values():
        assert estimate == Estimate(0, None, {}, {"industries": {}, "plans": {}}, {})


def test_few_values_have_shares_but_no_central_interval() -> None:
    found = estimate_by_key([at_risk(1.0, industry="SaaS")] * 29 + [at_risk(1.0)], left_out=270)["at_risk"]
    assert found.n == 300
    assert found.numbers["ltv"].of == "median"
    assert found.categories["industries"]["SaaS"].high == pytest.approx(1)
    fewer = estimate_by_key([at_risk(1.0)] * 29, left_out=271)["at_risk"]
    assert fewer.numbers == {}
    assert fewer.share is not None


def test_symmetrical_traits_get_the_mean_and_skewed_ones_the_median() -> None:
    chance = random.Random(5)
    even = estimate_by_key([at_risk(chance.uniform(0, 90)) for _ in range(1000)], left_out=9000)["at_risk"].numbers
    assert even["ltv"].of == "mean"
    assert even["ltv"].interval.low < 45 < even["ltv"].interval.high
    skewed = estimate_by_key([at_risk(5.0)] * 990 + [at_risk(90.0)] * 10, left_out=9000)["at_risk"].numbers
    assert (skewed["ltv"].of, skewed["ltv"].interval) == ("median", Interval(5.0, 5.0))


def test_intervals_from_stored_statistics_cover_95_percent() -> None:
    chance = random.Random(3)
    everyone = [at_risk(chance.triangular(0, 900, 90), plan=chance.choice("aab")) for _ in range(4000)]
    true_mean = sum(_ltv(profile) for profile in everyone) / 4000
    true_share = sum(profile["traits"]["plan"] == "a" for profile in everyone) / 4000  # type: ignore[index]
    hits: dict[str, list[bool]] = {"ltv": [], "plans": []}
    for _ in range(100):
        found = estimate_by_key(list(chance.sample(everyone, 500)), left_out=3500)["at_risk"]
        if found.numbers["ltv"].of == "mean":
            hits["ltv"].append(_holds(found.numbers["ltv"].interval, true_mean))
        hits["plans"].append(_holds(found.categories["plans"]["a"], true_share))
    assert len(hits["ltv"]) > 80
    assert all(0.89 < sum(hit) / len(hit) < 1 for hit in hits.values())


@pytest.mark.parametrize("left_out", [60, 2940])
def test_median_interval_from_buckets_covers_the_truth(left_out: int) -> None:
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
        for _ in range(120):
            typical = estimate_by_key([at_risk(ltv) for ltv in chance.sample(everyone, 60)], left_out=left_out)[
                "at_risk"
            ]
            assert typical.numbers["ltv"].of == "median"
            hits += _holds(typical.numbers["ltv"].interval, truth)
        # More often than 95 times in 100 only where a bucket, or a tie, is wider than the interval.
        assert 0.9 < hits / 120 <= (0.992 if kind == "wide" else 1), kind


def spends(share: float, chance: random.Random) -> float:
    """What a profile spends, if that share of them spend fifteen times as much as the others."""
    return chance.gauss(1500, 300) if chance.random() < share else chance.gauss(100, 20)


SPREAD: dict[str, Callable[[random.Random], float]] = {
    "normal": lambda chance: chance.gauss(100, 20),
    "yes or no": lambda chance: float(chance.random() < 0.3),
    "skewed": lambda chance: chance.gammavariate(4, 20),
    "log-normal": lambda chance: chance.lognormvariate(3, 1),
    "wider log-normal": lambda chance: chance.lognormvariate(3, 1.5),
    "Pareto": lambda chance: chance.paretovariate(2.5),
    "Pareto without a spread": lambda chance: chance.paretovariate(1.5),
    "one in a hundred": lambda chance: spends(0.01, chance),
    "one in twenty": lambda chance: spends(0.05, chance),
}
"""How values are spread. 600 of the first three kinds bear the interval of a mean; of the others it often misses."""


def test_heavy_tails_almost_never_get_a_mean_and_coverage_holds() -> None:
    chance = random.Random(17)
    means: dict[str, list[bool]] = {kind: [] for kind in SPREAD}
    for kind, draw in SPREAD.items():
        everyone = [draw(chance) for _ in range(6000)]
        truths, hits = {"mean": fmean(everyone), "median": median(everyone)}, []
        for _ in range(50):
            found = estimate_by_key([at_risk(ltv) for ltv in chance.sample(everyone, 600)], left_out=5400)[
                "at_risk"
            ].numbers["ltv"]
            hits.append(_holds(found.interval, truths[found.of]))
            if found.of == "mean":
                means[kind].append(hits[-1])
        # Of 50, 95 in 100 are 47.5, give or take 1.5 each way.
        assert sum(hits) >= 43, kind
    light = list(SPREAD)[:3]
    assert all(len(means[kind]) > 40 for kind in light)
    assert 0.91 < fmean(hit for kind in light for hit in means[kind]) < 0.99
    heavy = [hit for kind in list(SPREAD)[3:] for hit in means[kind]]
    assert len(heavy) < 0.1 * 50 * 6
    assert heavy.count(False) <= 0.01 * 50 * 6


def test_whole_numbers_have_whole_bounds() -> None:
    numbers = estimate_by_key([at_risk(float(i % 9)) for i in range(60)], left_out=60)["at_risk"].numbers
    assert numbers["ltv"] == CentralInterval("median", Interval(3.0, 5.0))


def _ltv(profile: dict[str, object]) -> float:
    return profile["traits"]["ltv"]  # type: ignore[index, no-any-return]
