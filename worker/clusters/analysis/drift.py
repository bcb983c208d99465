"""Drift: what changed in a space between two syncs, in the sizes, shares and means of clusters.

Differences of means are standardised (Cohen's d): divided by the pooled standard deviation,
sqrt(((n1 - 1) s1² + (n2 - 1) s2²) / (n1 + n2 - 2)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from worker.clusters.analysis.snapshot import ClusterSnapshot, NumberSnapshot, Snapshot

EMPTY_CLUSTER = ClusterSnapshot(n=0, share=0.0)


@dataclass(frozen=True, slots=True)
class ClusterDrift:
    """One cluster in two snapshots.

    Attributes:
        key: Key of the cluster.
        before: The cluster in the earlier snapshot.
        now: The cluster in the later snapshot.
        means: By trait, the standardised difference of its means; only where it is defined.
    """

    key: str
    before: ClusterSnapshot
    now: ClusterSnapshot
    means: Mapping[str, float]

    @property
    def share_points(self) -> float:
        """Growth of its share of the classified profiles, in percentage points."""
        return 100 * (self.now.share - self.before.share)

    @property
    def status(self) -> Literal["new", "vanished", "kept"]:
        """Whether the cluster is new, has vanished, or has profiles in both snapshots."""
        if not self.before.n:
            return "new"
        return "kept" if self.now.n else "vanished"


@dataclass(frozen=True, slots=True)
class Drift:
    """Changes between two snapshots with the same counting digest. Clusters that are empty in both are left out."""

    before: Snapshot
    now: Snapshot
    clusters: tuple[ClusterDrift, ...]


def compare_snapshots(before: Snapshot, now: Snapshot) -> Drift:
    """Computes the changes from `before` to `now`."""
    keys = {**now.clusters, **before.clusters}
    pairs = [(key, before.clusters.get(key, EMPTY_CLUSTER), now.clusters.get(key, EMPTY_CLUSTER)) for key in keys]
    return Drift(
        before, now, tuple(ClusterDrift(key, old, new, _means(old, new)) for key, old, new in pairs if old.n or new.n)
    )


def _means(before: ClusterSnapshot, now: ClusterSnapshot) -> dict[str, float]:
    found = {}
    for name, new in now.numbers.items():
        old = before.numbers.get(name)
        if old is not None and (difference := standardised_difference(old, new)) is not None:
            found[name] = difference
    return found


def standardised_difference(before: NumberSnapshot, now: NumberSnapshot) -> float | None:
    """Returns the difference of two means in standard deviations, or None if it is not defined."""
    if before.std is None or now.std is None:
        return None
    squares = (before.n - 1) * before.std**2 + (now.n - 1) * now.std**2
    pooled = sqrt(squares / (before.n + now.n - 2))
    if not pooled:
        return 0.0 if now.mean == before.mean else None
    return (now.mean - before.mean) / pooled
