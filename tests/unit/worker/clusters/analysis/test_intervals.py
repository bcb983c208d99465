"""Intervals hold what they promise: 95 of 100 contain the truth, where they are shown."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import fmean, median, stdev

import pytest

from worker.clusters.analysis.intervals import (
    MEAN_FROM,
    MEDIAN_FROM,
    Interval,
    Typical,
    is_mean_sound,
    mean_interval,
    median_ranks,
    share_interval,
    t_quantile,
    typical_interval,
)

#: From the tables of Student's t: degrees of freedom → quantile at 97.5 %.
T_TABLE = {5: 2.570582, 6: 2.446912, 10: 2.228139, 29: 2.045230, 60: 2.000298, 120: 1.979930, 1000: 1.962339}

DISTRIBUTIONS: dict[str, Callable[[random.Random], float]] = {
    "uniform": lambda chance: chance.random(),
    "exponential": lambda chance: chance.expovariate(1),
    "lognormal": lambda chance: math.exp(0.5 * chance.gauss(0, 1)),
    "mostly zero": lambda chance: chance.expovariate(1) if chance.random() < 0.5 else 0.0,
}


@pytest.mark.parametrize("freedom", T_TABLE)
def test_t_quantiles_are_those_of_the_tables(freedom: int) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(T_TABLE[freedom], abs=3e-4 if freedom < 10 else 1e-5)
    assert t_quantile(0.025, freedom) == pytest.approx(-t_quantile(0.975, freedom))


def test_wilsons_interval_is_that_of_the_books() -> None:
    found = share_interval(10, 100)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.0552291, 0.1743657), abs=1e-6)
    assert share_interval(0, 0) is None
    assert share_interval(0, 20) == Interval(pytest.approx(0), pytest.approx(0.1611252, abs=1e-6))
    assert share_interval(20, 20) == Interval(pytest.approx(0.8388748, abs=1e-6), pytest.approx(1))


@pytest.mark.parametrize("n", [30, 100, 1000])
def test_a_share_is_covered_95_times_in_100(n: int) -> None:
    """Exactly, from the binomial distribution, over every share of which at least five are expected on either side."""
    shares = [k / 200 for k in range(1, 200) if min(k / 200, 1 - k / 200) * n >= 5]
    inside = [_share_coverage(n, share) for share in shares]
    assert 0.945 < fmean(inside) < 0.955
    assert min(inside) > 0.92


@pytest.mark.parametrize("n", [100, 1000])
def test_so_is_a_share_of_which_less_than_five_are_expected_and_no_rare_one_is_missed_much_more_often(n: int) -> None:
    shares = [k / 20 / n for k in range(1, 100)]
    inside = [_share_coverage(n, share) for share in shares]
    assert 0.945 < fmean(inside) < 0.965
    assert min(inside) > 0.92
    assert min(_share_coverage(n, 1 - share) for share in shares) > 0.92


def test_a_bound_of_very_few_is_that_of_the_tables() -> None:
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


@pytest.mark.parametrize("n", [*range(MEDIAN_FROM, 130), 200, 300, 1000])
def test_a_median_is_covered_95_times_in_100(n: int) -> None:
    """Exactly: how many values of a sample are below the median is binomial."""
    low, high = median_ranks(n)
    assert 1 <= low <= high <= n
    inside = sum(math.comb(n, below) for below in range(low, high)) / 2**n
    assert 0.938 < inside < 0.962


@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.9])
def test_of_a_large_part_of_a_population_more_is_known_and_the_promise_is_the_same(fraction: float) -> None:
    chance = random.Random(7)
    population = [chance.expovariate(1) for _ in range(int(400 / fraction))]
    share = sum(value > 1 for value in population) / len(population)
    truths = (fmean(population), median(population), share)
    rounds, hits = 1500, [0, 0, 0]
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
    assert all(0.935 < hit / rounds < 0.965 for hit in hits), hits
    assert 0.94 < sum(hits) / (3 * rounds) < 0.96


def test_where_an_interval_is_shown_it_holds_the_truth_95_times_in_100() -> None:
    """Of the mean where the sample is large enough for its skewness, else of the median."""
    chance = random.Random(11)
    shown: dict[tuple[str, int], list[int]] = {}
    for draw in DISTRIBUTIONS.values():
        population = [draw(chance) for _ in range(20_000)]
        truths = {"mean": fmean(population), "median": median(population)}
        for n in (60, 600):
            for _ in range(400):
                sample = sorted(chance.sample(population, n))
                found = typical_interval(n, fmean(sample), stdev(sample), _skewness(sample), _at(sample), n / 20_000)
                assert found is not None
                shown.setdefault((found.of, n), []).append(_holds(found.interval, truths[found.of]))
    assert set(shown) >= {("median", 60), ("mean", 600)}
    for key, hits in shown.items():
        if len(hits) > 1000:
            assert 0.94 < fmean(hits) < 0.965, key


def test_the_mean_gives_way_to_the_median_and_too_few_values_have_neither() -> None:
    def kind(n: int, skewness: float) -> str | None:
        found = typical_interval(n, 5.0, 1.0, skewness, lambda rank: (rank, rank))
        return found and found.of

    assert kind(MEDIAN_FROM - 1, 0) is None
    assert kind(MEDIAN_FROM, 0) == kind(MEAN_FROM - 1, 0) == "median"
    assert kind(MEAN_FROM, 0) == kind(900, 6) == kind(900, -6) == "mean"
    assert kind(900, 6.01) == kind(10_000, 21) == kind(10_000, math.inf) == "median"
    assert is_mean_sound(625, 5)
    assert not is_mean_sound(624, 5)


def test_the_interval_of_a_median_goes_from_the_lower_bound_of_the_lower_rank_to_the_upper_one_of_the_upper() -> None:
    low, high = median_ranks(60)
    found = typical_interval(60, 5.0, 1.0, 0.0, lambda rank: (rank - 0.25, rank + 0.5))
    assert found == Typical("median", Interval(low - 0.25, high + 0.5))


def test_of_everyone_all_is_known() -> None:
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
