"""The distribution of a number trait in bounded memory: any quantile within 1 % of the true value.

Values are counted in buckets whose width is a fixed share of the value, as in DDSketch (Masson, Rim and Lee, 2019). A
value's bucket is read from its bits: the upper half of a 32-bit float holds the sign, the power of two and 128 steps to
the next one, so a bucket's width is at most 1/128 of its values.

A sketch with too many buckets is made coarser: every two neighbouring buckets become one. Values are only ever added,
so the number of buckets only grows, and the coarseness depends on the values alone, not on their order or on how
sketches were merged.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from math import floor, fsum, isclose
from operator import sub
from struct import pack, unpack
from sys import byteorder
from typing import TypeVar

from worker.clusters.statistics import serialization

MAX_FINE_BUCKETS = 512
"""Most buckets of the finest kind, which has one for each whole number up to 256. Making a sketch coarser once keeps
quantiles within 1 %."""

MAX_BUCKETS = 2048
"""Most buckets of every other kind. A sketch that was made coarser once has 64 for each power of two, which covers
every value from 0.001 to 4,000,000."""

MAX_COARSENESS = 13
"""At this coarseness there are at most eight buckets."""

_SIGN = 0x8000
_INFINITY = 0x7F80

T = TypeVar("T")


def value_at_rank(counted: Sequence[tuple[T, int]], rank: int) -> T:
    """Returns the value at a rank.

    Args:
        counted: Values in ascending order, each with its number of occurrences.
        rank: Position in ascending order, from 0.

    Raises:
        IndexError: There are fewer values.
    """
    return counted[bisect_right(list(accumulate(n for _, n in counted)), rank)][0]


class QuantileSketch:
    """Counts of values by bucket. Values must lie within plus or minus 1e15; those nearer to 0 than 1e-38 count as
    0."""

    __slots__ = ("_buckets", "_coarseness", "_fresh")

    def __init__(self, coarseness: int = 0, buckets: Mapping[int, int] | None = None) -> None:
        self._coarseness = coarseness
        self._buckets = Counter(buckets)
        # Counts since the last compact(), by the unmodified upper halves: counting them needs no loop in Python.
        self._fresh: Counter[int] = Counter()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QuantileSketch):
            return NotImplemented
        return self.buckets == other.buckets and self.coarseness == other.coarseness

    __hash__ = None  # type: ignore[assignment]

    @property
    def buckets(self) -> Counter[int]:
        """Number of values in each bucket that is not empty."""
        self.compact()
        return self._buckets

    @property
    def coarseness(self) -> int:
        """How many times the sketch was made coarser. A value's bucket is the upper half of its float without this many
        of its last bits."""
        self.compact()
        return self._coarseness

    @property
    def count(self) -> int:
        """Number of values."""
        return self._buckets.total() + self._fresh.total()

    @property
    def skewness(self) -> float:
        """Third standardised moment of the values, up to the error of the buckets; 0 if all are equal."""
        values, count = self.counted_values(), self.count
        mean = sum(n * value for value, n in values) / max(1, count)
        squares = sum(n * (value - mean) ** 2 for value, n in values)
        cubes = sum(n * (value - mean) ** 3 for value, n in values)
        return float(cubes / count / (squares / count) ** 1.5) if squares else 0.0

    def add(self, values: Sequence[float]) -> None:
        """Counts values."""
        self._fresh.update(_upper_halves(values))
        if len(self._fresh) > 4 * MAX_BUCKETS:
            self.compact()

    def merge(self, other: "QuantileSketch") -> None:
        """Adds everything that `other` has counted."""
        theirs = other.buckets
        self.compact()
        self._make_coarser(other._coarseness - self._coarseness)
        self._add_buckets(theirs, self._coarseness - other._coarseness)
        self._limit_buckets()

    def compact(self, max_buckets: int | None = None) -> None:
        """Limits the number of buckets to the bound, or to `max_buckets` (at least eight) if that is less."""
        if self._fresh:
            self._add_buckets(self._fresh, self._coarseness)
            self._fresh.clear()
        self._limit_buckets(max_buckets)

    def quantile(self, share: float) -> float | None:
        """Returns the value at rank `share` × (n − 1) of n values, counted from 0 and rounded down; None without
        values."""
        return self.quantiles(share)[0]

    def quantiles(self, *shares: float) -> list[float | None]:
        """Returns several quantiles, as `quantile` returns one of them, with the buckets sorted only once."""
        count = self.count
        if not count:
            return [None for _ in shares]
        values = self.counted_values()
        return [value_at_rank(values, floor(share * (count - 1))) for share in shares]

    def value_at(self, rank: int) -> float:
        """Returns the value at a rank (from 0, ascending). Raises IndexError if there are fewer values."""
        return value_at_rank(self.counted_values(), rank)

    def bounds_at(self, rank: int) -> tuple[float, float]:
        """Returns the bounds of the bucket that holds the value at a rank (from 0, ascending).

        The bounds are exact up to the rounding to a 32-bit float. Raises IndexError if there are fewer values.
        """
        return value_at_rank(sorted((_bounds(bucket, self.coarseness), n) for bucket, n in self.buckets.items()), rank)

    def is_exact(self, mean: float) -> bool:
        """Returns whether every value equals the one that represents its bucket, as whole numbers up to 256 do.

        The value that represents a finest bucket is the nearest to 0. If all values are on one side of 0, the means
        therefore agree only if all values are exact.

        Args:
            mean: The exact mean of the values.
        """
        values = self.counted_values()
        if self.coarseness or not values or values[0][0] < 0 < values[-1][0]:
            return False
        return isclose(fsum(n * value for value, n in values) / self.count, mean, rel_tol=1e-12)

    def as_json(self) -> dict[str, object]:
        """Returns the sketch as JSON data; `steps` are the buckets in ascending order, each as its distance from the
        last."""
        buckets = sorted(self.buckets)
        steps = [*buckets[:1], *map(sub, buckets[1:], buckets)]
        return {"coarseness": self._coarseness, "steps": steps, "counts": [self._buckets[bucket] for bucket in buckets]}

    @classmethod
    def from_json(cls, value: object) -> "QuantileSketch":
        """Reads what `as_json` returned. Raises ValueError if it cannot have returned this value."""
        raw_coarseness, raw_steps, raw_counts = serialization.fields(value, "coarseness", "steps", "counts")
        coarseness, steps, counts = (
            serialization.count(raw_coarseness),
            serialization.integers(raw_steps),
            serialization.integers(raw_counts),
        )
        buckets = dict(zip(accumulate(steps), counts, strict=True))
        if (
            coarseness > MAX_COARSENESS
            or len(buckets) > (MAX_BUCKETS if coarseness else MAX_FINE_BUCKETS)
            or min(counts, default=1) < 1
            or min(steps[1:], default=1) < 1
            or not 0 <= min(buckets, default=0) <= max(buckets, default=0) <= 0xFFFF >> coarseness
            or any((bucket << coarseness) % _SIGN >= _INFINITY for bucket in _outermost(buckets, coarseness))
        ):
            raise ValueError("not a sketch")
        return cls(coarseness, buckets)

    def counted_values(self) -> list[tuple[float, int]]:
        """Returns, in ascending order, the value that represents each bucket and the number of values in it."""
        return sorted((_representative(bucket, self._coarseness), n) for bucket, n in self.buckets.items())

    def _make_coarser(self, times: int) -> None:
        if times > 0:
            self._coarseness += times
            finer, self._buckets = self._buckets, Counter()
            self._add_buckets(finer, times)

    def _add_buckets(self, finer: Mapping[int, int], times: int) -> None:
        """Adds the counts of buckets that are finer by `times` steps."""
        buckets = self._buckets
        if times:
            for bucket, n in finer.items():
                joined = bucket >> times
                buckets[joined] = buckets.get(joined, 0) + n
        else:
            buckets.update(finer)
        # Floats have two zeros, which are one value.
        if below_zero := buckets.pop(_SIGN >> self._coarseness, 0):
            buckets[0] += below_zero

    def _limit_buckets(self, max_buckets: int | None = None) -> None:
        while len(self._buckets) > min(
            MAX_BUCKETS if self._coarseness else MAX_FINE_BUCKETS, MAX_BUCKETS if max_buckets is None else max_buckets
        ):
            self._make_coarser(1)


def _upper_halves(values: Iterable[float]) -> list[int]:
    """Returns the upper half of each value as a 32-bit float."""
    halves = memoryview(array("f", values)).cast("B").cast("H")
    return halves[1::2].tolist() if byteorder == "little" else halves[::2].tolist()


def _outermost(ascending: Iterable[int], coarseness: int) -> list[int]:
    """Returns the buckets furthest from 0 on either side; buckets below 0 follow all others."""
    buckets = list(ascending)
    return [*buckets[: bisect_left(buckets, _SIGN >> coarseness)][-1:], *buckets[-1:]]


@lru_cache(maxsize=2 * MAX_BUCKETS)
def _representative(bucket: int, coarseness: int) -> float:
    """Returns the value that represents a bucket.

    It is the value nearest to 0 for the finest buckets, because whole numbers and short fractions are among those, and
    the middle for coarser ones.
    """
    if bucket == 0:
        return 0.0
    near = _float(bucket << coarseness)
    return near if coarseness == 0 else (near + _float((bucket + 1) << coarseness)) / 2


def _bounds(bucket: int, coarseness: int) -> tuple[float, float]:
    """Returns the bounds of a bucket's values. The bucket of infinity begins beyond all values."""
    near, far = _float(bucket << coarseness), _float((bucket + 1) << coarseness)
    if bucket == 0:
        # Values this small count as 0, unless the sketch is very coarse.
        return (0.0, 0.0) if far < 1e-37 else (-far, far)
    return min(near, far), max(near, far)


def _float(upper_half: int) -> float:
    """Returns the 32-bit float with this upper half and a lower half of zeros."""
    found: float = unpack(">f", pack(">HH", upper_half, 0))[0]
    return found
