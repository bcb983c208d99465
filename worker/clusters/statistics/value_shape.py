"""The shape of a value that cannot be used: how it is written, and nothing of what it says.

A letter becomes `a` or `A`, a digit `9`: `"1.203,50"` has the shape `"9.999,99"`, and so have many other values. What a
few profiles have is not shown even as a shape, see `CategoryAggregate`.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from math import isfinite

from worker.clusters.statistics.category import CategoryAggregate

SHOWN = 2
"""Shapes that are shown for each trait, the most frequent ones."""

_LONGEST_TEXT = 60
_LONGEST_SHAPE = 32
_RUN = re.compile(r"(.)\1{4,}")
_KEPT_KINDS = frozenset({"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sc", "Sm", "Sk"})
_BIGGEST = 1e15


def shape(value: object) -> str:
    """The shape of a value; text is in quotes. Runs of more than four equal signs are cut, and so is a long shape."""
    if isinstance(value, str):
        return '"{}"'.format(_shape_of_text(value).replace('"', "'"))
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        if not (isfinite(value) if isinstance(value, float) else True) or abs(value) > _BIGGEST:
            return "number"
        return _shape_of_text(f"{value:.6f}".rstrip("0").rstrip("."))
    return "list" if isinstance(value, list) else "object" if isinstance(value, dict) else "null"


def most_frequent_shapes(values: Iterable[object]) -> tuple[str, ...]:
    """The most frequent shapes that several of these values have."""
    counted = CategoryAggregate()
    counted.add(list(map(shape, values)))
    return tuple(one for one, _ in counted.most_frequent(SHOWN))


def shown_shapes(shapes: Mapping[str, CategoryAggregate]) -> dict[str, dict[str, int]]:
    """By trait, the most frequent shapes of its unusable values, and how many profiles have each."""
    found = {trait: dict(counted.most_frequent(SHOWN)) for trait, counted in sorted(shapes.items())}
    return {trait: counts for trait, counts in found.items() if counts}


def _shape_of_text(text: str) -> str:
    signs = text[:_LONGEST_TEXT].translate(_SIGNS)
    short = _RUN.sub(lambda run: f"{run[1] * 4}…", signs)
    return short if len(short) <= _LONGEST_SHAPE and len(text) <= _LONGEST_TEXT else f"{short[: _LONGEST_SHAPE - 1]}…"


def _sign(char: str) -> str:
    if char.isnumeric():
        return "9"
    if char.isalpha():
        return "A" if char.isupper() or char.istitle() else "a"
    if char.isspace():
        return " "
    return char if unicodedata.category(char) in _KEPT_KINDS else "*"


class _Signs(dict[int, str]):
    def __missing__(self, code: int) -> str:
        return _sign(chr(code))


_SIGNS = _Signs({code: _sign(chr(code)) for code in range(0x250)})
"""What each character becomes, as `str.translate` takes it; those of Latin letters are known beforehand."""
