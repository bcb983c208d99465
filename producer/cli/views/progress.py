"""Progress of the syncs that are followed: live on a terminal, plain lines elsewhere.

Fed with snapshots and sentences by `follow`; shows nothing that a snapshot does not say.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.text import Text

from producer.cli.terminal import Screen
from producer.cli.views.sync_views import describe_counts, describe_persona, format_duration, live_view, overview_table
from worker.documents.sync_results import ClusterResult, cluster_results, sync_statistics, sync_timings
from worker.models.sync import Sync, SyncState

LINES_PER_SYNC = 7
"""Lines that a sync takes at most in the live display, if it is shown with its clusters."""

MAX_WIDTH = 100
"""Columns of the live display, however wide the terminal is."""

RATE_WINDOW_S = 4.0


class Progress(Protocol):
    """Where progress is shown. Used as a block."""

    def show(self, syncs: Sequence[Sync]) -> None:
        """The syncs as they stand now."""

    def say(self, text: str) -> None:
        """A sentence for people, now."""

    def clear(self) -> None:
        """Nothing of a live display is to stay on the screen."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_progress(screen: Screen) -> Progress:
    """What fits the screen."""
    return LiveProgress(screen) if screen.live else LineProgress(screen)


class Meter:
    """Profiles a second of each sync, over the last few seconds. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def see(self, sync: Sync) -> None:
        """Takes note of a snapshot."""
        now, seen = self._clock(), self._seen.setdefault(sync.id, deque())
        if seen and sync.profiles < seen[-1][1]:
            seen.clear()  # begun anew
        seen.append((now, sync.profiles))
        while len(seen) > 2 and now - seen[1][0] >= RATE_WINDOW_S:
            seen.popleft()

    def rate(self, sync_id: str) -> float | None:
        """Profiles a second; None until two snapshots were seen."""
        seen = self._seen.get(sync_id)
        if not seen or seen[-1][0] == seen[0][0]:
            return None
        return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])


class ClusterCache:
    """The clusters of syncs, computed when a sync has changed and not whenever it is drawn.

    While pages are counted a computation is followed by a pause of `SHARE` times what it took, so that many clusters
    with many traits do not take the processor from the worker. clock: monotonic seconds.
    """

    SHARE = 20

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[tuple[object, ...], float, list[ClusterResult]]] = {}

    def of(self, sync: Sync) -> list[ClusterResult]:
        """The clusters of a sync, at most a few moments old."""
        steady = (sync.state, sync.epoch if sync.state.is_final else 0, sync.outcomes, sync.fetched_at, sync.plan)
        key = (steady, sync.pages, sync.profiles)
        kept = self._kept.get(sync.id)
        now = self._clock()
        if kept and (kept[0] == key or (kept[0][0] == steady and now < kept[1])):
            return kept[2]
        found = cluster_results(sync, sync_statistics(sync))
        self._kept[sync.id] = key, now + self.SHARE * (self._clock() - now), found
        return found


class LiveProgress:
    """A display that is drawn again and again in its place; its last state stays."""

    def __init__(self, screen: Screen, clock: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._clock = clock
        self._meter = Meter(clock)
        self._clusters = ClusterCache(clock)
        self._since = clock()
        self._syncs: Sequence[Sync] = ()
        self._live = Live(get_renderable=self.render, console=screen, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, syncs: Sequence[Sync]) -> None:
        for sync in syncs:
            self._meter.see(sync)
        self._syncs = tuple(syncs)

    def say(self, text: str) -> None:
        self._screen.say(text)

    def clear(self) -> None:
        self._live.transient = True

    def render(self) -> RenderableType:
        """The display as it is now; called from the thread that draws."""
        syncs = self._syncs
        if not syncs:
            return Text()
        rates = {sync.id: rate for sync in syncs if (rate := self._meter.rate(sync.id)) is not None}
        if len(syncs) > 1 and len(syncs) * LINES_PER_SYNC > self._screen.height:
            shown = overview_table(syncs, rates)
        else:
            shown = Group(
                *(live_view(sync, rates.get(sync.id), self._elapsed_s(sync), self._clusters.of(sync)) for sync in syncs)
            )
        # The terminal writes ^C after the last line; if that wrapped, the display would be off by a line.
        return Constrain(shown, min(MAX_WIDTH, self._screen.width - 4))

    def _elapsed_s(self, sync: Sync) -> float:
        total_s = sync_timings(sync).total_s
        return self._clock() - self._since if total_s is None else total_s


class LineProgress:
    """A line when something happens, and about one a second while pages are counted; fewer as time goes by."""

    def __init__(self, screen: Screen, clock: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._clock = clock
        self._meter = Meter(clock)
        self._since = clock()
        self._shown: dict[str, tuple[float, Sync]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def say(self, text: str) -> None:
        self._screen.say(text)

    def clear(self) -> None:
        pass

    def show(self, syncs: Sequence[Sync]) -> None:
        running = sum(not sync.state.is_final for sync in syncs)
        now = self._clock()
        pause_s = max(1.0, min(30.0, (now - self._since) / 60)) * max(1, running)
        for sync in syncs:
            self._meter.see(sync)
            at, before = self._shown.get(sync.id, (0.0, None))
            if before and not _event(before, sync) and (sync.pages == before.pages or now - at < pause_s):
                continue
            for line in self._lines(before, sync):
                self._screen.say(f"{sync.request.space_id}: {line}")
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
            # A beginning stands before what it led to, an end behind it.
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


def _event(before: Sync, sync: Sync) -> bool:
    """Whether something happened that is told at once."""
    return (
        before.state is not sync.state
        or len(before.outcomes) != len(sync.outcomes)
        or (before.note != sync.note and bool(sync.note))
    )
