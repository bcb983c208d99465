"""Follows syncs to their end, a time-out or Ctrl-C, also while no worker runs or Redis is down.

The syncs do not depend on being followed; this module only shows them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from producer.cli.exit_codes import DONE, INTERRUPTED, TRY_LATER
from producer.cli.syncs.next_steps import continue_here, how_to_start_worker
from producer.cli.syncs.report_options import ReportOptions
from producer.cli.terminal import Screen
from producer.cli.views.progress import Progress, open_progress
from producer.client import SyncClient
from worker.errors import StoreUnavailable
from worker.models.sync import Sync

POLL_INTERVAL_S = 0.2

AFTER_OUTAGE_S = 10.0
"""Seconds after an outage of Redis in which workers that are not seen may still write their next heartbeat."""


@dataclass(frozen=True)
class FollowResult:
    """The result of following syncs.

    Attributes:
        syncs: Their last snapshots.
        stopped: Why following stopped before all syncs ended; empty otherwise.
        code: The exit code in that case.
        condition: When the syncs continue, as of `after_interruption`.
    """

    syncs: list[Sync]
    stopped: str = ""
    code: int = DONE
    condition: str = ""


async def follow_to_end(
    client: SyncClient, syncs: Sequence[Sync], err: Screen, timeout_s: float, report_options: ReportOptions
) -> FollowResult:
    """Follows the syncs to their end, to the time-out, or to the user's Ctrl-C; never raises for these."""
    with open_progress(err) as shown:
        state = report_options.state
        follower = Follower(client, syncs, shown, watch_workers=not state.works_here, in_directory=state.in_directory)
        try:
            await follower.run(timeout_s)
        except TimeoutError:
            return FollowResult(follower.syncs, f"Timed out after {timeout_s:g} s", TRY_LATER, follower.condition)
        except asyncio.CancelledError:
            # Ctrl-C or SIGTERM. Swallow the cancellation: the hints are still to be printed.
            return FollowResult(follower.syncs, "Interrupted", INTERRUPTED, follower.condition)
        if not report_options.json:
            shown.clear()  # the report that follows says all of it
    return FollowResult(follower.syncs)


class Follower:
    """Follows syncs. `syncs` is how they stood when they were last looked at, in the order in which they were given."""

    def __init__(
        self,
        client: SyncClient,
        syncs: Sequence[Sync],
        progress: Progress,
        *,
        watch_workers: bool = True,
        in_directory: bool = False,
    ) -> None:
        self._client = client
        self._progress = progress
        self._current = {sync.id: sync for sync in syncs}
        self._workers = WorkerWatch(client, progress.print_text) if watch_workers else None
        if self._workers and in_directory:
            self._workers.advice = continue_here(syncs)
        self._redis_away = False

    @property
    def syncs(self) -> list[Sync]:
        """The syncs as last seen."""
        return list(self._current.values())

    @property
    def condition(self) -> str:
        """When the syncs continue, as last seen: "When a worker runs", for example; empty: they do so now."""
        if self._redis_away:
            return "When Redis answers again"
        return "When a worker runs" if self._workers and self._workers.is_missing else ""

    async def run(self, timeout_s: float = math.inf) -> None:
        """Shows the syncs until all have ended. While Redis is away it waits.

        Raises TimeoutError after `timeout_s` seconds, SyncNotFound if a sync is no longer known.
        """
        clock = asyncio.get_running_loop().time
        ends_at = clock() + timeout_s
        self._progress.show(self.syncs)
        while self._running():
            await self._poll()
            self._progress.show(self.syncs)
            if self._running():
                left_s = ends_at - clock()
                if left_s <= 0:
                    raise TimeoutError
                await asyncio.sleep(min(POLL_INTERVAL_S, left_s))

    def _running(self) -> list[str]:
        return [sync.id for sync in self.syncs if not sync.state.is_final]

    async def _poll(self) -> None:
        try:
            if self._workers:
                await self._workers.check()
            for sync in await asyncio.gather(*map(self._client.get, self._running())):
                self._current[sync.id] = sync
        except StoreUnavailable as error:
            if not self._redis_away:
                waiting = "Waiting until Redis answers again; the workers wait too."
                self._progress.print_text(" ".join(filter(None, (f"{error}.", error.hint, waiting))))
            self._redis_away = True
            if self._workers:
                self._workers.postpone()
        else:
            if self._redis_away:
                self._progress.print_text("Redis answers again.")
            self._redis_away = False


class WorkerWatch:
    """Reports when no worker is alive, and when one has started.

    Args:
        client: The client to ask for workers.
        report: Shows a sentence.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self, client: SyncClient, report: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._report = report
        self._clock = clock
        self._look_at = 0.0
        self._alive: bool | None = None
        self.advice = how_to_start_worker()

    @property
    def is_missing(self) -> bool:
        """Whether no worker was alive at the last look."""
        return self._alive is False

    def postpone(self) -> None:
        """Looks again after the time in which living workers write a heartbeat, because none could be written."""
        self._look_at = self._clock() + AFTER_OUTAGE_S

    async def check(self) -> None:
        """Looks, if it is time. Raises StoreUnavailable."""
        if self._clock() < self._look_at:
            return
        workers = await self._client.workers()
        if workers and self._alive is False:
            self._report(f"A worker is running now: {workers[0].name}")
        elif not workers and self._alive is not False:
            now = " any more" if self._alive else ""
            self._report(f"No worker is running{now}, so the sync waits. {self.advice}\nWaiting for a worker.")
        self._alive = bool(workers)
        self._look_at = self._clock() + (5 if workers else 1)
