"""What a sample says of all profiles: how many are in a cluster, and between which shares the cluster's lies."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.clusters.aggregate import Aggregate
from worker.clusters.intervals import Interval, share_interval
from worker.clusters.summary import ClusterSummary


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one cluster. n: how many of all profiles are in it. share: of all classified profiles, with 95 % confidence;
    None if there are none."""

    n: int
    share: Interval | None


def estimates(aggregate: Aggregate, summaries: Sequence[ClusterSummary]) -> list[Estimate]:
    """An estimate for each cluster of the aggregate of a sample."""
    classified = sum(summary.n for summary in summaries)
    fraction = aggregate.fraction
    return [
        Estimate(round(summary.n / fraction), share_interval(summary.n, classified, fraction)) for summary in summaries
    ]
