"""Folding: counting one page of profiles into a running aggregate.

A page is read by column, one trait of all profiles at a time, which is faster than profile by profile. Any JSON value
of an entry or a trait is counted as usable, missing or an error. Nothing raises, so an aggregate never holds half a
page.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import compress
from operator import itemgetter
from typing import Any, cast

from worker.clusters.parsing.value_parsers import ParsedColumn, Traits, intern_key
from worker.clusters.rules.builtin import RECIPE
from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait_reader import TraitReader, make_trait_reader
from worker.clusters.statistics.aggregate import Aggregate, ClusterAggregate
from worker.clusters.statistics.value_shape import value_shape


def fold(aggregate: Aggregate, profiles: Sequence[object], rules: Rules = RECIPE, *, as_of: float = 0.0) -> None:
    """Counts one page of profiles.

    Args:
        aggregate: What was counted so far; changed in place.
        profiles: The entries of the page, as parsed from JSON.
        rules: Which traits are read and which cluster a profile belongs to.
        as_of: When the sync began, in Unix seconds. Ages of dates are relative to it.
    """
    readers = _readers(rules, as_of)
    page = _filtered(aggregate, _traits(aggregate, profiles), rules, readers)
    columns: dict[str, ParsedColumn[Any]] = {}
    for name, trait in readers.items():
        column = columns[name] = trait.read(page)
        if column.wrong:
            aggregate.add_trait_errors(name, [value_shape(trait.unusable(page[row])) for row in column.wrong])

    deciding = [columns[name].values for name in rules.compiled.deciding]
    # One list for each cluster, and a last one, at index -1, for the profiles that are in none.
    rows: list[list[int]] = [[] for _ in range(len(rules.clusters) + 1)]
    for row, index in enumerate(map(rules.compiled.classify, *deciding)):
        rows[index].append(row)
    aggregate.unclassified += len(rows.pop())
    spans: list[tuple[ClusterAggregate, slice]] = []
    order: list[int] = []
    for key, members in zip(rules.cluster_keys, rows, strict=True):
        if members:
            cluster = aggregate.cluster(key)
            cluster.n += len(members)
            spans.append((cluster, slice(len(order), len(order) + len(members))))
            order += members
    pick = _picker(order)
    for name, column in columns.items():
        values = pick(column.values)
        kind = readers[name].type
        for cluster, span in spans:
            found = values[span]
            cluster.add(name, kind, [value for value in found if value is not None] if column.gaps else found)


@lru_cache(maxsize=8)
def _readers(rules: Rules, as_of: float) -> dict[str, TraitReader]:
    """Returns the reader of each trait by its name."""
    return {trait.name: make_trait_reader(trait, as_of, rules.vocabulary(trait.name)) for trait in rules.traits}


def _filtered(aggregate: Aggregate, page: list[Traits], rules: Rules, readers: dict[str, TraitReader]) -> list[Traits]:
    """Returns the profiles that the filter of the rules keeps, and counts the others."""
    keep = rules.compiled.keep
    if keep is None:
        return page
    columns = [readers[name].read(page).values for name in rules.compiled.filtering]
    kept = list(compress(page, map(keep, *columns)))
    aggregate.filtered += len(page) - len(kept)
    return kept


def _traits(aggregate: Aggregate, profiles: Sequence[object]) -> list[Traits]:
    """Returns the traits of every entry that is an object, and counts the entries. Without traits they are empty."""
    try:
        traits = list(map(_get_traits, cast(Sequence[Traits], profiles)))
    except (KeyError, TypeError):  # an entry without traits, or one that is not an object
        objects = [profile for profile in profiles if type(profile) is dict]
        aggregate.profile_errors += len(profiles) - len(objects)
        traits = [profile.get("traits") for profile in objects]
    aggregate.profiles += len(traits)
    if set(map(type, traits)) == {dict}:
        return cast(list[Traits], traits)
    wrong = sum(1 for value in traits if value is not None and not isinstance(value, dict))
    if wrong:
        aggregate.trait_errors["traits"] += wrong
    return [value if isinstance(value, dict) else {} for value in traits]


_get_traits = itemgetter(intern_key("traits"))


def _picker(rows: list[int]) -> Callable[[list[Any]], Sequence[Any]]:
    """Returns a function that takes these rows of a column, in this order."""
    return itemgetter(*rows) if len(rows) > 1 else lambda column: [column[row] for row in rows]
