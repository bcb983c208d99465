"""The shape of a value that cannot be used: its form without its content.

A letter becomes `a` or `A`, a digit `9`: `"1.203,50"` has the shape `"9.999,99"`, as many other values do. Shapes that
only few profiles have are not shown, see `CategoryAggregate`.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from math import isfinite

from worker.clusters.statistics.category import CategoryAggregate

MAX_SHOWN = 2
"""Most shapes that are shown for each trait."""

_MAX_TEXT = 60
_MAX_SHAPE = 32
_RUN = re.compile(r"(.)\1{4,}")
_KEPT_KINDS = frozenset({"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sc", "Sm", "Sk"})
_MAX_NUMBER = 1e15


def value_shape(value: object) -> str:
    """Returns the shape of a value, of text in quotes. Long shapes and runs of more than four equal signs are cut."""
    if isinstance(value, str):
        return '"{}"'.format(_shape_of_text(value).replace('"', "'"))
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        if not (isfinite(value) if isinstance(value, float) else True) or abs(value) > _MAX_NUMBER:
            return "number"
        return _shape_of_text(f"{value:.6f}".rstrip("0").rstrip("."))
    return "list" if isinstance(value, list) else "object" if isinstance(value, dict) else "null"


def most_frequent_shapes(values: Iterable[object]) -> tuple[str, ...]:
    """Returns the most frequent shapes that several of these values have."""
    counted = CategoryAggregate()
    counted.add(list(map(value_shape, values)))
    return tuple(one for one, _ in counted.most_frequent(MAX_SHOWN))


def frequent_shapes_by_trait(shapes: Mapping[str, CategoryAggregate]) -> dict[str, dict[str, int]]:
    """Returns, by trait, the most frequent shapes of its unusable values and the number of profiles with each."""
    found = {trait: dict(counted.most_frequent(MAX_SHOWN)) for trait, counted in sorted(shapes.items())}
    return {trait: counts for trait, counts in found.items() if counts}


def _shape_of_text(text: str) -> str:
    signs = text[:_MAX_TEXT].translate(_SIGNS)
    short = _RUN.sub(lambda run: f"{run[1] * 4}…", signs)
    return short if len(short) <= _MAX_SHAPE and len(text) <= _MAX_TEXT else f"{short[: _MAX_SHAPE - 1]}…"


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
"""Translation table for `str.translate`, filled in advance for Latin letters."""
