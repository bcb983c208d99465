"""Snapshots of spaces, made without any space."""

from __future__ import annotations

from collections.abc import Mapping

from worker.clusters.analysis.snapshot import ClusterSnapshot, NumberSnapshot, Snapshot


def snapshot(
    sizes: Mapping[str, int],
    *,
    sync_id: str = "before",
    means: Mapping[str, float] | None = None,
    coverage: Mapping[str, int] | None = None,
    profiles: int | None = None,
) -> Snapshot:
    """A space with clusters of these sizes, each with the same means (of a standard deviation of 1)."""
    classified = sum(sizes.values())
    numbers = {name: NumberSnapshot(n=max(2, classified), mean=value, std=1.0) for name, value in (means or {}).items()}
    return Snapshot(
        sync_id=sync_id,
        read_from=1_700_000_000,
        read_to=1_700_000_060,
        counting_digest="alike",
        profiles=classified if profiles is None else profiles,
        unclassified=0,
        coverage=coverage or {},
        clusters={
            key: ClusterSnapshot(n=n, share=n / classified if classified else 0.0, numbers=numbers if n else {})
            for key, n in sizes.items()
        },
    )
