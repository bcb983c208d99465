"""What a sample says of all profiles: how many are in a cluster, and between what its shares lie, with 95 %
confidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.clusters.aggregate import Aggregate
from worker.clusters.intervals import Interval, share_interval
from worker.clusters.summary import CategorySummary, ClusterSummary


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one cluster.

    Attributes:
        n: how many of all profiles are in it.
        share: of all classified profiles; None if there are none.
        categories: by trait, of each of the most frequent values among the profiles that have the trait.
    """

    n: int
    share: Interval | None
    categories: Mapping[str, Mapping[str, Interval]]


def estimates(aggregate: Aggregate, summaries: Sequence[ClusterSummary]) -> list[Estimate]:
    """An estimate for each cluster of the aggregate of a sample."""
    classified = sum(summary.n for summary in summaries)
    fraction = aggregate.fraction
    return [
        Estimate(
            round(summary.n / fraction),
            share_interval(summary.n, classified, fraction),
            {name: _shares(category, fraction) for name, category in summary.categories.items()},
        )
        for summary in summaries
    ]


def _shares(category: CategorySummary, fraction: float) -> dict[str, Interval]:
    found = ((top.value, share_interval(top.count, category.coverage, fraction)) for top in category.top)
    return {value: interval for value, interval in found if interval}
