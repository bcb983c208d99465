"""Folding: counting one page of profiles into a running aggregate.

Works by column, one trait of all profiles at a time, which on a page of 200 is faster than profile by
profile. It is total: whatever JSON value an entry or a trait is, it is counted as usable, missing or an error
and nothing raises, so that an aggregate is never left with half a page.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import compress
from operator import itemgetter
from typing import Any, cast

from worker.clusters.parsing.value_parsers import Parsed, Traits, as_parsed
from worker.clusters.rules.builtin import RECIPE
from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait_reader import Reader, reader
from worker.clusters.statistics.aggregate import Aggregate, ClusterAggregate
from worker.clusters.statistics.value_shape import shape


def fold(aggregate: Aggregate, profiles: Sequence[object], rules: Rules = RECIPE, *, as_of: float = 0.0) -> None:
    """Count `profiles`, one page as parsed from JSON, into `aggregate`. as_of: when the sync began, Unix seconds; the
    ages of dates are as of then."""
    readers = _readers(rules, as_of)
    page = _filtered(aggregate, _traits(aggregate, profiles), rules, readers)
    columns: dict[str, Parsed[Any]] = {}
    for name, trait in readers.items():
        column = columns[name] = trait.read(page)
        if column.wrong:
            aggregate.add_trait_errors(name, [shape(trait.unusable(page[row])) for row in column.wrong])

    deciding = [columns[name].values for name in rules.compiled.deciding]
    # One list for each cluster, and one more, which the index -1 finds, for the profiles that are in none.
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
def _readers(rules: Rules, as_of: float) -> dict[str, Reader]:
    """How each trait is read, by its name."""
    return {trait.name: reader(trait, as_of, rules.vocabulary(trait.name)) for trait in rules.traits}


def _filtered(aggregate: Aggregate, page: list[Traits], rules: Rules, readers: dict[str, Reader]) -> list[Traits]:
    """The profiles that the rules' filter keeps; counts the others."""
    keep = rules.compiled.keep
    if keep is None:
        return page
    columns = [readers[name].read(page).values for name in rules.compiled.filtering]
    kept = list(compress(page, map(keep, *columns)))
    aggregate.filtered += len(page) - len(kept)
    return kept


def _traits(aggregate: Aggregate, profiles: Sequence[object]) -> list[Traits]:
    """The traits of every entry that is an object, empty if it has none; counts the entries on the way."""
    try:
        traits = list(map(_get_traits, cast(Sequence[Traits], profiles)))
    except (KeyError, TypeError):  # an entry without traits, or one that is no object
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


_get_traits = itemgetter(as_parsed("traits"))


def _picker(rows: list[int]) -> Callable[[list[Any]], Sequence[Any]]:
    """A function that takes these rows of a column, in this order."""
    return itemgetter(*rows) if len(rows) > 1 else lambda column: [column[row] for row in rows]
