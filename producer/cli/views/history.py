"""Shows how a space changed: since the previous complete sync, in a few lines, and over the syncs of its history.

Pure: from drifts and snapshots to something that rich prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from producer.cli.terminal import NARROW, NARROWEST
from producer.cli.views.time_formats import local_time, short_time, zone
from worker.clusters.analysis.drift import ClusterDrift, Drift
from worker.clusters.analysis.snapshot import Snapshot
from worker.clusters.rules.rules import Rules

MIN_SHARE_POINTS = 0.1
"""Percentage points from which on a share's change is worth a line."""
MIN_DEVIATIONS = 0.1
"""Standard deviations from which on a mean's is."""


def drift_lines(drift: Drift, rules: Rules) -> Iterator[Text]:
    """Yields what changed since the sync before, with a line for each cluster that changed much."""
    before, now = drift.before, drift.now
    yield Text(
        f"Compared with {before.sync_id}, read until {local_time(before.read_to)}: "
        f"{before.profiles:,} → {now.profiles:,} profiles."
    )
    labels = {cluster.key: cluster.label for cluster in rules.clusters}
    lines = [f"  {labels[cluster.key]}: {text}" for cluster in drift.clusters if (text := _describe_drift(cluster))]
    yield Text("\n".join(lines) or "  No share of a cluster and no mean has changed much.")


def history_table(snapshots: Sequence[Snapshot], width: int) -> Table:
    """Returns a table with a row for each sync, for a screen of `width` columns."""
    wide = width >= NARROW
    show_time = local_time if wide else short_time
    shown = Table(box=None, pad_edge=False, padding=(0, 1) if width >= NARROWEST else (0, 1, 0, 0))
    shown.add_column("Read until" if wide else f"Read until\n{zone()}", no_wrap=True)
    shown.add_column("Sync", no_wrap=True)
    shown.add_column("Profiles", justify="right", no_wrap=True)
    shown.add_column("Clusters", overflow="fold")
    for snapshot in snapshots:
        shares = [f"{key} {cluster.share:.1%}" for key, cluster in snapshot.clusters.items()]
        sizes = (", " if width >= NARROWEST else "\n").join(shares)
        shown.add_row(show_time(snapshot.read_to), snapshot.sync_id, f"{snapshot.profiles:,}", sizes)
    return shown


def _describe_drift(cluster: ClusterDrift) -> str:
    moved = [
        f"{name} {difference:+.2f} standard deviations"
        for name, difference in cluster.means.items()
        if abs(difference) >= MIN_DEVIATIONS
    ]
    if cluster.status != "kept":
        moved = [cluster.status]
    elif abs(cluster.share_points) < MIN_SHARE_POINTS and not moved:
        return ""
    return "; ".join([f"{cluster.before.share:.1%} → {cluster.now.share:.1%}", *moved])
