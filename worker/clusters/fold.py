"""Folding: counting one page of profiles into a running aggregate.

Works by column, one trait of all profiles at a time, which on a page of 200 is faster than profile by
profile. It is total: whatever JSON value an entry or a trait is, it is counted as usable, missing or an error
and nothing raises, so that an aggregate is never left with half a page.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TypeVar, cast

from worker.clusters.aggregate import Aggregate
from worker.clusters.rules import RECIPE, Rules
from worker.clusters.values import Parsed, Traits, category_column, number_column, read_trait

T = TypeVar("T")


def fold(aggregate: Aggregate, profiles: Sequence[object], rules: Rules = RECIPE) -> None:
    """Count `profiles`, one page as parsed from JSON, into `aggregate`."""
    traits = _traits(aggregate, profiles)
    numbers: list[Parsed[float]] = []
    categories: list[Parsed[str]] = []
    for number in rules.numbers:
        parse = partial(number_column, lowest=number.lowest, highest=number.highest)
        column = read_trait(traits, number.keys, parse)
        numbers.append(column)
        _count_errors(aggregate, number.name, len(column.wrong))
    for category in rules.categories:
        words = read_trait(traits, category.keys, category_column)
        categories.append(words)
        _count_errors(aggregate, category.name, len(words.wrong))

    for key, rows in _rows_by_cluster(aggregate, numbers, rules).items():
        cluster = aggregate.cluster(key)
        cluster.n += len(rows)
        for number, column in zip(rules.numbers, numbers, strict=True):
            cluster.number(number.name).add(_present(column, rows))
        for category, words in zip(rules.categories, categories, strict=True):
            cluster.category(category.name).add(_present(words, rows))


def _traits(aggregate: Aggregate, profiles: Sequence[object]) -> list[Traits]:
    """The traits of every entry that is an object, empty if it has none; counts the entries on the way."""
    objects = [profile for profile in profiles if type(profile) is dict]
    aggregate.profiles += len(objects)
    aggregate.profile_errors += len(profiles) - len(objects)
    traits: list[object] = [profile.get("traits") for profile in objects]
    if set(map(type, traits)) == {dict}:
        return cast(list[Traits], traits)
    wrong = sum(1 for value in traits if value is not None and not isinstance(value, dict))
    _count_errors(aggregate, "traits", wrong)
    return [value if isinstance(value, dict) else {} for value in traits]


def _count_errors(aggregate: Aggregate, trait: str, errors: int) -> None:
    if errors:
        aggregate.trait_errors[trait] += errors


def _rows_by_cluster(aggregate: Aggregate, columns: list[Parsed[float]], rules: Rules) -> dict[str, list[int]]:
    """The rows of each cluster that has any; counts those that have no number at all as unclassified."""
    filled = [
        [trait.assumed if value is None else value for value in column.values] if column.gaps else column.values
        for trait, column in zip(rules.numbers, columns, strict=True)
    ]
    keys: list[str | None] = list(map(rules.classify, *filled))
    if all(column.gaps for column in columns):
        for row in _without_number(columns, len(keys)):
            keys[row] = None
    rows: defaultdict[str | None, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        rows[key].append(row)
    aggregate.unclassified += len(rows.pop(None, ()))
    return cast(dict[str, list[int]], rows)


def _without_number(columns: list[Parsed[float]], length: int) -> Iterable[int]:
    """The rows in which every column has a gap."""
    rows: Iterable[int] = range(length)
    for column in columns:
        values = column.values
        rows = [row for row in rows if values[row] is None]
    return rows


def _present(column: Parsed[T], rows: list[int]) -> list[T]:
    """The usable values of a column in these rows."""
    values = column.values
    if column.gaps:
        return [value for row in rows if (value := values[row]) is not None]
    complete = cast(list[T], values)
    return [complete[row] for row in rows]
