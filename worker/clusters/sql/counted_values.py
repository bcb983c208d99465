"""Makes an `Aggregate` from the counts and sums of result rows of any engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait import Trait
from worker.clusters.sql.result_columns import FINE_SCALE, SCALE, States
from worker.clusters.statistics.aggregate import Aggregate, ClusterAggregate
from worker.clusters.statistics.boolean import BooleanAggregate
from worker.clusters.statistics.numeric import Moments, NumberAggregate, exact_sum
from worker.clusters.statistics.quantile_sketch import QuantileSketch

_NEGATIVE_ZERO = 0x8000


@dataclass
class CountedValues:
    """The counts of a trait in a cluster: the buckets of its values, and their sums."""

    buckets: Counter[int] = field(default_factory=Counter)
    moments: Moments = field(default_factory=Moments)


def make_aggregate(rules: Rules, sizes: Counter[int], values: Mapping[tuple[int, int], CountedValues]) -> Aggregate:
    """Returns what was counted of profiles, and of their numbers, dates and booleans.

    Args:
        rules: The rules of the statement.
        sizes: Profiles by their state, see `States`.
        values: By state and by the index of the trait.
    """
    states = States(len(rules.clusters))
    made = Aggregate(
        filtered=sizes[states.filtered],
        unclassified=sizes[0],
        merged=sizes[states.merged],
        left_out=sizes[states.left_out],
    )
    made.profiles = sum(n for state, n in sizes.items() if state <= states.filtered)
    for i, key in enumerate(rules.cluster_keys):
        if sizes[i + 1]:
            cluster = made.clusters[key] = ClusterAggregate(n=sizes[i + 1])
            for j, trait in enumerate(rules.traits):
                _add_values(cluster, trait, values.get((i + 1, j), CountedValues()))
    return made


def make_moments(count: int, whole: int, fine: int, rest: float, squares: float) -> Moments:
    """Returns moments from the sums of a result row."""
    terms = [*_floats(whole, SCALE), *_floats(fine, FINE_SCALE), rest]
    return Moments(count, tuple(exact_sum(terms)), squares)


def _add_values(cluster: ClusterAggregate, trait: Trait, found: CountedValues) -> None:
    buckets = found.buckets
    if trait.type in ("category", "list"):
        cluster.category(trait.name)
    elif trait.type == "boolean":
        cluster.booleans[trait.name] = BooleanAggregate(buckets.total(), buckets[1])
    else:
        buckets[0] += buckets.pop(_NEGATIVE_ZERO, 0)
        cluster.numbers[trait.name] = NumberAggregate(found.moments, QuantileSketch(buckets=+buckets))


def _floats(number: int, scale: float) -> list[float]:
    """Returns floats that are together exactly an integer divided by a power of two."""
    high = float(number)
    low = float(number - int(high))
    return [high / scale, low / scale]
