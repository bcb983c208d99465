"""Computes the results of a sync so far from a snapshot of it: its counts and decisions.

Pure. The command line, the HTTP API and the JSON documents show these values.
"""

from __future__ import annotations

from dataclasses import dataclass

from worker.clusters import Aggregate, ClusterSummary, Estimate, estimate_clusters, summarise
from worker.clusters.analysis.drift import Drift, compare_snapshots
from worker.clusters.analysis.quality_guards import has_evidence
from worker.clusters.analysis.snapshot import take_snapshot
from worker.models.outcome import PersonaOutcome
from worker.models.plan import PlannedPersona
from worker.models.sync import Sync, SyncState


@dataclass(frozen=True)
class ClusterResult:
    """A cluster as far as its sync has come.

    Attributes:
        outcome: Its persona.
        planned: What a preview would do.
        skipped: Why the sync neither creates nor updates the persona (`empty`, `too_small`, `no_evidence`, `partial`);
            None: it does, or that is not known yet.
        estimate: The estimate for all profiles from a sample; None: all profiles were read.
    """

    summary: ClusterSummary
    outcome: PersonaOutcome | None
    planned: PlannedPersona | None
    skipped: str | None
    estimate: Estimate | None

    @property
    def persona_id(self) -> str | None:
        """The persona that the cluster has, as far as that is known."""
        known = self.outcome or self.planned
        return known.persona_id if known else None


@dataclass(frozen=True)
class Timings:
    """Seconds that a sync spent in each part of its life, so far; None for what it has not begun."""

    queued_s: float | None
    fetching_s: float | None
    finalizing_s: float | None
    total_s: float | None
    """From its start by a worker to its end, without the time that a plan lay there before it was applied."""


def sync_statistics(sync: Sync) -> Aggregate:
    """Returns what has been counted up to the last checkpoint."""
    return Aggregate.from_bytes(sync.aggregate) if sync.aggregate else Aggregate()


def cluster_results(sync: Sync, aggregate: Aggregate) -> list[ClusterResult]:
    """Every cluster of the rules, in their order."""
    outcomes = {outcome.cluster: outcome for outcome in sync.outcomes}
    planned = {persona.cluster: persona for persona in sync.planned.personas} if sync.planned else {}
    summaries = summarise(aggregate, sync.request.rules)
    of_all = (
        [None] * len(summaries)
        if sync.request.sample is None
        else estimate_clusters(aggregate, summaries, sync.request.rules)
    )
    return [
        _cluster_result(sync, summary, outcomes.get(summary.key), planned.get(summary.key), estimate)
        for summary, estimate in zip(summaries, of_all, strict=True)
    ]


def sync_drift(sync: Sync, aggregate: Aggregate) -> Drift | None:
    """Returns what changed since the complete sync before this one; None if there is none to compare with."""
    if sync.baseline is None:
        return None
    rules = sync.request.rules
    now = take_snapshot(
        aggregate,
        summarise(aggregate, rules),
        rules.compiled.deciding,
        sync_id=sync.id,
        read_from=sync.started_at or 0.0,
        read_to=sync.fetched_at or 0.0,
        counting_digest=sync.request.counting_digest,
    )
    return compare_snapshots(sync.baseline, now)


def sync_timings(sync: Sync, now: float | None = None) -> Timings:
    """Returns how long each stage took.

    Args:
        sync: The sync, as it was read.
        now: Unix seconds by the clock of Redis, for a sync that runs; None: only finished stages.
    """
    end = now if sync.finished_at is None else sync.finished_at

    def between(start: float | None, stop: float | None) -> float | None:
        stop = end if stop is None else stop
        return None if start is None or stop is None else round(max(0.0, stop - start), 3)

    fetching_s = between(sync.started_at, sync.fetched_at)
    finalizing_s = between(sync.fetched_at if sync.applied_at is None else sync.applied_at, None)
    total_s = between(sync.started_at, None)
    if sync.applied_at is not None and fetching_s is not None and finalizing_s is not None:
        total_s = round(fetching_s + finalizing_s, 3)
    return Timings(between(sync.created_at, sync.started_at), fetching_s, finalizing_s, total_s)


def skips_part(sync: Sync) -> bool:
    """Returns whether a cluster got no persona because only a part of the space was read."""
    if sync.state is not SyncState.COMPLETED or sync.complete:
        return False
    found = cluster_results(sync, sync_statistics(sync))
    return any(cluster.skipped == "partial" and not cluster.persona_id for cluster in found)


def _cluster_result(
    sync: Sync,
    summary: ClusterSummary,
    outcome: PersonaOutcome | None,
    planned: PlannedPersona | None,
    estimate: Estimate | None,
) -> ClusterResult:
    skipped = None
    if outcome:
        skipped = outcome.reason if outcome.skipped else None
    elif planned:
        skipped = planned.reason if planned.action == "skip" else None
    elif sync.fetched_at is not None and summary.n < sync.request.min_cluster_size:
        skipped = "too_small" if summary.n else "empty"
    elif sync.fetched_at is not None and not has_evidence(sync.request.rules, summary):
        skipped = "no_evidence"
    elif sync.state is SyncState.COMPLETED and not sync.complete:
        skipped = "partial"
    return ClusterResult(summary, outcome, planned, skipped, estimate)
