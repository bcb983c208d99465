"""Clusters: pure functions from pages of profiles to statistics per behavioural cluster, without I/O.

`fold` counts a page into an `Aggregate`, `summarise` describes its clusters, and `Rules` define which traits are read
and which cluster a profile belongs to.
"""

from worker.clusters.analysis.confidence import Estimate, estimate_clusters
from worker.clusters.analysis.summary import ClusterSummary, format_percent, summarise
from worker.clusters.rules.builtin import RECIPE
from worker.clusters.rules.rules import Rules
from worker.clusters.statistics.aggregate import Aggregate
from worker.clusters.statistics.fold import fold

__all__ = [
    "RECIPE",
    "Aggregate",
    "ClusterSummary",
    "Estimate",
    "Rules",
    "estimate_clusters",
    "fold",
    "format_percent",
    "summarise",
]
