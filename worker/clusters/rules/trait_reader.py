"""How a trait is read, from the traits of a page to a column of values: its type, its bounds, its age."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from worker.clusters.parsing.dates import date_column, parse_date
from worker.clusters.parsing.value_parsers import (
    Parsed,
    Traits,
    as_parsed,
    boolean_column,
    category_column,
    list_column,
    number_column,
    read_trait,
)
from worker.clusters.parsing.words import ANY_WORD, Vocabulary
from worker.clusters.rules.trait import Trait, TraitType

Parse = Callable[[list[object]], Parsed[Any]]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one trait of every profile of a page.

    Attributes:
        name: of the trait.
        type: of the trait.
        read: the column of all profiles.
        unusable: the value that is the trait error of a profile which has one.
    """

    name: str
    type: TraitType
    read: Callable[[list[Traits]], Parsed[Any]]
    unusable: Callable[[Traits], object]


def reader(trait: Trait, as_of: float, vocabulary: Vocabulary = ANY_WORD) -> Reader:
    """How a trait is read.

    Args:
        trait: the trait.
        as_of: when the sync began, Unix seconds.
        vocabulary: what the rules say about its words, see `Rules.vocabulary`.
    """
    now = datetime.fromtimestamp(as_of, UTC)
    clean = _parser(trait, now, vocabulary)
    # For a date its own age counts, and not when it was written down.
    oldest = None if trait.type == "date" else trait.max_age_days

    def parse(raw: list[object]) -> Parsed[Any]:
        column = clean(raw)
        # Columns that may hold wrapped values are told by their errors, so that others need not be searched.
        if column.wrong and any(map(_is_wrapped, raw)):
            return clean([_unwrapped(value, now, oldest) for value in raw])
        return column

    def unusable(traits: Traits) -> object:
        # The last one that is there need not be read, because one of them is the error.
        *others, value = [value for value in map(traits.get, keys) if value is not None and value != ""] or [None]
        value = next((other for other in others if parse([other]).wrong), value)
        return value["value"] if isinstance(value, dict) and _is_wrapped(value) else value

    keys = tuple(map(as_parsed, trait.keys))
    return Reader(trait.name, trait.type, lambda profiles: read_trait(profiles, keys, parse), unusable)


def _parser(trait: Trait, now: datetime, vocabulary: Vocabulary) -> Parse:
    if trait.type == "number":
        return partial(number_column, lowest=trait.lowest, highest=trait.highest)
    if trait.type == "date":
        return partial(date_column, as_of=now, max_age_days=trait.max_age_days)
    if trait.type == "boolean":
        return boolean_column
    return partial(list_column if trait.type == "list" else category_column, vocabulary=vocabulary)


def _is_wrapped(value: object) -> bool:
    """Whether this is how Segment writes a value that says when it was set (`verbose`)."""
    return isinstance(value, dict) and "value" in value and "updated_at" in value


def _unwrapped(value: object, now: datetime, max_age_days: float | None) -> object:
    """The value inside a wrapped one, None if it was set too long ago. Of unknown age it is kept."""
    if not isinstance(value, dict) or not _is_wrapped(value):
        return value
    if max_age_days is not None:
        updated_at = parse_date(value["updated_at"])
        if updated_at is not None and (now - updated_at).total_seconds() > max_age_days * 86_400:
            return None
    return value["value"]
