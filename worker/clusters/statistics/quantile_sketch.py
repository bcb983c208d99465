"""The distribution of a number trait in bounded memory: any quantile within 1 % of the true value.

Counts values in buckets whose width is a fixed share of their value, as DDSketch does (Masson, Rim and Lee, 2019). Here
a value's bucket is read off its bits: the upper half of a 32-bit float is its sign, its power of two, and how far it is
on the way to the next one, in 128 steps. So a bucket is at most 1/128 of its values wide.

A sketch with too many buckets is made *coarser*: every two neighbours become one. As values are only ever added, the
number of buckets only ever grows, and how coarse a sketch becomes depends on its values alone: neither their order nor
how sketches were merged changes it.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import floor, fsum, isclose
from operator import sub
from struct import pack, unpack
from sys import byteorder

from worker.clusters.statistics import serialization
from worker.clusters.statistics.ranks import at_rank
from worker.clusters.statistics.tail import tail_skewness

FINE_BUCKETS = 512
"""Most buckets of the finest kind, which has one for each whole number up to 256. A trait with few values has fewer;
one with many loses nothing that is promised when it is made coarser once."""

MOST_BUCKETS = 2048
"""Most buckets of every other kind. Made coarser once, a sketch has 64 for each power of two: enough for every value
from 0.001 to 4,000,000."""

COARSEST = 13
"""At this coarseness there are not more than eight buckets."""

_SIGN = 0x8000
_INFINITY = 0x7F80


class QuantileSketch:
    """Counts of values by bucket. Values nearer to 0 than 1e-38 count as 0; all are within plus or minus 1e15."""

    __slots__ = ("_buckets", "_coarseness", "_fresh")

    def __init__(self, coarseness: int = 0, buckets: Mapping[int, int] | None = None) -> None:
        self._coarseness = coarseness
        self._buckets = Counter(buckets)
        # What was counted since, by the upper halves as they are: that needs no loop in Python.
        self._fresh: Counter[int] = Counter()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QuantileSketch):
            return NotImplemented
        return self.buckets == other.buckets and self.coarseness == other.coarseness

    __hash__ = None  # type: ignore[assignment]

    @property
    def buckets(self) -> Counter[int]:
        """How many values are in each bucket that has any."""
        self.settle()
        return self._buckets

    @property
    def coarseness(self) -> int:
        """How often the sketch was made coarser. A value's bucket is the upper half of its float without as many of the
        last bits."""
        self.settle()
        return self._coarseness

    @property
    def count(self) -> int:
        """How many values there are."""
        return self._buckets.total() + self._fresh.total()

    @property
    def error(self) -> float:
        """How far a quantile may be from the true value, as a share of it: below 0.01, unless the values are so spread
        out that the sketch had to be made coarser more than once."""
        # In a power of two there are 2 ** (7 - coarseness) buckets, or else in a bucket so many powers of two.
        powers = self.coarseness - 7
        width = 2.0**powers if powers <= 0 else 2.0**2**powers - 1
        return max(1 / 128, width / 2)

    @property
    def skewness(self) -> float:
        """The third standardised moment of the values, up to the error of the buckets; 0 if all are the same."""
        values, count = self._values(), self.count
        mean = sum(n * value for value, n in values) / max(1, count)
        squares = sum(n * (value - mean) ** 2 for value, n in values)
        cubes = sum(n * (value - mean) ** 3 for value, n in values)
        return float(cubes / count / (squares / count) ** 1.5) if squares else 0.0

    @property
    def tail_skewness(self) -> float:
        """How skewed those may be of whom the values are a sample; see `tail`."""
        return tail_skewness(self._values())

    def add(self, values: Sequence[float]) -> None:
        """Counts values."""
        self._fresh.update(_upper_halves(values))
        if len(self._fresh) > 4 * MOST_BUCKETS:
            self.settle()

    def add_counts(self, counts: Mapping[float, int]) -> None:
        """Counts each value as many times as `counts` says."""
        for half, n in zip(_upper_halves(counts), counts.values(), strict=True):
            self._fresh[half] += n

    def merge(self, other: "QuantileSketch") -> None:
        """Adds everything that `other` has counted."""
        theirs = other.buckets
        self.settle()
        self._make_coarser(other._coarseness - self._coarseness)
        self._join(theirs, self._coarseness - other._coarseness)
        self._bound()

    def settle(self, most: int | None = None) -> None:
        """Brings the sketch down to its bound, or to `most` buckets (at least eight) if that is less."""
        if self._fresh:
            self._join(self._fresh, self._coarseness)
            self._fresh.clear()
        self._bound(most)

    def quantile(self, share: float) -> float | None:
        """Of n values in ascending order the one at rank `share` × (n − 1), from 0 and rounded down; None of none."""
        count = self.count
        return self.value_at(floor(share * (count - 1))) if count else None

    def value_at(self, rank: int) -> float:
        """The value at a rank from 0, in ascending order. Raises IndexError if there are not so many values."""
        return at_rank(self._values(), rank)

    def bounds_at(self, rank: int) -> tuple[float, float]:
        """Between which the value at a rank from 0 is, in ascending order: the bounds of its bucket, up to the rounding
        to a 32-bit float. Raises IndexError if there are not so many values."""
        return at_rank(sorted((_bounds(bucket, self.coarseness), n) for bucket, n in self.buckets.items()), rank)

    def are_exact(self, mean: float) -> bool:
        """Whether all values are those that stand for their buckets, as whole numbers up to 256 are. mean: theirs.

        No other value of a finest bucket is nearer to 0, so if all are on one side of it, only then the means agree.
        """
        values = self._values()
        if self.coarseness or not values or values[0][0] < 0 < values[-1][0]:
            return False
        return isclose(fsum(n * value for value, n in values) / self.count, mean, rel_tol=1e-12)

    def as_json(self) -> dict[str, object]:
        """`steps` are the buckets in ascending order, each as its distance from the one before."""
        buckets = sorted(self.buckets)
        steps = [*buckets[:1], *map(sub, buckets[1:], buckets)]
        return {"coarseness": self._coarseness, "steps": steps, "counts": [self._buckets[bucket] for bucket in buckets]}

    @classmethod
    def from_json(cls, value: object) -> "QuantileSketch":
        """The reverse of `as_json`. Raises ValueError if this is not what `as_json` can have written."""
        raw_coarseness, raw_steps, raw_counts = serialization.fields(value, "coarseness", "steps", "counts")
        coarseness, steps, counts = (
            serialization.count(raw_coarseness),
            serialization.integers(raw_steps),
            serialization.integers(raw_counts),
        )
        buckets = dict(zip(accumulate(steps), counts, strict=True))
        if (
            coarseness > COARSEST
            or len(buckets) > (MOST_BUCKETS if coarseness else FINE_BUCKETS)
            or min(counts, default=1) < 1
            or min(steps[1:], default=1) < 1
            or not 0 <= min(buckets, default=0) <= max(buckets, default=0) <= 0xFFFF >> coarseness
            or any((bucket << coarseness) % _SIGN >= _INFINITY for bucket in _outermost(buckets, coarseness))
        ):
            raise ValueError("not a sketch")
        return cls(coarseness, buckets)

    def _values(self) -> list[tuple[float, int]]:
        """In ascending order, the value that stands for a bucket, and how many values are in it."""
        return sorted((_value(bucket, self._coarseness), n) for bucket, n in self.buckets.items())

    def _make_coarser(self, times: int) -> None:
        if times > 0:
            self._coarseness += times
            finer, self._buckets = self._buckets, Counter()
            self._join(finer, times)

    def _join(self, finer: Mapping[int, int], times: int) -> None:
        """Adds the counts of buckets that were made coarser `times` times less."""
        buckets = self._buckets
        if times:
            for bucket, n in finer.items():
                joined = bucket >> times
                buckets[joined] = buckets.get(joined, 0) + n
        else:
            buckets.update(finer)
        # Zero is one value, though floats have two of it.
        if below_zero := buckets.pop(_SIGN >> self._coarseness, 0):
            buckets[0] += below_zero

    def _bound(self, most: int | None = None) -> None:
        while len(self._buckets) > min(
            MOST_BUCKETS if self._coarseness else FINE_BUCKETS, MOST_BUCKETS if most is None else most
        ):
            self._make_coarser(1)


def _upper_halves(values: Iterable[float]) -> list[int]:
    """The upper half of each value as a 32-bit float."""
    halves = memoryview(array("f", values)).cast("B").cast("H")
    return halves[1::2].tolist() if byteorder == "little" else halves[::2].tolist()


def _outermost(ascending: Iterable[int], coarseness: int) -> list[int]:
    """The buckets furthest from 0 on either side of it; those below 0 come after all others."""
    buckets = list(ascending)
    return [*buckets[: bisect_left(buckets, _SIGN >> coarseness)][-1:], *buckets[-1:]]


def _value(bucket: int, coarseness: int) -> float:
    """The value that stands for those in a bucket.

    Of the finest buckets it is the one nearest to 0, for whole numbers and short fractions are among those; of coarser
    ones, which would be too wide for that, the middle.
    """
    if bucket == 0:
        return 0.0
    near = _float(bucket << coarseness)
    return near if coarseness == 0 else (near + _float((bucket + 1) << coarseness)) / 2


def _bounds(bucket: int, coarseness: int) -> tuple[float, float]:
    """Between which the values of a bucket are. Its neighbour at infinity begins beyond all values."""
    near, far = _float(bucket << coarseness), _float((bucket + 1) << coarseness)
    if bucket == 0:
        # What counts as 0 anyway, unless the sketch is very coarse.
        return (0.0, 0.0) if far < 1e-37 else (-far, far)
    return min(near, far), max(near, far)


def _float(upper_half: int) -> float:
    """The 32-bit float with this upper half, and zeros below."""
    found: float = unpack(">f", pack(">HH", upper_half, 0))[0]
    return found
