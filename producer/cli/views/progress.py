"""Progress of the syncs that a command follows: a live display on a terminal, plain lines elsewhere.

`follow` passes snapshots of the syncs, and sentences about the connection.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.text import Text
from typing_extensions import override

from producer.cli.terminal import Screen
from producer.cli.views.live_view import live_view, overview_table
from producer.cli.views.sync_report import describe_counts, describe_persona
from producer.cli.views.time_formats import format_duration
from worker.documents.sync_results import ClusterResult, cluster_results, sync_statistics, sync_timings
from worker.models.sync import Sync, SyncState

LINES_PER_SYNC = 7
"""Most lines of one sync in the live display with its clusters."""

MAX_WIDTH = 100
"""Most columns of the live display."""

RATE_WINDOW_S = 4.0
"""Seconds over which the rate of a sync is averaged."""


def open_progress(screen: Screen) -> Progress:
    """Returns a live display for a terminal, plain lines for anything else."""
    return LiveProgress(screen) if screen.live else LineProgress(screen)


class Meter:
    """Measures the profiles a second of each sync over the last `RATE_WINDOW_S` seconds.

    Args:
        clock: Returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def record(self, sync: Sync) -> None:
        """Records a snapshot."""
        now, seen = self._clock(), self._seen.setdefault(sync.id, deque())
        if seen and sync.profiles < seen[-1][1]:
            seen.clear()  # it was restarted
        seen.append((now, sync.profiles))
        while len(seen) > 2 and now - seen[1][0] >= RATE_WINDOW_S:
            seen.popleft()

    def rate(self, sync_id: str) -> float | None:
        """Returns profiles a second; None until two snapshots are recorded."""
        seen = self._seen.get(sync_id)
        if not seen or seen[-1][0] == seen[0][0]:
            return None
        return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])


class ClusterCache:
    """Caches the clusters of syncs, so that they are computed when a sync changes and not whenever it is drawn.

    While pages are counted, a result is kept for at least `PAUSE_FACTOR` times as long as its computation took, so that
    many clusters with many traits leave the processor to the worker.

    Args:
        clock: Returns monotonic seconds.
    """

    PAUSE_FACTOR = 20

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[tuple[object, ...], float, list[ClusterResult]]] = {}

    def results(self, sync: Sync) -> list[ClusterResult]:
        """Returns the clusters of a sync, which may be slightly out of date while it runs."""
        steady = (sync.state, sync.epoch if sync.state.is_final else 0, sync.outcomes, sync.fetched_at, sync.plan)
        key = (steady, sync.pages, sync.profiles)
        kept = self._kept.get(sync.id)
        now = self._clock()
        if kept and (kept[0] == key or (kept[0][0] == steady and now < kept[1])):
            return kept[2]
        found = cluster_results(sync, sync_statistics(sync))
        self._kept[sync.id] = key, now + self.PAUSE_FACTOR * (self._clock() - now), found
        return found


class Progress:
    """Shows the progress of syncs, as a context manager.

    Args:
        screen: Where it is shown.
        clock: Returns monotonic seconds.
    """

    def __init__(self, screen: Screen, clock: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._clock = clock
        self._meter = Meter(clock)
        self._since = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, syncs: Sequence[Sync]) -> None:
        """Shows the current snapshots of the syncs."""

    def print_text(self, text: str) -> None:
        """Prints a sentence at once."""
        self._screen.print_text(text)

    def clear(self) -> None:
        """Removes a live display from the screen when it ends."""


class LiveProgress(Progress):
    """A display that is redrawn in place; its last state stays on the screen."""

    def __init__(self, screen: Screen, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(screen, clock)
        self._clusters = ClusterCache(clock)
        self._syncs: Sequence[Sync] = ()
        self._live = Live(get_renderable=self.render, console=screen, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    @override
    def show(self, syncs: Sequence[Sync]) -> None:
        for sync in syncs:
            self._meter.record(sync)
        self._syncs = tuple(syncs)

    @override
    def clear(self) -> None:
        self._live.transient = True

    def render(self) -> RenderableType:
        """Renders the display; called by rich's drawing thread."""
        syncs = self._syncs
        if not syncs:
            return Text()
        rates = {sync.id: rate for sync in syncs if (rate := self._meter.rate(sync.id)) is not None}
        if len(syncs) > 1 and len(syncs) * LINES_PER_SYNC > self._screen.height:
            shown = overview_table(syncs, rates)
        else:
            shown = Group(
                *(
                    live_view(sync, rates.get(sync.id), self._elapsed_s(sync), self._clusters.results(sync))
                    for sync in syncs
                )
            )
        # The terminal writes ^C after the last line; if that wrapped, the display would be off by a line.
        return Constrain(shown, min(MAX_WIDTH, self._screen.width - 4))

    def _elapsed_s(self, sync: Sync) -> float:
        total_s = sync_timings(sync).total_s
        return self._clock() - self._since if total_s is None else total_s


class LineProgress(Progress):
    """Prints a line for each event, and about one a second while pages are counted; the longer it runs, the fewer."""

    def __init__(self, screen: Screen, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(screen, clock)
        self._shown: dict[str, tuple[float, Sync]] = {}

    @override
    def show(self, syncs: Sequence[Sync]) -> None:
        running = sum(not sync.state.is_final for sync in syncs)
        now = self._clock()
        pause_s = max(1.0, min(30.0, (now - self._since) / 60)) * max(1, running)
        for sync in syncs:
            self._meter.record(sync)
            at, before = self._shown.get(sync.id, (0.0, None))
            if before and not _is_event(before, sync) and (sync.pages == before.pages or now - at < pause_s):
                continue
            for line in self._lines(before, sync):
                self._screen.print_text(f"{sync.request.space_id}: {line}")
            self._shown[sync.id] = (now, sync)

    def _lines(self, before: Sync | None, sync: Sync) -> list[str]:
        found = cluster_results(sync, sync_statistics(sync))
        known = {outcome.cluster for outcome in before.outcomes} if before else set()
        lines = [
            f"{cluster.summary.label}: {describe_persona(cluster, sync)}"
            for cluster in found
            if cluster.outcome and cluster.summary.key not in known
        ]
        if before is None or before.state is not sync.state:
            # The line of a new state comes first; that of a final state comes last.
            lines.insert(len(lines) if sync.state.is_final else 0, self._state(before, sync))
        elif sync.pages != before.pages:
            sizes = ", ".join(f"{cluster.summary.label} {cluster.summary.n:,}" for cluster in found)
            lines.append(f"{describe_counts(sync, self._meter.rate(sync.id))}; {sizes}")
        if sync.note and (before is None or before.note != sync.note):
            lines.append(sync.note)
        return lines

    def _state(self, before: Sync | None, sync: Sync) -> str:
        if sync.state is SyncState.QUEUED:
            return f"queued as {sync.id}"
        total_s = sync_timings(sync).total_s
        took = f" in {format_duration(total_s)}" if total_s is not None else ""
        name = f" as {sync.id}" if before is None else ""
        return f"{sync.status}{name}{took}, {describe_counts(sync)}"


def _is_event(before: Sync, sync: Sync) -> bool:
    """Returns whether something happened that is printed at once."""
    return (
        before.state is not sync.state
        or len(before.outcomes) != len(sync.outcomes)
        or (before.note != sync.note and bool(sync.note))
    )
