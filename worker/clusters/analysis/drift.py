"""What changed in a space between two syncs: how many profiles, which share each cluster has, and what its means are.

Pure. A difference of means is standardised (Cohen's d): by the standard deviation of both together,
sqrt(((n1 - 1) s1² + (n2 - 1) s2²) / (n1 + n2 - 2)). Without a deviation there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from worker.clusters.analysis.snapshot import ClusterFigures, NumberFigures, Snapshot

NOBODY = ClusterFigures(n=0, share=0.0)


@dataclass(frozen=True, slots=True)
class ClusterDrift:
    """One cluster before and now. means: by trait, the standardised difference; only where it can be told."""

    key: str
    before: ClusterFigures
    now: ClusterFigures
    means: Mapping[str, float]

    @property
    def points(self) -> float:
        """By how many percentage points its share of the classified profiles has grown."""
        return 100 * (self.now.share - self.before.share)

    @property
    def status(self) -> Literal["new", "vanished", "kept"]:
        """Whether it has come, gone, or was there before and is now."""
        if not self.before.n:
            return "new"
        return "kept" if self.now.n else "vanished"


@dataclass(frozen=True, slots=True)
class Drift:
    """What changed between two snapshots that were counted alike. Clusters that are empty in both are left out."""

    before: Snapshot
    now: Snapshot
    clusters: tuple[ClusterDrift, ...]


def compare(before: Snapshot, now: Snapshot) -> Drift:
    """What changed from `before` to `now`."""
    keys = {**now.clusters, **before.clusters}
    pairs = [(key, before.clusters.get(key, NOBODY), now.clusters.get(key, NOBODY)) for key in keys]
    return Drift(
        before, now, tuple(ClusterDrift(key, old, new, _means(old, new)) for key, old, new in pairs if old.n or new.n)
    )


def _means(before: ClusterFigures, now: ClusterFigures) -> dict[str, float]:
    found = {}
    for name, new in now.numbers.items():
        old = before.numbers.get(name)
        if old is not None and (difference := standardised(old, new)) is not None:
            found[name] = difference
    return found


def standardised(before: NumberFigures, now: NumberFigures) -> float | None:
    """The difference of two means in standard deviations; None if there is no telling."""
    if before.std is None or now.std is None:
        return None
    squares = (before.n - 1) * before.std**2 + (now.n - 1) * now.std**2
    pooled = sqrt(squares / (before.n + now.n - 2))
    if not pooled:
        return 0.0 if now.mean == before.mean else None
    return (now.mean - before.mean) / pooled
