"""Count, exact sum and spread of a set of numbers: two sets of numbers add up to the moments of both.

The spread is the sum of squared deviations from the mean. It is computed about the set's own mean and added up by
Chan's formula (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances",
1979), so that nothing cancels, however far the numbers are from 0. It is the one figure that depends on how the
numbers were grouped, in its last digits; the sum, and with it the mean, does not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import dist, fsum, sqrt

from worker.clusters.statistics.exact import exact_mean, exact_sum, exact_weighted_sum


@dataclass(frozen=True)
class Moments:
    """`count` numbers; `parts` is their sum as in `exact_sum`, `squares` the sum of their squared deviations."""

    count: int = 0
    parts: tuple[float, ...] = ()
    squares: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float]) -> "Moments":
        """The moments of finite numbers."""
        count, parts = len(values), tuple(exact_sum(values))
        # The distance from the point (mean, mean, …) is the square root of the sum, found in one pass at C speed.
        return cls._about_mean(count, parts, lambda mean: dist(values, [mean] * count) ** 2)

    @classmethod
    def of_counts(cls, counts: Mapping[float, int]) -> "Moments":
        """The moments of finite numbers of which each is there as many times as `counts` says."""
        count, parts = sum(counts.values()), tuple(exact_weighted_sum(counts))
        return cls._about_mean(count, parts, lambda mean: fsum(n * (value - mean) ** 2 for value, n in counts.items()))

    @classmethod
    def _about_mean(cls, count: int, parts: tuple[float, ...], squares_about: Callable[[float], float]) -> "Moments":
        exact = exact_mean(parts, count)
        if exact is None:
            return cls()
        mean = float(exact)
        # Squares about anything but the mean itself are larger, by the square of how far it is off, for each number.
        excess = count * float(exact - Fraction(mean)) ** 2
        return cls(count, parts, max(0.0, squares_about(mean) - excess))

    @classmethod
    def zeros(cls, count: int) -> "Moments":
        """The moments of `count` times 0."""
        return cls(count)

    @cached_property
    def _exact_mean(self) -> Fraction | None:
        return exact_mean(self.parts, self.count)

    @property
    def mean(self) -> float | None:
        """The mean; None of nothing."""
        return None if self._exact_mean is None else float(self._exact_mean)

    @property
    def std(self) -> float | None:
        """The standard deviation of the sample (n − 1); None of fewer than two numbers."""
        return sqrt(self.squares / (self.count - 1)) if self.count > 1 else None

    def __add__(self, other: "Moments") -> "Moments":
        """The moments of both sets."""
        if self._exact_mean is None:
            return other
        if other._exact_mean is None:
            return self
        count = self.count + other.count
        parts = tuple(exact_sum(self.parts + other.parts))
        between = float(other._exact_mean - self._exact_mean) ** 2 * (self.count * other.count / count)
        return Moments(count, parts, self.squares + other.squares + between)
