"""Parsers of trait values: which values are usable, missing or errors.

Absent, null and the empty string are *missing*. Any other value that is not usable is missing, too, and a *trait
error*. Parsers work on columns, one value of a trait for every profile of a page, because a few passes at C speed
recognise a clean column, which is the usual case. Nothing here raises on any JSON value.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import hypot
from operator import eq, itemgetter
from string import whitespace
from types import NoneType
from typing import Generic, TypeVar, cast

import orjson

from worker.clusters.parsing.words import ANY_WORD, Vocabulary

MAGNITUDE = 1e15
"""Numbers beyond plus or minus this are trait errors. Floats represent every integer within it exactly."""

# Alternatives that cannot match the same digits twice keep the time linear for a megabyte of digits.
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NUMBERS = frozenset({int, float, NoneType})
_BOOLEANS = frozenset({bool, NoneType})
_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0", "0.0"), False),
}
_LONGEST_BOOLEAN = 100
LONGEST_LIST = 64 * 1024
"""Most characters of a list that is read from JSON text."""

T = TypeVar("T")
Traits = dict[str, object]


@dataclass(frozen=True, slots=True)
class ParsedColumn(Generic[T]):
    """A column after parsing.

    Attributes:
        values: The usable values, None for each row without one.
        wrong: Rows of trait errors.
        gaps: Whether any value is None.
    """

    values: list[T | None]
    wrong: Sequence[int]
    gaps: bool


def parse_number(value: object, lowest: float, highest: float) -> float | None:
    """Parses a number from `lowest` to `highest`; None if the value is not usable.

    Usable are ints, floats and strings with a plain ASCII decimal such as "-12.50", "+3", ".5" or "1e3", with optional
    ASCII white space around it. Booleans are not numbers.
    """
    if type(value) is str:
        text = value.strip(whitespace)
        if not _DECIMAL.fullmatch(text):
            return None
        number: float = float(text)
    elif type(value) is float or type(value) is int:
        number = value
    else:
        return None
    # Python compares an int of any size exactly, and every comparison with NaN is false.
    return number if lowest <= number <= highest else None


def parse_category(value: object, vocabulary: Vocabulary = ANY_WORD) -> str | None:
    """Parses a category into its normal form; None if it is missing or not usable, see `Vocabulary`."""
    return vocabulary.parse(value) if isinstance(value, str) else None


def parse_boolean(value: object) -> bool | None:
    """Parses a boolean; None if the value is not usable.

    Usable are booleans, the numbers 1 and 0, also as text, and, in upper or lower case, the words true and false, t and
    f, yes and no, y and n, on and off.
    """
    if isinstance(value, str):
        return _WORDS.get(value.strip(whitespace).lower()) if len(value) < _LONGEST_BOOLEAN else None
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    return None


def parse_list(value: object, vocabulary: Vocabulary = ANY_WORD) -> tuple[tuple[str, ...] | None, bool]:
    """Parses a list of categories, also one that is written as JSON text.

    Returns:
        The distinct usable categories in their order (None if the value is not a list; an empty list is a value), and
        whether everything in the value is usable or missing.
    """
    if isinstance(value, str):
        members = _list_in_text(value)
        if members is None:
            return None, vocabulary.is_missing(value)
    elif isinstance(value, list):
        members = value
    else:
        return None, value is None
    words = {member: vocabulary.parse(member) for member in members if isinstance(member, str)}
    usable = tuple(dict.fromkeys(word for word in words.values() if word is not None))
    # The test for missing members is the more expensive one.
    return usable, all(
        (isinstance(member, str) and words[member] is not None) or vocabulary.is_missing(member) for member in members
    )


def number_column(raw: list[object], lowest: float, highest: float) -> ParsedColumn[float]:
    """Parses a column as `parse_number` does. A blank string such as " " is a trait error."""
    kinds = set(map(type, raw))
    if kinds <= _NUMBERS:
        numbers = cast(list[float | None], raw)
        gaps = NoneType in kinds
        present = [value for value in numbers if value is not None] if gaps else cast(list[float], raw)
        if _all_within(present, lowest, highest):
            return ParsedColumn(numbers, (), gaps)
    values = [parse_number(value, lowest, highest) for value in raw]
    wrong = [row for row, value in enumerate(values) if value is None and not _is_missing(raw[row])]
    return ParsedColumn(values, wrong, None in values)


def category_column(raw: list[object], vocabulary: Vocabulary = ANY_WORD) -> ParsedColumn[str]:
    """Parses a column as `parse_category` does. Blank strings and placeholders are missing."""
    try:
        distinct = set(raw)
    except TypeError:  # a list or an object among them
        values = [parse_category(value, vocabulary) for value in raw]
    else:
        # A page holds few distinct categories, and each needs to be cleaned only once. That 1 and True are
        # the same member of a set does not matter, because neither is a category.
        parse = vocabulary.parse
        cleaned = {value: parse(value) if isinstance(value, str) else None for value in distinct}
        clean = all(map(eq, cleaned, cleaned.values()))
        values = cast(list[str | None], raw) if clean else [cleaned[value] for value in raw]
        unused = [value for value, text in cleaned.items() if text is None]
        if all(map(vocabulary.is_missing, unused)):
            return ParsedColumn(values, (), bool(unused))
    wrong = [row for row, value in enumerate(values) if value is None and not vocabulary.is_missing(raw[row])]
    return ParsedColumn(values, wrong, None in values)


def boolean_column(raw: list[object]) -> ParsedColumn[bool]:
    """Parses a column as `parse_boolean` does. Blank strings are missing."""
    kinds = set(map(type, raw))
    if kinds <= _BOOLEANS:
        return ParsedColumn(cast(list[bool | None], raw), (), NoneType in kinds)
    values = [parse_boolean(value) for value in raw]
    wrong = [row for row, value in enumerate(values) if value is None and not is_blank(raw[row])]
    return ParsedColumn(values, wrong, None in values)


def list_column(raw: list[object], vocabulary: Vocabulary = ANY_WORD) -> ParsedColumn[tuple[str, ...]]:
    """Parses a column as `parse_list` does. Blank strings and placeholders are missing."""
    parsed = [parse_list(value, vocabulary) for value in raw]
    wrong = [row for row, (_, usable) in enumerate(parsed) if not usable]
    values = [value for value, _ in parsed]
    return ParsedColumn(values, wrong, None in values)


def read_trait_column(
    profiles: list[Traits], keys: tuple[str, ...], parse: Callable[[list[object]], ParsedColumn[T]]
) -> ParsedColumn[T]:
    """Reads one trait of every profile, each from the first of `keys` with a usable value.

    A profile has at most one error for a trait: if any key up to the usable one holds a value that is not usable. Later
    keys are not read.
    """
    column = parse(_raw_column(profiles, keys[0]))
    if not column.gaps or len(keys) == 1:
        return column
    values = list(column.values)
    wrong = set(column.wrong)
    for key in keys[1:]:
        rows = [row for row, value in enumerate(values) if value is None]
        found = parse([profiles[row].get(key) for row in rows])
        for row, value in zip(rows, found.values, strict=True):
            values[row] = value
        wrong.update(rows[row] for row in found.wrong)
    return ParsedColumn(values, sorted(wrong), None in values)


def intern_key(key: str) -> str:
    """Returns the string object that the JSON parser caches for a key. Looking it up is faster than an equal string."""
    [same] = orjson.loads(orjson.dumps({key: None}))
    return cast(str, same)


def _raw_column(profiles: list[Traits], key: str) -> list[object]:
    try:
        return list(map(itemgetter(key), profiles))
    except KeyError:
        return [traits.get(key) for traits in profiles]


def _all_within(numbers: list[float], lowest: float, highest: float) -> bool:
    with suppress(OverflowError):  # an integer that is too large for a float
        # One pass decides most columns: no component of a vector is longer than the vector, and its length is NaN if a
        # component is.
        if lowest == -highest and hypot(*numbers) <= highest:
            return True
    if not (numbers and lowest <= min(numbers) and max(numbers) <= highest):
        return not numbers
    # min and max miss NaN unless it comes first. All others are small here, so the sum is NaN only if one of them is.
    total = sum(numbers)
    return total == total


def _list_in_text(text: str) -> list[object] | None:
    """Returns the list that a string contains as JSON; None if it does not contain one."""
    if len(text) > LONGEST_LIST or not (text.startswith("[", len(text) - len(text.lstrip())) and "]" in text):
        return None
    try:
        found = orjson.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _is_missing(value: object) -> bool:
    return value is None or value == ""


def is_blank(value: object) -> bool:
    """Returns whether a value is None, or a text that is empty or white space only."""
    return value is None or (isinstance(value, str) and not value.strip())
