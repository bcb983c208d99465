"""One number trait in one cluster: how many profiles have it, their exact mean, their spread and their distribution."""

from collections import Counter
from collections.abc import Iterable

from worker.clusters.parsing.value_parsers import MAGNITUDE
from worker.clusters.statistics import serialization
from worker.clusters.statistics.exact import exact_sum
from worker.clusters.statistics.moments import Moments
from worker.clusters.statistics.quantile_sketch import QuantileSketch

PENDING = 2048
"""Values that are collected before anything is done with them, so that a pass over them starts once for many pages."""

FEW = 256
"""While there are no more different values than this, values are counted, and all the rest is done once a value."""

OFTEN = 8
"""Many values that are there less often than this, on average, are cheaper to go through one by one than counted."""


class NumberAggregate:
    """Statistics of values within plus or minus `MAGNITUDE`. Whatever is asked of it is up to date.

    An aggregate that an older version of this program began has no spread and no distribution, for these are not known
    of all its values.
    """

    __slots__ = ("_are_few", "_counts", "_moments", "_pending", "_sketch")

    def __init__(self, moments: Moments = Moments(), sketch: QuantileSketch | None = None) -> None:  # noqa: B008
        self._moments = moments
        self._sketch = QuantileSketch() if sketch is None else sketch
        self._pending: list[float] = []
        self._counts: Counter[float] = Counter()
        self._are_few = True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NumberAggregate):
            return NotImplemented
        return self.moments == other.moments and self.sketch == other.sketch

    __hash__ = None  # type: ignore[assignment]

    @property
    def moments(self) -> Moments:
        """Count, mean and spread."""
        self._settle()
        return self._moments

    @property
    def sketch(self) -> QuantileSketch:
        """The distribution."""
        self._settle()
        return self._sketch

    @property
    def count(self) -> int:
        """How many profiles have the trait."""
        return self.moments.count

    @property
    def mean(self) -> float | None:
        """The mean over the profiles that have the trait; None if none has."""
        return self.moments.mean

    @property
    def std(self) -> float | None:
        """The standard deviation (n − 1) over the profiles that have the trait; None if fewer than two have."""
        return self.moments.std if self._is_described else None

    def quantile(self, share: float) -> float | None:
        """The value at a share (0 to 1) of the profiles that have the trait, as in `QuantileSketch`; None of none."""
        return self.sketch.quantile(share) if self._is_described else None

    def bounds_at(self, rank: int) -> tuple[float, float]:
        """Between which the value at a rank from 0 is, in ascending order; the same twice where it is known exactly."""
        mean = self.mean
        if mean is not None and self.sketch.are_exact(mean):
            value = self.sketch.value_at(rank)
            return value, value
        return self.sketch.bounds_at(rank)

    def with_zeros(self, count: int) -> "NumberAggregate":
        """A new aggregate that counts `count` times 0 as well."""
        result = NumberAggregate(Moments.zeros(count), QuantileSketch(buckets={0: count} if count else None))
        result.merge(self)
        return result

    def add(self, values: Iterable[float]) -> None:
        """Count one value for each of as many profiles."""
        self._pending += values
        if len(self._pending) >= PENDING:
            self._take_up()

    def merge(self, other: "NumberAggregate") -> None:
        """Add everything that `other` has counted."""
        self._moments = self.moments + other.moments
        self._sketch.merge(other.sketch)

    def as_json(self) -> dict[str, object]:
        moments = self.moments
        return {
            "count": moments.count,
            "sum": moments.parts,
            "squares": moments.squares,
            "sketch": self.sketch.as_json(),
        }

    @classmethod
    def from_json(cls, value: object) -> "NumberAggregate":
        """The reverse of `as_json`. Raises ValueError if this is not what `as_json` can have written."""
        raw_count, raw_parts, raw_squares, raw_sketch = serialization.fields(value, "count", "sum", "squares", "sketch")
        count, parts = serialization.count(raw_count), serialization.floats(raw_parts)
        [squares] = serialization.floats([raw_squares])
        # The bound comes first: beyond it the sum could overflow.
        if any(abs(part) > MAGNITUDE * count for part in parts) or parts != exact_sum(parts):
            raise ValueError("not a sum of that many values")
        if not 0 <= squares <= 4 * MAGNITUDE**2 * count:
            raise ValueError("not a spread of that many values")
        return cls(Moments(count, tuple(parts), squares), QuantileSketch.from_json(raw_sketch))

    @property
    def _is_described(self) -> bool:
        return self.sketch.count == self._moments.count

    def _take_up(self) -> None:
        """Counts the values that are pending: those that are there again and again in the cheaper way."""
        if self._are_few:
            self._counts.update(self._pending)
            self._are_few = len(self._counts) <= FEW
        else:
            self._moments += Moments.of(self._pending)
            self._sketch.add(self._pending)
        self._pending = []

    def _settle(self) -> None:
        """Brings moments and sketch up to date."""
        if self._pending:
            self._take_up()
        counts = self._counts
        if not counts:
            return
        if OFTEN * len(counts) > max(FEW, counts.total()):
            values = list(counts.elements())
            self._moments += Moments.of(values)
            self._sketch.add(values)
        else:
            self._moments += Moments.of_counts(counts)
            self._sketch.add_counts(counts)
        counts.clear()
