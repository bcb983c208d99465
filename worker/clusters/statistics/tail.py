"""How skewed a population may be of which a sample is known: more than the sample, for that lacks the rarest values.

A sample that has missed the few largest values looks symmetrical, and its mean is off. So its outermost values on
either side are taken for the beginning of a Pareto tail, with the index of B. M. Hill ("A simple general approach to
inference about the tail of a distribution", 1975) of their distances from the median; and the skewness is that of a
population whose tail goes on so. With an index of a third or more it is without a bound.

As many values make the tail as a group of equals must have in a sample for its mean to be sound: a share p that differs
from the rest has a skewness of about 1/√p, and 25 times its square are in a sample of which p is 25. What is rarer than
one in the sample is not seen by this either.
"""

from collections.abc import Iterable, Sequence
from math import inf, log, sqrt

from worker.clusters.statistics.ranks import at_rank

TAIL = 20
"""Values of a tail. Fewer tell its index badly; more are not all of the tail, in samples of a few hundred."""


def tail_skewness(values: Sequence[tuple[float, int]]) -> float:
    """At least the absolute skewness of the values; infinite if it cannot be told, or there are not three times `TAIL`.

    values: in ascending order, each with how many times it is there.
    """
    count = sum(n for _, n in values)
    if count < 3 * TAIL:
        return inf
    mean = sum(n * value for value, n in values) / count
    squares = sum(n * (value - mean) ** 2 for value, n in values)
    if not squares:
        return 0.0
    median = (at_rank(values, (count - 1) // 2) + at_rank(values, count // 2)) / 2
    unit = squares * sqrt(squares / count)
    upwards = [(value - median, n) for value, n in values]
    downwards = [(-distance, n) for distance, n in reversed(upwards)]
    offset = mean - median
    return max(
        abs(_cubes(upwards, offset)) / unit,
        _cubes_with_tail(upwards, offset) / unit,
        _cubes_with_tail(downwards, -offset) / unit,
    )


def _cubes_with_tail(values: Sequence[tuple[float, int]], mean: float) -> float:
    """The third powers of the distances from the mean, summed; the largest values stand for a Pareto tail.

    values: as distances from the median.
    """
    body, top = _parted(values)
    threshold, largest = body[-1][0], top[-1][0]
    if largest <= 0:
        return _cubes(values, mean)
    if threshold <= 0:
        return inf
    index = sum(n * log(value / threshold) for value, n in top) / TAIL
    if index >= 1 / 3:
        return inf
    # The first three moments of a Pareto distribution that begins at the threshold.
    first, second, third = (threshold**power / (1 - power * index) for power in (1, 2, 3))
    return _cubes(body, mean) + TAIL * (third - 3 * mean * second + 3 * mean**2 * first - mean**3)


def _parted(values: Sequence[tuple[float, int]]) -> tuple[list[tuple[float, int]], list[tuple[float, int]]]:
    """All but the `TAIL` largest values, and those; either in ascending order."""
    body, top, missing = list(values), [], TAIL
    while missing:
        value, n = body.pop()
        taken = min(n, missing)
        missing -= taken
        top.append((value, taken))
        if n > taken:
            body.append((value, n - taken))
    return body, top[::-1]


def _cubes(values: Iterable[tuple[float, int]], mean: float) -> float:
    return sum(n * (value - mean) ** 3 for value, n in values)
