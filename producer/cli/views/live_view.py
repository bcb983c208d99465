"""Syncs under way: one as a line of numbers with a bar for each cluster, many as a line each. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from producer.cli.views.sync_report import STYLES, describe_counts, describe_persona, note_lines
from producer.cli.views.time_formats import format_duration
from worker.documents.sync_results import ClusterResult, cluster_results, sync_statistics
from worker.models.sync import Sync, SyncState
from worker.printable import printable

_EIGHTHS = " ▏▎▍▌▋▊▉"


class ShareBar:
    """A bar that fills `share` (0 to 1) of the available width; drawn with `#` where the terminal shows only ASCII."""

    def __init__(self, share: float, style: str) -> None:
        self._share = min(1.0, max(0.0, share))
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        if options.ascii_only:
            text = "#" * round(self._share * width)
        else:
            full, eighth = divmod(round(self._share * width * 8), 8)
            text = "█" * full + _EIGHTHS[eighth].strip()
        yield Segment(text.ljust(width), Style.parse(self._style))


def live_view(
    sync: Sync, rate: float | None, elapsed_s: float, found: Sequence[ClusterResult] | None = None
) -> RenderableType:
    """Returns a sync under way: one line of numbers, and its clusters as bars.

    Args:
        sync: Its last snapshot.
        rate: Profiles a second, shown while pages are counted; None: not known yet.
        elapsed_s: Seconds that the sync has taken so far.
        found: Its clusters, if they are known.
    """
    head = Text()
    head.append(sync.request.space_id, "bold")
    head.append(f"  {sync.status}", STYLES[sync.state])
    head.append(
        f"  {describe_counts(sync, rate if sync.state is SyncState.FETCHING else None)}, {format_duration(elapsed_s)}"
    )
    found = cluster_results(sync, sync_statistics(sync)) if found is None else found
    most = max((cluster.summary.n for cluster in found), default=0)
    if not most:
        return Group(head, *note_lines(sync))
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(min_width=10, no_wrap=True)
    grid.add_column(ratio=1, min_width=4)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", min_width=27 if sync.fetched_at else 0)
    for cluster in found:
        bar = ShareBar(cluster.summary.n / most, STYLES[SyncState.COMPLETED] if cluster.outcome else STYLES[sync.state])
        grid.add_row(f"  {cluster.summary.label}", bar, f"{cluster.summary.n:,}", describe_persona(cluster, sync))
    return Group(head, grid, *note_lines(sync))


def overview_table(syncs: Sequence[Sync], rates: dict[str, float]) -> RenderableType:
    """Many syncs under way, a line each."""
    table = Table.grid(padding=(0, 2))
    for sync in syncs:
        rate = rates.get(sync.id) if sync.state is SyncState.FETCHING else None
        table.add_row(
            Text(sync.request.space_id, "bold"),
            Text(sync.status, STYLES[sync.state]),
            Text(describe_counts(sync, rate)),
            Text(printable(sync.note), "yellow"),
        )
    return table
