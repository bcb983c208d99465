"""Sums of floats without rounding, kept as a short list of floats.

A sum is written as its *parts*: the float nearest to it, then the float nearest to what is left, and so on
until nothing is left. `math.fsum` rounds correctly, so the parts depend on the exact sum alone and not on
the order or the grouping of its terms: however a space is cut into pages, and in whatever order these
arrive, the parts, and with them every mean, are the same to the last bit. Relies on terms that are finite
and far from the largest float.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import fsum


def exact_sum(terms: Iterable[float]) -> list[float]:
    """The exact sum of `terms` as canonical parts, largest first; the empty list is 0 (of either sign).

    To add to a sum, pass its parts among the terms. For terms of similar size two or three parts suffice;
    there are never more than about 25, because each carries 53 further bits of what the float format can
    express.
    """
    rest = list(terms)
    # Plain addition is fast and nearly right. What it leaves over takes fewer passes to sum exactly.
    nearly = float(sum(rest))
    rest.append(-nearly)
    return _parts([nearly, *_parts(rest)])


def exact_weighted_sum(counts: Mapping[float, int]) -> list[float]:
    """The exact sum of terms of which each is there as many times as `counts` says, as `exact_sum` has it."""
    numerators: defaultdict[int, int] = defaultdict(int)
    for term, n in counts.items():
        numerator, denominator = term.as_integer_ratio()
        numerators[denominator] += n * numerator
    rest = sum((Fraction(*ratio) for ratio in zip(numerators.values(), numerators, strict=True)), Fraction())
    parts: list[float] = []
    while part := float(rest):
        parts.append(part)
        rest -= Fraction(part)
    return parts


def exact_mean(parts: Sequence[float], count: int) -> Fraction | None:
    """The mean of `count` values whose sum has these parts; None if there are no values.

    Whoever makes a float of it rounds once, so that the mean of equal values is that value. Rounding the sum first
    would make the mean of twenty times 0.22 0.22000000000000003.
    """
    return sum(map(Fraction, parts), Fraction()) / count if count else None


def _parts(rest: list[float]) -> list[float]:
    parts: list[float] = []
    while part := fsum(rest):
        parts.append(part)
        rest.append(-part)
    return parts
