"""Folding: counting one page of profiles into a running aggregate.

Works by column, one trait of all profiles at a time, which on a page of 200 is faster than profile by
profile. It is total: whatever JSON value an entry or a trait is, it is counted as usable, missing or an error
and nothing raises, so that an aggregate is never left with half a page.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from worker.clusters.aggregate import Aggregate
from worker.clusters.rules import Rules
from worker.clusters.shipped import RECIPE
from worker.clusters.values import Parsed, Traits, category_column, number_column, read_trait

T = TypeVar("T")


def fold(aggregate: Aggregate, profiles: Sequence[object], rules: Rules = RECIPE) -> None:
    """Count `profiles`, one page as parsed from JSON, into `aggregate`."""
    traits = _traits(aggregate, profiles)
    numbers: dict[str, Parsed[float]] = {}
    categories: dict[str, Parsed[str]] = {}
    for trait in rules.traits:
        if trait.type == "number":
            parse = partial(number_column, lowest=trait.lowest, highest=trait.highest)
            numbers[trait.name] = read_trait(traits, trait.keys, parse)
            _count_errors(aggregate, trait.name, len(numbers[trait.name].wrong))
        elif trait.type == "category":
            categories[trait.name] = read_trait(traits, trait.keys, category_column)
            _count_errors(aggregate, trait.name, len(categories[trait.name].wrong))

    for key, rows in _rows_by_cluster(aggregate, {**numbers, **categories}, rules).items():
        cluster = aggregate.cluster(key)
        cluster.n += len(rows)
        for name, column in numbers.items():
            cluster.number(name).add(_present(column, rows))
        for name, words in categories.items():
            cluster.category(name).add(_present(words, rows))


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


def _rows_by_cluster(aggregate: Aggregate, columns: Mapping[str, Parsed[Any]], rules: Rules) -> dict[str, list[int]]:
    """The rows of each cluster that has any; counts those that are in none as unclassified."""
    deciding = [columns[name].values for name in rules.compiled.deciding]
    rows: defaultdict[int, list[int]] = defaultdict(list)
    for row, index in enumerate(map(rules.compiled.classify, *deciding)):
        rows[index].append(row)
    aggregate.unclassified += len(rows.pop(-1, ()))
    return {rules.cluster_keys[index]: members for index, members in rows.items()}


def _present(column: Parsed[T], rows: list[int]) -> list[T]:
    """The usable values of a column in these rows."""
    values = column.values
    if column.gaps:
        return [value for row in rows if (value := values[row]) is not None]
    complete = cast(list[T], values)
    return [complete[row] for row in rows]
