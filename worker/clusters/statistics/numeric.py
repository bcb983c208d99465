"""Statistics of one number trait in one cluster: count, exact mean, spread and distribution.

Sums are exact: `math.fsum` rounds correctly, so a sum, and with it the mean, is the same to the last bit however a
space is cut into pages and in whatever order the pages arrive. The spread is added up by Chan's formula (Chan, Golub
and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979), which does not cancel
for values far from 0. It is the only figure whose last digits depend on how the values were grouped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import dist, fsum, sqrt

from worker.clusters.parsing.value_parsers import MAGNITUDE
from worker.clusters.statistics import serialization
from worker.clusters.statistics.quantile_sketch import QuantileSketch

MAX_PENDING = 2048
"""Values that are collected before they are counted, so that the cost of counting starts once for many pages."""


def exact_sum(terms: Iterable[float]) -> list[float]:
    """Sums finite floats without rounding.

    The result is canonical: the float nearest to the sum, then the float nearest to the remainder, and so on. It
    depends on the exact sum alone. To add to a sum, pass its parts among the terms.

    Args:
        terms: Finite numbers, far from the largest float.

    Returns:
        The parts of the sum, largest first; the empty list is 0. For terms of similar size there are two or three
        parts, and never more than about 25.
    """
    rest = list(terms)
    # Plain addition is fast and nearly right. The remainder then takes fewer passes to sum exactly.
    nearly = float(sum(rest))
    rest.append(-nearly)
    return _parts([nearly, *_parts(rest)])


def exact_mean(parts: Sequence[float], count: int) -> Fraction | None:
    """Returns the exact mean of `count` values.

    The caller rounds once, so the mean of equal values is that value. Rounding the sum first would make the mean of
    twenty times 0.22 0.22000000000000003.

    Args:
        parts: The sum of the values, as `exact_sum` returns it.
        count: Number of values.

    Returns:
        The mean, or None if there are no values.
    """
    return sum(map(Fraction, parts), Fraction()) / count if count else None


def _parts(rest: list[float]) -> list[float]:
    parts: list[float] = []
    while part := fsum(rest):
        parts.append(part)
        rest.append(-part)
    return parts


@dataclass(frozen=True)
class Moments:
    """Count, exact sum and spread of a set of numbers. The sum of two `Moments` describes both sets together.

    Attributes:
        count: Number of values.
        parts: Their sum, as `exact_sum` returns it.
        squares: Sum of their squared deviations from the mean.
    """

    count: int = 0
    parts: tuple[float, ...] = ()
    squares: float = 0.0

    @classmethod
    def from_values(cls, values: Sequence[float]) -> "Moments":
        """Returns the moments of finite numbers."""
        count, parts = len(values), tuple(exact_sum(values))
        exact = exact_mean(parts, count)
        if exact is None:
            return cls()
        mean = float(exact)
        # The distance from the point (mean, mean, …) is the square root of the sum, computed in one pass at C speed.
        # Deviations from the rounded mean are too large by the square of its error, once for each value.
        excess = count * float(exact - Fraction(mean)) ** 2
        return cls(count, parts, max(0.0, dist(values, [mean] * count) ** 2 - excess))

    @classmethod
    def from_zeros(cls, count: int) -> "Moments":
        """Returns the moments of `count` zeros."""
        return cls(count)

    @cached_property
    def _exact_mean(self) -> Fraction | None:
        return exact_mean(self.parts, self.count)

    @property
    def mean(self) -> float | None:
        """The mean; None without values."""
        return None if self._exact_mean is None else float(self._exact_mean)

    @property
    def std(self) -> float | None:
        """The standard deviation of a sample (n − 1); None for fewer than two values."""
        return sqrt(self.squares / (self.count - 1)) if self.count > 1 else None

    def __add__(self, other: "Moments") -> "Moments":
        """Returns the moments of both sets together."""
        if self._exact_mean is None:
            return other
        if other._exact_mean is None:
            return self
        count = self.count + other.count
        parts = tuple(exact_sum(self.parts + other.parts))
        between = float(other._exact_mean - self._exact_mean) ** 2 * (self.count * other.count / count)
        return Moments(count, parts, self.squares + other.squares + between)


class NumberAggregate:
    """Running statistics of values within plus or minus `MAGNITUDE`. Every property flushes pending values first."""

    __slots__ = ("_moments", "_pending", "_sketch")

    def __init__(self, moments: Moments = Moments(), sketch: QuantileSketch | None = None) -> None:
        self._moments = moments
        self._sketch = QuantileSketch() if sketch is None else sketch
        self._pending: list[float] = []

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NumberAggregate):
            return NotImplemented
        return self.moments == other.moments and self.sketch == other.sketch

    __hash__ = None  # type: ignore[assignment]

    @property
    def moments(self) -> Moments:
        """Count, mean and spread."""
        self._flush()
        return self._moments

    @property
    def sketch(self) -> QuantileSketch:
        """The distribution."""
        self._flush()
        return self._sketch

    @property
    def count(self) -> int:
        """Number of profiles that have the trait."""
        return self.moments.count

    @property
    def mean(self) -> float | None:
        """Mean over the profiles that have the trait; None if none has it."""
        return self.moments.mean

    @property
    def std(self) -> float | None:
        """Standard deviation (n − 1) over the profiles that have the trait; None for fewer than two."""
        return self.moments.std

    def bounds_at(self, rank: int) -> tuple[float, float]:
        """Returns the bounds of a value given its rank.

        Args:
            rank: Position in ascending order, from 0.

        Returns:
            The lowest and the highest possible value; both are the same if the value is known exactly.
        """
        mean = self.mean
        if mean is not None and self.sketch.is_exact(mean):
            value = self.sketch.value_at(rank)
            return value, value
        return self.sketch.bounds_at(rank)

    def with_zeros(self, count: int) -> "NumberAggregate":
        """Returns a new aggregate that counts `count` more zeros."""
        result = NumberAggregate(Moments.from_zeros(count), QuantileSketch(buckets={0: count} if count else None))
        result.merge(self)
        return result

    def add(self, values: Iterable[float]) -> None:
        """Counts values, one for each profile."""
        self._pending += values
        if len(self._pending) >= MAX_PENDING:
            self._flush()

    def merge(self, other: "NumberAggregate") -> None:
        """Adds everything that `other` has counted."""
        self._moments = self.moments + other.moments
        self._sketch.merge(other.sketch)

    def as_json(self) -> dict[str, object]:
        """Returns the aggregate as JSON data."""
        moments = self.moments
        return {
            "count": moments.count,
            "sum": moments.parts,
            "squares": moments.squares,
            "sketch": self.sketch.as_json(),
        }

    @classmethod
    def from_json(cls, value: object) -> "NumberAggregate":
        """Reads what `as_json` returned.

        Raises:
            ValueError: `as_json` cannot have returned this value.
        """
        raw_count, raw_parts, raw_squares, raw_sketch = serialization.fields(value, "count", "sum", "squares", "sketch")
        count, parts = serialization.count(raw_count), serialization.floats(raw_parts)
        [squares] = serialization.floats([raw_squares])
        # Check the bound first: beyond it the sum could overflow.
        if any(abs(part) > MAGNITUDE * count for part in parts) or parts != exact_sum(parts):
            raise ValueError("not a sum of that many values")
        if not 0 <= squares <= 4 * MAGNITUDE**2 * count:
            raise ValueError("not a spread of that many values")
        return cls(Moments(count, tuple(parts), squares), QuantileSketch.from_json(raw_sketch))

    def _flush(self) -> None:
        """Counts the pending values."""
        if self._pending:
            self._moments += Moments.from_values(self._pending)
            self._sketch.add(self._pending)
            self._pending = []
