"""Comparisons of one trait that no profile can meet together, such as above 100 and below 50."""

import operator
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any

from worker.clusters.rules.trait import Trait, Value

_HOLDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "in": lambda value, others: value in others,
}


def contradict(trait: Trait, comparisons: Iterable[Mapping[str, Any]]) -> bool:
    """Whether there can be no value for which all comparisons hold. Each is one that the trait has no objection to.

    comparisons: by their words in a file, such as `{"gt": 100.0}`.
    """
    asked = [one for some in comparisons for one in some.items()]
    missing = {value for word, value in asked if word == "missing"}
    if len(missing) == 2:
        return True
    wanted = [one for one in asked if one[0] != "missing"]
    if True in missing:
        return bool(wanted) and (trait.missing is None or not _meets(trait.missing, wanted))
    if trait.type == "list":
        return False  # it may hold any number of words
    named = [[value] if word == "eq" else list(value) for word, value in wanted if word in ("eq", "in")]
    if named:
        return not any(_meets(value, wanted) for value in named[0])
    return _leave_no_room(trait, wanted)


def _meets(value: Value, wanted: list[tuple[str, Any]]) -> bool:
    return all(_HOLDS[word](value, other) for word, other in wanted)


def _leave_no_room(trait: Trait, wanted: list[tuple[str, Any]]) -> bool:
    """Whether bounds leave no number between them; those of the trait's scale count too."""
    least, most = (trait.lowest, trait.highest) if trait.type == "number" else (-inf, inf)
    low = max([least, *(bound for word, bound in wanted if word in ("gt", "gte"))])
    high = min([most, *(bound for word, bound in wanted if word in ("lt", "lte"))])
    return low > high or (low == high and not _meets(low, wanted))
