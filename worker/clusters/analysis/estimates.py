"""What a sample says of all profiles: how many are in a cluster, and between what its figures lie, with 95 %
confidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.clusters.analysis.intervals import Interval, Typical, share_interval, typical_interval
from worker.clusters.analysis.summary import CategorySummary, ClusterSummary, values_of
from worker.clusters.rules.rules import Rules
from worker.clusters.statistics.aggregate import Aggregate, ClusterAggregate
from worker.clusters.statistics.number import NumberAggregate


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one cluster.

    Attributes:
        n: how many of all profiles are in it.
        share: of all classified profiles; None if there are none.
        numbers: by number or date trait, of the mean or, where that is not sound, of the median; only traits of which
            there are enough values.
        categories: by trait, of the share of each of the most frequent values among the profiles that have the trait.
        booleans: by trait, of the share of those for whom it is true among the profiles that have the trait.
    """

    n: int
    share: Interval | None
    numbers: Mapping[str, Typical]
    categories: Mapping[str, Mapping[str, Interval]]
    booleans: Mapping[str, Interval]


def estimates(aggregate: Aggregate, summaries: Sequence[ClusterSummary], rules: Rules) -> list[Estimate]:
    """An estimate for each cluster of the aggregate of a sample. summaries: its own, by the same rules."""
    classified = sum(summary.n for summary in summaries)
    return [_estimate(aggregate, summary, classified, rules) for summary in summaries]


def _estimate(aggregate: Aggregate, summary: ClusterSummary, classified: int, rules: Rules) -> Estimate:
    fraction = aggregate.fraction
    group = aggregate.clusters.get(summary.key, ClusterAggregate())
    numbers = {
        trait.name: _typical(values_of(group, trait), fraction)
        for trait in rules.traits
        if trait.type in ("number", "date")
    }
    booleans = {name: share_interval(boolean.true, boolean.count, fraction) for name, boolean in group.booleans.items()}
    return Estimate(
        n=round(summary.n / fraction),
        share=share_interval(summary.n, classified, fraction),
        numbers={name: typical for name, typical in numbers.items() if typical},
        categories={name: _shares(category, fraction) for name, category in summary.categories.items()},
        booleans={name: interval for name, interval in booleans.items() if interval},
    )


def _typical(values: NumberAggregate, fraction: float) -> Typical | None:
    mean, std = values.mean, values.std
    if mean is None or std is None:
        return None
    skewness = values.sketch.tail_skewness
    return typical_interval(values.count, mean, std, skewness, lambda rank: values.bounds_at(rank - 1), fraction)


def _shares(category: CategorySummary, fraction: float) -> dict[str, Interval]:
    found = {top.value: share_interval(top.count, category.coverage, fraction) for top in category.top}
    return {value: interval for value, interval in found.items() if interval}
