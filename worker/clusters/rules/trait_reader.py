"""Readers of traits: from the traits of a page to a column of values, by type, bounds and age."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from worker.clusters.parsing.dates import date_column, parse_date
from worker.clusters.parsing.value_parsers import (
    ParsedColumn,
    Traits,
    boolean_column,
    category_column,
    intern_key,
    list_column,
    number_column,
    read_trait_column,
)
from worker.clusters.parsing.words import ANY_WORD, Vocabulary
from worker.clusters.rules.trait import Trait, TraitType

Parse = Callable[[list[object]], ParsedColumn[Any]]


@dataclass(frozen=True, slots=True)
class TraitReader:
    """Reads one trait of every profile of a page.

    Attributes:
        name: Name of the trait.
        type: Type of the trait.
        read: Returns the column of all profiles.
        unusable: Returns the value that causes the trait error of a profile.
    """

    name: str
    type: TraitType
    read: Callable[[list[Traits]], ParsedColumn[Any]]
    unusable: Callable[[Traits], object]


def make_trait_reader(trait: Trait, as_of: float, vocabulary: Vocabulary = ANY_WORD) -> TraitReader:
    """Makes the reader of a trait.

    Args:
        trait: The trait.
        as_of: When the sync began, in Unix seconds.
        vocabulary: The words that the rules name, see `Rules.vocabulary`.
    """
    now = datetime.fromtimestamp(as_of, UTC)
    clean = _parser(trait, now, vocabulary)
    # For a date its own age counts, not the time when it was set.
    oldest = None if trait.type == "date" else trait.max_age_days

    def parse(raw: list[object]) -> ParsedColumn[Any]:
        column = clean(raw)
        # Wrapped values show up as errors, so that columns without errors need not be searched.
        if column.wrong and any(map(_is_wrapped, raw)):
            return clean([_unwrapped(value, now, oldest) for value in raw])
        return column

    def unusable(traits: Traits) -> object:
        # The last value that is present need not be read, because one of them is the error.
        *others, value = [value for value in map(traits.get, keys) if value is not None and value != ""] or [None]
        value = next((other for other in others if parse([other]).wrong), value)
        return value["value"] if isinstance(value, dict) and _is_wrapped(value) else value

    keys = tuple(map(intern_key, trait.keys))
    return TraitReader(trait.name, trait.type, lambda profiles: read_trait_column(profiles, keys, parse), unusable)


def _parser(trait: Trait, now: datetime, vocabulary: Vocabulary) -> Parse:
    if trait.type == "number":
        return partial(number_column, lowest=trait.lowest, highest=trait.highest)
    if trait.type == "date":
        return partial(date_column, as_of=now, max_age_days=trait.max_age_days)
    if trait.type == "boolean":
        return boolean_column
    return partial(list_column if trait.type == "list" else category_column, vocabulary=vocabulary)


def _is_wrapped(value: object) -> bool:
    """Returns whether a value is wrapped with the time when it was set, as Segment does with `verbose`."""
    return isinstance(value, dict) and "value" in value and "updated_at" in value


def _unwrapped(value: object, now: datetime, max_age_days: float | None) -> object:
    """Returns the value inside a wrapped one, or None if it was set too long ago. Values of unknown age are kept."""
    if not isinstance(value, dict) or not _is_wrapped(value):
        return value
    if max_age_days is not None:
        updated_at = parse_date(value["updated_at"])
        if updated_at is not None and (now - updated_at).total_seconds() > max_age_days * 86_400:
            return None
    return value["value"]
