"""Sums of floats without rounding, kept as a short list of floats.

A sum is written as its *parts*: the float nearest to it, then the float nearest to what is left, and so on
until nothing is left. `math.fsum` rounds correctly, so the parts depend on the exact sum alone and not on
the order or the grouping of its terms: however a space is cut into pages, and in whatever order these
arrive, the parts, and with them every mean, are the same to the last bit. Relies on terms that are finite
and far from the largest float.
"""

from collections.abc import Iterable
from fractions import Fraction
from math import fsum


def exact_sum(terms: Iterable[float]) -> list[float]:
    """The exact sum of `terms` as canonical parts, largest first; the empty list is 0 (of either sign).

    To add to a sum, pass its parts among the terms. For terms of similar size two or three parts suffice;
    there are never more than about 25, because each carries 53 further bits of what the float format can
    express.
    """
    rest = list(terms)
    parts: list[float] = []
    while part := fsum(rest):
        parts.append(part)
        rest.append(-part)
    return parts


def exact_mean(parts: list[float], count: int) -> float | None:
    """The mean of `count` values whose sum has these parts; None if there are no values.

    Divided exactly and rounded once, so that the mean of equal values is that value. Rounding the sum first
    would make the mean of twenty times 0.22 0.22000000000000003.
    """
    return float(sum(map(Fraction, parts), Fraction()) / count) if count else None
