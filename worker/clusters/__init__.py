"""Clusters: pure functions from pages of profiles to statistics per behavioural cluster. No I/O.

`fold` counts a page into an `Aggregate`, `merge` adds two of them up, `summarise` says what they mean;
`Rules` say which traits are read and which cluster a profile belongs to. What the numbers mean stands in
`values` and `rules`.
"""

from worker.clusters.aggregate import Aggregate, merge
from worker.clusters.estimates import Estimate, estimates
from worker.clusters.fold import fold
from worker.clusters.rules import Rules
from worker.clusters.sampling import sampled
from worker.clusters.shipped import RECIPE
from worker.clusters.summary import ClusterSummary, percent, summarise

__all__ = [
    "RECIPE",
    "Aggregate",
    "ClusterSummary",
    "Estimate",
    "Rules",
    "estimates",
    "fold",
    "merge",
    "percent",
    "sampled",
    "summarise",
]
