"""How far what a sample says may be from what everyone would say: 95 % confidence intervals.

Pure; from plain numbers. Each takes the `fraction` of the population that is in the sample: the variance of an estimate
is smaller by 1 − fraction (the finite-population correction: W. G. Cochran, "Sampling Techniques", 1977, section 2.6).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, sqrt
from statistics import NormalDist
from typing import Literal

LEVEL = 0.95

MEDIAN_FROM = 30
"""Values from which on the interval of a median is shown."""

MEAN_FROM = 500
"""Values from which on the interval of a mean may be shown. Of fewer, one sample in a hundred or more holds none of the
profiles of whom there is one in a hundred: it looks symmetrical, and its mean is off."""

_RARE = {1: 0.0513, 2: 0.3554, 3: 0.8177}
"""Count → the mean of a Poisson distribution of which it, or more, comes 5 times in 100."""

_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Typical:
    """The interval of a typical value: of the mean or of the median."""

    of: Literal["mean", "median"]
    interval: Interval


def share_interval(count: int, n: int, fraction: float = 0.0) -> Interval | None:
    """Wilson's interval (1927) for a share, of which `count` of `n` is the estimate; None of nothing.

    A sample of a large fraction counts as a larger one. Of very few, and of all but very few, the bound is `_RARE`'s
    (Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", 2001, section 4.1.1): Wilson's would miss
    rare shares 14 times in 100.
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
    """Student's t interval. std: the standard deviation of the sample (n − 1); n: at least 6."""
    half = t_quantile((1 + LEVEL) / 2, n - 1) * std * sqrt((1 - fraction) / n)
    return Interval(mean - half, mean + half)


def is_mean_sound(n: int, skewness: float) -> bool:
    """Whether the t interval may be shown: n ≥ 25 · skewness² (Cochran, section 2.15), and n ≥ `MEAN_FROM`.

    skewness: of the population, or an upper estimate; a sample's own is too small, see `tail`.
    """
    return n >= max(MEAN_FROM, 25 * skewness**2)


def median_ranks(n: int, fraction: float = 0.0) -> tuple[int, int]:
    """The ranks (from 1) of the two values of a sample between which the population's median is.

    How many values of the sample are below that median is binomial, taken as normal; of the ranks around, those whose
    level is nearest to `LEVEL`.
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


def typical_interval(
    n: int,
    mean: float,
    std: float,
    skewness: float,
    bounds_at: Callable[[int], tuple[float, float]],
    fraction: float = 0.0,
) -> Typical | None:
    """The interval of the mean if it is sound, else that of the median; None of too few values.

    bounds_at: between which the value of a rank is, from 1 for the smallest to n. Where values are known in buckets
        only, the interval is of whole buckets, and holds the truth the more often the wider they are.
    """
    if is_mean_sound(n, skewness):
        return Typical("mean", mean_interval(mean, std, n, fraction))
    if n < MEDIAN_FROM:
        return None
    low, high = median_ranks(n, fraction)
    return Typical("median", Interval(bounds_at(low)[0], bounds_at(high)[1]))


def t_quantile(level: float, freedom: int) -> float:
    """The quantile of Student's t distribution, with at least 5 degrees of freedom.

    Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5; at 97.5 % off by 0.0003 for 5 degrees, and by
    0.00001 from 10 on.
    """
    z = _NORMAL.inv_cdf(level)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))
