"""Confidence intervals: what a sample says about the whole space, at a level of 95 %.

Every interval takes the `fraction` of the population that is in the sample: the variance of an estimate is smaller by
1 − fraction (the finite-population correction: W. G. Cochran, "Sampling Techniques", 1977, section 2.6). Samples are
large enough for the normal distribution wherever an interval is shown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, sqrt
from statistics import NormalDist
from typing import Literal

from worker.clusters.analysis.summary import CategorySummary, ClusterSummary, number_values
from worker.clusters.rules.rules import Rules
from worker.clusters.statistics.aggregate import Aggregate, ClusterAggregate
from worker.clusters.statistics.numeric import NumberAggregate

LEVEL = 0.95

MIN_FOR_MEDIAN = 30
"""Fewest values for which the interval of a median is shown."""

MIN_FOR_MEAN = 500
"""Fewest values for which the interval of a mean is shown. One in a hundred smaller samples, or more, would hold none
of the profiles of a group that is 1 % of the population, and its mean would be off."""

MAX_SKEWNESS = 2.0
"""Largest skewness of a sample for which the interval of its mean is shown. In simulations at `MIN_FOR_MEAN` values it
contains the true mean 94 to 96 times in 100, and samples of heavy tails are nearly always more skewed than this."""

_RARE = {1: 0.0513, 2: 0.3554, 3: 0.8177}
"""Count → the mean of the Poisson distribution that yields this count or more 5 times in 100."""

_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, both included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CentralInterval:
    """The interval of a mean or of a median, whichever `of` says."""

    of: Literal["mean", "median"]
    interval: Interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimates for one cluster from a sample.

    Attributes:
        n: Estimated number of all profiles in the cluster.
        share: Share of all classified profiles (0 to 1); None if there are none.
        numbers: By number or date trait, the interval of its mean, or of its median if the trait is skewed. Traits with
            too few values are left out.
        categories: By trait and value, the share of the profiles with the trait that have the value.
        booleans: By trait, the share of the profiles with the trait for which it is true.
    """

    n: int
    share: Interval | None
    numbers: Mapping[str, CentralInterval]
    categories: Mapping[str, Mapping[str, Interval]]
    booleans: Mapping[str, Interval]


def estimate_clusters(aggregate: Aggregate, summaries: Sequence[ClusterSummary], rules: Rules) -> list[Estimate]:
    """Estimates every cluster of a space from a sample.

    Args:
        aggregate: What was counted in the sample.
        summaries: The summaries of the same aggregate.
        rules: The rules that both were made by.

    Returns:
        An estimate for each summary, in their order.
    """
    classified = sum(summary.n for summary in summaries)
    return [_estimate_cluster(aggregate, summary, classified, rules) for summary in summaries]


def share_interval(count: int, n: int, fraction: float = 0.0) -> Interval | None:
    """Computes Wilson's interval (1927) for a share.

    A sample of a large fraction counts as a larger one. For very small and very large counts the bound is `_RARE`'s
    (Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", 2001, section 4.1.1), because Wilson's
    would miss rare shares 14 times in 100.

    Args:
        count: Profiles of the sample that have a property.
        n: Profiles of the sample.
        fraction: Part of the population that is in the sample (0 to 1).

    Returns:
        The interval of the share (0 to 1), or None if `n` is 0.
    """
    if not n:
        return None
    share = count / n
    if fraction >= 1:
        return Interval(share, share)
    n_effective = n / (1 - fraction)
    shrink = 1 + _Z**2 / n_effective
    centre = (share + _Z**2 / (2 * n_effective)) / shrink
    half = _Z * sqrt(share * (1 - share) / n_effective + (_Z / (2 * n_effective)) ** 2) / shrink
    low = min(centre - half, _RARE.get(count, n) / n)
    high = max(centre + half, 1 - _RARE.get(n - count, n) / n)
    return Interval(max(0.0, low), min(1.0, high))


def mean_interval(mean: float, std: float, n: int, fraction: float = 0.0) -> Interval:
    """Computes the normal interval of a mean from a sample's mean, its standard deviation (n − 1) and its size."""
    half = _Z * std * sqrt((1 - fraction) / n)
    return Interval(mean - half, mean + half)


def median_ranks(n: int, fraction: float = 0.0) -> tuple[int, int]:
    """Finds the two values of a sample between which the population's median lies.

    The number of values below that median is binomial, approximated by the normal distribution. Of the ranks around
    its quantiles, those with the level nearest to `LEVEL` are taken.

    Args:
        n: Values of the sample.
        fraction: Part of the population that is in the sample (0 to 1).

    Returns:
        The ranks of the lower and of the upper value, from 1, in ascending order of the values.
    """
    spread = sqrt(n * (1 - fraction)) / 2
    if not spread:
        return (n + 1) // 2, n // 2 + 1
    middle = (n + 1) / 2

    def level(ranks: tuple[int, int]) -> float:
        low, high = ranks
        return _NORMAL.cdf((high - middle) / spread) - _NORMAL.cdf((low - middle) / spread)

    low, high = middle - _Z * spread, middle + _Z * spread
    around = [(left, right) for left in (floor(low), ceil(low)) for right in (floor(high), ceil(high))]
    left, right = min(around, key=lambda ranks: abs(level(ranks) - LEVEL))
    return max(1, left), min(n, right)


def central_interval(
    n: int,
    mean: float,
    std: float,
    skewness: float,
    bounds_at: Callable[[int], tuple[float, float]],
    fraction: float = 0.0,
) -> CentralInterval | None:
    """Computes the interval of the mean, or of the median if the sample is skewed or small.

    Args:
        n: Values of the sample.
        mean: Their mean.
        std: Their standard deviation (n − 1).
        skewness: Their third standardised moment.
        bounds_at: Returns the lowest and the highest possible value of a rank, from 1 to n. If values are known only by
            bucket, the interval consists of whole buckets and contains the truth more often.
        fraction: Part of the population that is in the sample (0 to 1).

    Returns:
        The interval, or None for fewer than `MIN_FOR_MEDIAN` values.
    """
    if n >= MIN_FOR_MEAN and abs(skewness) <= MAX_SKEWNESS:
        return CentralInterval("mean", mean_interval(mean, std, n, fraction))
    if n < MIN_FOR_MEDIAN:
        return None
    low, high = median_ranks(n, fraction)
    return CentralInterval("median", Interval(bounds_at(low)[0], bounds_at(high)[1]))


def _estimate_cluster(aggregate: Aggregate, summary: ClusterSummary, classified: int, rules: Rules) -> Estimate:
    fraction = aggregate.fraction
    group = aggregate.clusters.get(summary.key, ClusterAggregate())
    numbers = {
        trait.name: _estimate_number(number_values(group, trait), fraction)
        for trait in rules.traits
        if trait.type in ("number", "date")
    }
    booleans = {name: share_interval(boolean.true, boolean.count, fraction) for name, boolean in group.booleans.items()}
    return Estimate(
        n=round(summary.n / fraction),
        share=share_interval(summary.n, classified, fraction),
        numbers={name: interval for name, interval in numbers.items() if interval},
        categories={name: _estimate_shares(category, fraction) for name, category in summary.categories.items()},
        booleans={name: interval for name, interval in booleans.items() if interval},
    )


def _estimate_number(values: NumberAggregate, fraction: float) -> CentralInterval | None:
    mean, std = values.mean, values.std
    if mean is None or std is None:
        return None
    skewness = values.sketch.skewness
    return central_interval(values.count, mean, std, skewness, lambda rank: values.bounds_at(rank - 1), fraction)


def _estimate_shares(category: CategorySummary, fraction: float) -> dict[str, Interval]:
    found = {top.value: share_interval(top.count, category.coverage, fraction) for top in category.top}
    return {value: interval for value, interval in found.items() if interval}
