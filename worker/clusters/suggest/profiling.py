"""Profiling of a sample: the type, coverage and distribution of each trait key.

The result contains no personal data: words only if several profiles share them, numbers and ages only as quantiles of
many values, and nothing but the key if its name or its values look personal.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pydantic import ValidationError

from worker.clusters.parsing.value_parsers import Traits
from worker.clusters.parsing.words import ANY_WORD
from worker.clusters.rules.trait import Trait, TraitType
from worker.clusters.rules.trait_reader import make_trait_reader
from worker.clusters.statistics.value_shape import most_frequent_shapes

MAX_KEYS = 1000
"""Most keys that are examined; the most frequent ones of more."""
SHARED_BY = 3
"""Fewest profiles that must share a word for it to be reported."""
QUANTILES_FROM = 30
"""Fewest values for which quantiles are reported."""
USABLE = 0.7
"""Smallest share of a key's values that must be usable as a type for the key to have that type."""

_DATES_FROM = 19_000_101
"""Numbers from here on may be dates: year, month and day in eight digits, or seconds since 1970."""
_IDS_FROM = 1e6

_TOO_MANY = "too many different values"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PERSONAL = re.compile(
    r"""email | mail | phone | mobile | telephone | fax | address | street | zip | postcode | postal | ip
      | birthday | birthdate | birth | dob | ssn | passport | iban | card | password | token | secret
      | avatar | photo | picture | username | nickname | surname | firstname | lastname | fullname
      | latitude | longitude | lat | lng""",
    re.VERBOSE,
)
_OF_A_PERSON = re.compile("first|last|full|given|family|middle|nick|user|display|contact|customer")
_ID = re.compile("ids?|uuid|guid|uid")


@dataclass(frozen=True, slots=True)
class TraitCandidate:
    """A trait key of the sample.

    Attributes:
        key: The key, as profiles have it.
        type: The type that its values can be read as; None if there is none.
        remark: Why there is none; empty otherwise.
        held: Number of profiles with a value.
        quantiles: The 10th, 25th, 50th, 75th and 90th percentile of numbers, and of dates as ages in days, to three
            digits; empty for too few values.
        words: The most frequent words of categories and lists with the number of profiles that have them; `true` for
            booleans.
        in_unit: Share of the numbers that are from 0 to 1.
        in_hundred: Share of the numbers that are from 0 to 100.
    """

    key: str
    type: TraitType | None
    remark: str
    held: int
    quantiles: tuple[float, ...] = ()
    words: tuple[tuple[str, int], ...] = ()
    in_unit: float = 0.0
    in_hundred: float = 0.0


@dataclass(frozen=True, slots=True)
class TraitSurvey:
    """The keys of a sample of `profiles` profiles, the most frequent first."""

    profiles: int
    keys: tuple[TraitCandidate, ...]


def survey_traits(entries: Sequence[object], *, as_of: float) -> TraitSurvey:
    """Examines profiles as parsed from JSON.

    Args:
        entries: The profiles, each an object with its `traits`; values that are not objects are left out.
        as_of: Unix seconds that ages of dates are relative to.
    """
    traits = [found for entry in entries if isinstance(entry, dict) and isinstance(found := entry.get("traits"), dict)]
    profiles = sum(isinstance(entry, dict) for entry in entries)
    held = Counter(chain.from_iterable(_held(one) for one in traits))
    ranked = sorted(held, key=lambda key: (-held[key], key))[:MAX_KEYS]
    return TraitSurvey(profiles, tuple(_look_at(key, held[key], traits, as_of) for key in ranked))


def split_key(key: str) -> list[str]:
    """Splits a key into words in lower case: `first`, `name` for `first_name` and `firstName`."""
    return [word.lower() for word in _WORD.findall(key)]


def _held(traits: Traits) -> Iterable[str]:
    return (key for key, value in traits.items() if not ANY_WORD.is_missing(value))


def _look_at(key: str, held: int, traits: list[Traits], as_of: float) -> TraitCandidate:
    words = split_key(key)
    if not words:
        return TraitCandidate(key, None, "its name has no Latin letters, so it may be personal", held)
    if _is_personal(words):
        return TraitCandidate(key, None, "personal, by its name", held)
    if not key.isprintable() or not _is_key(key):
        return TraitCandidate(key, None, "its name is too long or has characters that cannot be requested", held)
    page = [one for one in traits if not ANY_WORD.is_missing(one.get(key))]
    for kind, find in _FINDERS.items():
        values = _read(key, kind, page, as_of)
        if len(values) >= USABLE * held:
            return find(key, held, values, page, as_of)
    if all(isinstance(one.get(key), str) for one in page):
        return TraitCandidate(key, None, "personal or too long, by its values", held)
    like = most_frequent_shapes(one.get(key) for one in page)
    remark = "of no type that can be read, or of several"
    return TraitCandidate(key, None, f"{remark}: like {' and '.join(like)}" if like else remark, held)


def _read(key: str, kind: TraitType, page: list[Traits], as_of: float) -> list[Any]:
    """Returns the values of a key that are usable as a type."""
    column = make_trait_reader(Trait(name="any", keys=(key,), type=kind), as_of).read(page)
    return [value for value in column.values if value is not None]


def _number(key: str, held: int, values: list[float], page: list[Traits], as_of: float) -> TraitCandidate:
    ordered = sorted(values)
    if ordered[len(ordered) // 10] >= _DATES_FROM:
        ages = _read(key, "date", page, as_of)
        if len(ages) >= USABLE * held:
            return _date(key, held, ages, page, as_of)
    whole = all(value == int(value) for value in values)
    if whole and ordered[len(ordered) // 2] >= _IDS_FROM and len(set(values)) > 0.9 * len(values):
        return TraitCandidate(key, None, "personal, by its values: whole numbers, each in one profile", held)
    in_unit, in_hundred = (sum(0 <= value <= bound for value in values) / len(values) for bound in (1, 100))
    return TraitCandidate(key, "number", "", held, _quantiles(ordered), in_unit=in_unit, in_hundred=in_hundred)


def _boolean(key: str, held: int, values: list[bool], _page: list[Traits], _as_of: float) -> TraitCandidate:
    return TraitCandidate(key, "boolean", "", held, words=(("true", sum(values)),))


def _date(key: str, held: int, values: list[float], _page: list[Traits], _as_of: float) -> TraitCandidate:
    return TraitCandidate(key, "date", "", held, _quantiles(sorted(values)))


def _list(key: str, held: int, values: list[tuple[str, ...]], _page: list[Traits], _as_of: float) -> TraitCandidate:
    words = _most_frequent(chain.from_iterable(values))
    if not words:
        return TraitCandidate(key, None, _TOO_MANY, held)
    return TraitCandidate(key, "list", "", held, words=words)


def _category(key: str, held: int, values: list[str], _page: list[Traits], _as_of: float) -> TraitCandidate:
    words = _most_frequent(values)
    if sum(count for _, count in words) < len(values) / 4:
        return TraitCandidate(key, None, _TOO_MANY, held)
    return TraitCandidate(key, "category", "", held, words=words)


_FINDERS: Mapping[TraitType, Callable[[str, int, list[Any], list[Traits], float], TraitCandidate]] = {
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "list": _list,
    "category": _category,
}
"""The order in which types are tried."""


def _quantiles(ordered: Sequence[float]) -> tuple[float, ...]:
    n = len(ordered)
    if n < QUANTILES_FROM:
        return ()
    return tuple(float(f"{ordered[int(share * (n - 1))]:.3g}") for share in (0.1, 0.25, 0.5, 0.75, 0.9))


def _most_frequent(words: Iterable[str]) -> tuple[tuple[str, int], ...]:
    counted = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))[:5]
    return tuple((word, count) for word, count in counted if count >= SHARED_BY)


def _is_personal(words: list[str]) -> bool:
    if any(map(_PERSONAL.fullmatch, words)) or _ID.fullmatch(words[-1]):
        return True
    return words[-1] == "name" and (len(words) == 1 or any(map(_OF_A_PERSON.fullmatch, words)))


def _is_key(key: str) -> bool:
    try:
        Trait(name="any", keys=(key,), type="number")
    except ValidationError:
        return False
    return True
