"""Whether a cluster's members are in it for what is known of them, or for what a missing value counts as.

Pure. A cluster needs the traits that its condition compares; the one for everyone else, any trait that decides. If
hardly a member has one of them, the cluster says nothing about people, and makes no persona.
"""

from __future__ import annotations

from worker.clusters.analysis.summary import ClusterSummary
from worker.clusters.rules.condition import Condition
from worker.clusters.rules.rules import Rules

LEAST_SHARE = 0.2


def has_evidence(rules: Rules, summary: ClusterSummary) -> bool:
    """Whether at least a fifth of the members have any trait that the cluster needs.

    Of several traits only the sum of those who have each is known, so that it may be somewhat less.
    """
    condition = next((cluster.when for cluster in rules.clusters if cluster.key == summary.key), None)
    needed = rules.compiled.deciding if condition is None else compared(condition)
    return not needed or sum(map(summary.coverage, needed)) >= LEAST_SHARE * summary.n


def compared(condition: Condition) -> frozenset[str]:
    """The traits whose values a condition compares; asking whether one is missing needs none."""
    own = {condition.trait} if condition.trait and condition.comparisons.keys() - {"missing"} else set[str]()
    return frozenset(own).union(*(compared(part) for _, part in condition.parts))
