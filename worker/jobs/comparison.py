"""A sync beside the last complete one of its space: what there is to compare, and whether somebody should look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.clusters import Aggregate, ClusterSummary
from worker.clusters.guards import Alarm, Thresholds, alarms
from worker.clusters.snapshot import Snapshot, take
from worker.errors import ResumableStop
from worker.jobs.context import WorkerContext
from worker.settings import Settings
from worker.store.syncs import Begun


@dataclass(frozen=True)
class Comparison:
    """now: what the sync has read; to be remembered if it is complete. before: what the last complete sync had read.

    before is None if no complete sync is remembered that counted alike, and if this one is not complete.
    """

    now: Snapshot
    before: Snapshot | None
    complete: bool
    alarms: tuple[Alarm, ...]

    def stop(self) -> None:
        """Raises ResumableStop if there is an alarm."""
        if self.alarms:
            told = ". ".join(alarm.sentence for alarm in self.alarms)
            raise ResumableStop(
                self.alarms[0].code,
                f"{told}. No persona was changed. If that is as it should be, resume the sync with --accept",
            )


async def compare(
    context: WorkerContext, begun: Begun, aggregate: Aggregate, summaries: Sequence[ClusterSummary]
) -> Comparison:
    """Compares what a sync has read with what its space was like before."""
    request, complete = begun.request, begun.checkpoint.complete
    now = take(
        aggregate,
        summaries,
        request.rules.compiled.deciding,
        sync_id=begun.lease.sync_id,
        read_from=begun.started_at,
        read_to=begun.started_at if begun.fetched_at is None else begun.fetched_at,
        counted=request.counted,
    )
    before = None
    if complete:
        remembered = await context.syncs.history(request.identity)
        alike = (one for one in remembered if one.counted == now.counted and one.sync_id != now.sync_id)
        before = next(alike, None)
    values = {trait.name: sum(one.coverage(trait.name) for one in summaries) for trait in request.rules.traits}
    found = alarms(now, before, aggregate.trait_errors, values, _thresholds(context.settings))
    return Comparison(now, before, complete, found)


def _thresholds(settings: Settings) -> Thresholds:
    return Thresholds(settings.guard_profiles, settings.guard_coverage, settings.guard_trait_errors)
