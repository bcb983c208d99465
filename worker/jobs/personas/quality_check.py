"""Compares a sync with the last complete one of its space, and decides whether a guard stops it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from worker.clusters import Aggregate, ClusterSummary
from worker.clusters.analysis.quality_guards import Alarm, GuardThresholds, UncountedEntries, find_alarms
from worker.clusters.analysis.snapshot import Snapshot, take_snapshot
from worker.clusters.statistics.value_shape import frequent_shapes_by_trait
from worker.errors import Permanent, ResumableStop
from worker.models.request import SyncRequest
from worker.store.progress.sync_progress import StartedJob

_UNUSABLE = frozenset({"guard_profile_errors", "guard_trait_errors"})


@dataclass(frozen=True)
class QualityCheck:
    """The result of the comparison.

    Attributes:
        now: Snapshot of what the sync has read; stored in the history if it is complete.
        before: Snapshot of the last complete sync that counted by the same rules; None if there is none, or if this
            sync is not complete.
        complete: Whether the sync has read all profiles of the space.
        alarms: The guards that stop the sync.
        no_clusters: Why no profile is in a cluster although there are profiles; otherwise empty.
        no_clusters_hint: What to do about that.
    """

    now: Snapshot
    before: Snapshot | None
    complete: bool
    alarms: tuple[Alarm, ...]
    no_clusters: str = ""
    no_clusters_hint: str = ""

    @property
    def unusable(self) -> tuple[Alarm, ...]:
        """The alarms about unusable input, which would explain why no profile is in a cluster."""
        return tuple(alarm for alarm in self.alarms if alarm.code in _UNUSABLE)

    def with_alarm(self, alarm: Alarm | None) -> QualityCheck:
        """Returns the check with one more alarm, if there is one."""
        return replace(self, alarms=(*self.alarms, alarm)) if alarm else self

    def raise_alarms(self, *, accepted: bool = False) -> None:
        """Stops the sync if a guard found something.

        Args:
            accepted: Whether a user has accepted the alarms.

        Raises:
            ResumableStop: There is an alarm that is not accepted.
            Permanent: `no_traits`: no profile is in a cluster.
        """
        alarms = () if accepted else self.unusable if self.no_clusters else self.alarms
        if alarms:
            found = ". ".join(alarm.sentence for alarm in alarms)
            hint = " ".join(alarm.hint for alarm in alarms if alarm.hint)
            raise ResumableStop(alarms[0].code, f"{found}. No persona was changed", hint=hint)
        if self.no_clusters:
            raise Permanent("no_traits", self.no_clusters, hint=self.no_clusters_hint)


def check_quality(
    started: StartedJob,
    aggregate: Aggregate,
    summaries: Sequence[ClusterSummary],
    history: Sequence[Snapshot],
    thresholds: GuardThresholds,
) -> QualityCheck:
    """Compares what a sync has read with what its space was like before. Pure.

    Args:
        started: The sync.
        aggregate: Its statistics.
        summaries: The same, by cluster.
        history: Snapshots of the last complete syncs of the space, the newest first.
        thresholds: Of the guards.
    """
    request, complete = started.request, started.checkpoint.complete
    now = take_snapshot(
        aggregate,
        summaries,
        request.rules.compiled.deciding,
        sync_id=started.lease.sync_id,
        read_from=started.started_at,
        read_to=started.started_at if started.fetched_at is None else started.fetched_at,
        counting_digest=request.counting_digest,
    )
    before = None
    if complete:
        alike = (one for one in history if one.counting_digest == now.counting_digest and one.sync_id != now.sync_id)
        before = next(alike, None)
    values = {trait.name: sum(one.coverage(trait.name) for one in summaries) for trait in request.rules.traits}
    unread = UncountedEntries(aggregate.profile_errors, aggregate.unreadable, aggregate.vanished, aggregate.merged)
    shapes = frequent_shapes_by_trait(aggregate.error_shapes)
    found = find_alarms(now, before, aggregate.trait_errors, values, thresholds, unread, shapes=shapes)
    is_empty = aggregate.profiles and not now.classified
    no_clusters, hint = _describe_no_clusters(request, aggregate) if is_empty else ("", "")
    return QualityCheck(now, before, complete, found, no_clusters, hint)


def _describe_no_clusters(request: SyncRequest, aggregate: Aggregate) -> tuple[str, str]:
    """Returns why no profile is in a cluster, and what to do about it."""
    where = f"Space {request.space_id}" if request.reads_segment else f"File {request.file}"
    if request.warehouse is not None:
        where = f"Table {request.warehouse} of the space {request.space_id}"
    if aggregate.filtered == aggregate.profiles:
        return (
            f"{where}: the filter of the rules keeps none of the {aggregate.profiles:,} profiles, so all clusters are "
            "empty. No persona was changed",
            "Change `filter` in the clusters file, then start a new sync.",
        )
    deciding = request.rules.compiled.deciding
    names = ", ".join("/".join(trait.keys) for trait in request.rules.traits if trait.name in deciding)
    wrong = ", ".join(f"{n:,} of {name}" for name, n in sorted(aggregate.trait_errors.items()))
    return (
        f"{where}: none of the {aggregate.profiles:,} profiles is in a cluster; the clusters depend on {names}, and "
        f"{f'values cannot be used: {wrong}' if wrong else 'no profile has a usable value of any of them'}. "
        "No persona was changed",
        f"To write a clusters file for the traits of these profiles, run `{_suggest(request)}`.",
    )


def _suggest(request: SyncRequest) -> str:
    """Returns the command that writes a clusters file for what the request reads."""
    command = ["segment-personas", "suggest", request.space_id]
    if request.file is not None:
        command += ["--from-file", request.file]
    elif request.warehouse is not None:
        command += ["--from-warehouse", request.warehouse]
    elif request.dialect != "inline":
        command += ["--dialect", request.dialect]
    if request.collection != "users":
        command += ["--collection", request.collection]
    return f"{shlex.join(command)} > clusters.toml"
