"""The JSON of a sync: what `--json` prints, and what the recipe printed as its result.

Pure. The keys of a finished sync, and their order, are a contract with every program that reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from worker.clusters import RECIPE, Aggregate, ClusterSummary, Estimate, estimate_clusters, format_percent, summarise
from worker.clusters.analysis.confidence import Interval
from worker.clusters.analysis.drift import Drift, compare_snapshots
from worker.clusters.analysis.quality_guards import has_evidence
from worker.clusters.analysis.snapshot import take_snapshot
from worker.clusters.statistics.value_shape import frequent_shapes_by_trait
from worker.models.outcome import PersonaOutcome
from worker.models.plan import PlannedPersona
from worker.models.sync import Sync, SyncState
from worker.models.versions import UnreadableSync
from worker.printable import json_text


@dataclass(frozen=True)
class ClusterResult:
    """A cluster as far as its sync has come.

    outcome: its persona. planned: what a preview would do. skipped: why the sync makes none, and leaves one that there
    is as it was (`empty`, `too_small`, `no_evidence`, `partial`); None: it makes one, or that is not known yet.
    estimate: what a sample says of all profiles; None: all were read.
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


def statistics(sync: Sync) -> Aggregate:
    """What has been counted up to the last checkpoint."""
    return Aggregate.from_bytes(sync.aggregate) if sync.aggregate else Aggregate()


def clusters(sync: Sync, aggregate: Aggregate) -> list[ClusterResult]:
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
        _cluster(sync, summary, outcomes.get(summary.key), planned.get(summary.key), estimate)
        for summary, estimate in zip(summaries, of_all, strict=True)
    ]


def drift(sync: Sync, aggregate: Aggregate) -> Drift | None:
    """What changed since the complete sync before this one; None if there is none to compare with."""
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


def timings(sync: Sync, now: float | None = None) -> Timings:
    """How long what took. now: Unix seconds by the clock of Redis, for a sync that runs; None: only what is over."""
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


def document(sync: Sync, now: float | None = None, *, hint: str = "") -> dict[str, object]:
    """A sync as JSON; of one that runs, all that is known so far.

    Args:
        sync: The sync.
        now: As in `timings`.
        hint: What the user may do if it has failed, shown beside the error.
    """
    aggregate = statistics(sync)
    found, times = clusters(sync, aggregate), timings(sync, now)
    result: dict[str, object] = {
        **_head(sync),
        **({} if sync.request.sample is None else {"sample": sync.request.sample, "sampled": aggregate.profiles}),
        "unclassified": aggregate.unclassified,
        "personas": [
            _persona(cluster, cluster.outcome) for cluster in found if cluster.outcome and not cluster.outcome.skipped
        ],
        "skipped": [_left_out(cluster) for cluster in found if cluster.skipped],
        "credits_charged": sync.credits,
        "trait_errors": dict(sorted(aggregate.trait_errors.items())),
        **({"trait_error_shapes": shapes} if (shapes := frequent_shapes_by_trait(aggregate.error_shapes)) else {}),
        "profile_errors": aggregate.profile_errors,
        **({"merged": aggregate.merged} if sync.request.file is not None else {}),
        "profiles_unreadable": aggregate.unreadable,
        **({"vanished": aggregate.vanished} if sync.request.dialect == "profile-api" or aggregate.vanished else {}),
        "timings": {
            "queued_s": times.queued_s,
            "fetching_s": times.fetching_s,
            "finalizing_s": times.finalizing_s,
        },
        "started_at": moment(sync.started_at),
        "duration_s": times.total_s,
        "read_from": moment(sync.started_at),
        "read_to": moment(sync.fetched_at),
    }
    if not sync.state.is_final:
        result["clusters"] = [{**_named(cluster), **_size(cluster)} for cluster in found if cluster.summary.n]
        result["waiting_for"] = sync.note or None
        result |= {"revivals": sync.revivals, "epoch": sync.epoch}
    return result | _drift(sync, aggregate) | _bill(sync) | _plan(sync, found) | _error(sync, hint)


def row(sync: Sync, now: float | None = None) -> dict[str, object]:
    """A sync as JSON in a list, where its statistics are not looked at. now: as in `timings`."""
    return {
        **_head(sync),
        "credits_charged": sync.credits,
        "created_at": moment(sync.created_at),
        "started_at": moment(sync.started_at),
        "duration_s": timings(sync, now).total_s,
        **({} if sync.state.is_final else {"waiting_for": sync.note or None}),
        **_error(sync),
    }


def unreadable_row(sync: UnreadableSync) -> dict[str, object]:
    """A sync that cannot be read as JSON, in a list or by itself."""
    return {
        "sync_id": sync.id,
        "status": "unreadable",
        "space_id": sync.space_id or None,
        "created_at": moment(sync.created_at),
        "error": {"code": sync.code, "message": sync.reason},
    }


def moment(seconds: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC, to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_time(moment: float) -> str:
    """Unix seconds as date and time of this machine's zone, with the zone's name."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def time_span(start: float, end: float) -> str:
    """Two moments in this machine's zone, the second without the day if it is the same."""
    first, last = local_time(start), local_time(end)
    day, time, zone_name = first.split(" ", 2)
    if last.startswith(day) and last.endswith(f" {zone_name}"):
        return f"{day} {time} to {last.split(' ')[1]} {zone_name}"
    return f"{first} to {last}"


def short_time(moment: float) -> str:
    """Unix seconds as month, day and minute in this machine's zone, for a narrow column under `zone`."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%m-%d %H:%M")


def zone() -> str:
    """The name of this machine's time zone now."""
    return datetime.now().astimezone().strftime("%Z")


def to_json(document: Mapping[str, object] | Iterable[Mapping[str, object]], *, one_line: bool = False) -> str:
    """One JSON document: a line for each key, and for each entry of a list of objects, or all on one line."""
    if one_line:
        return _line(document if isinstance(document, Mapping) else list(document))
    if isinstance(document, Mapping):
        lines = [f"  {_line(key)}: {_value(value)}" for key, value in document.items()]
        return "{\n" + ",\n".join(lines) + "\n}"
    return "[" + ",\n".join(map(to_json, document)) + "]"


def skips_part(sync: Sync) -> bool:
    """Whether a cluster got no persona because only a part of the space was read."""
    found = clusters(sync, statistics(sync)) if sync.state is SyncState.COMPLETED and not sync.complete else []
    return any(cluster.skipped == "partial" and not cluster.persona_id for cluster in found)


def exit_code(syncs: Iterable[Sync]) -> int:
    """0 if all are completed (or still run), 1 if one failed, else 3 if one was cancelled."""
    states = {sync.state for sync in syncs}
    if SyncState.FAILED in states:
        return 1
    return 3 if SyncState.CANCELLED in states else 0


def _head(sync: Sync) -> dict[str, object]:
    return {
        "sync_id": sync.id,
        "status": sync.status,
        "space_id": sync.request.space_id,
        **({"rules": sync.request.rules.name} if sync.request.rules.name != RECIPE.name else {}),
        "profiles_fetched": sync.profiles,
        "pages_fetched": sync.pages,
        "complete": sync.complete,
        **({"file": sync.request.file} if sync.request.file is not None else {}),
        "plan_only": sync.request.plan_only,
        "applied_at": moment(sync.applied_at),
    }


def _error(sync: Sync, hint: str = "") -> dict[str, object]:
    if sync.error is None:
        return {}
    error = {"code": sync.error.code, "message": sync.error.message, "resumable": sync.error.resumable}
    hint = " ".join(filter(None, (sync.error.hint, hint)))
    return {"error": {**error, "hint": hint} if hint else error}


def _named(cluster: ClusterResult) -> dict[str, object]:
    """The cluster by its label, and by the key that never changes with it."""
    return {"cluster": cluster.summary.label, "key": cluster.summary.key}


def _drift(sync: Sync, aggregate: Aggregate) -> dict[str, object]:
    changed = drift(sync, aggregate)
    if changed is None:
        return {}
    labels = {cluster.key: cluster.label for cluster in sync.request.rules.clusters}
    before = changed.before
    return {
        "compared_with": {"sync_id": before.sync_id, "read_to": moment(before.read_to), "profiles": before.profiles},
        "drift": [
            {
                "cluster": labels[cluster.key],
                "key": cluster.key,
                "status": cluster.status,
                "n_before": cluster.before.n,
                "n": cluster.now.n,
                "points": round(cluster.share_points, 3),
                "means": {name: round(difference, 3) for name, difference in cluster.means.items()},
            }
            for cluster in changed.clusters
        ],
    }


def _plan(sync: Sync, found: Iterable[ClusterResult]) -> dict[str, object]:
    if sync.planned is None:
        return {}
    personas = [
        {
            **_named(cluster),
            "action": planned.action,
            "reason": planned.reason,
            "persona_id": planned.persona_id,
            "credits": planned.credits,
            "changes": [asdict(change) for change in planned.changes] if planned.persona_id else [],
            "payload": dict(planned.payload),
        }
        for cluster in found
        if (planned := cluster.planned) and not cluster.skipped
    ]
    return {
        "planned": personas,
        "credits_planned": sync.planned.credits,
        "max_credits": sync.planned.max_credits,
        "alarms": list(sync.planned.alarms),
        **({"account": sync.planned.account.model_dump(mode="json")} if sync.planned.account else {}),
        "orphans": [orphan.model_dump() for orphan in sync.planned.orphans],
    }


def _bill(sync: Sync) -> dict[str, object]:
    """What the account counted while the sync made its changes, beside what the sync was charged."""
    bill = sync.account
    if bill is None or bill.after is None:
        return {}
    after = bill.after.model_dump(mode="json", exclude={"used"})
    counted = {"used_before": bill.before.used, "used_after": bill.after.used, "charged": bill.charged}
    return {"account": {**after, **counted, "difference": bill.difference}}


def _size(cluster: ClusterResult) -> dict[str, object]:
    """How many profiles are in a cluster; of a sample also how many of all, and the cluster's share with 95 %
    confidence."""
    shown: dict[str, object] = {"n": cluster.summary.n}
    if (estimate := cluster.estimate) is not None:
        shown |= {"n_estimated": estimate.n, "share": cluster.summary.share}
        if estimate.share is not None:
            shown["share_95"] = [estimate.share.low, estimate.share.high]
    return shown


def _persona(cluster: ClusterResult, outcome: PersonaOutcome) -> dict[str, object]:
    summary = cluster.summary
    shown: dict[str, object] = {
        **_named(cluster),
        "id": outcome.persona_id,
        "persona_id": outcome.persona_id,
        **_size(cluster),
        "avg_ltv": summary.avg_ltv,
        "avg_churn": format_percent(summary.avg_churn),
        **_other_means(summary),
        "action": outcome.action,
    }
    if cluster.estimate is not None:
        shown["intervals_95"] = _intervals(cluster.estimate)
    if outcome.reason:
        shown["reason"] = outcome.reason
    if outcome.ignored:
        shown["ignored"] = list(outcome.ignored)
    return shown | _twins(outcome)


def _twins(outcome: PersonaOutcome | None) -> dict[str, object]:
    """Other personas that carry the reference of the cluster; nothing if there is none."""
    return {"twins": list(outcome.twins)} if outcome and outcome.twins else {}


def _other_means(summary: ClusterSummary) -> dict[str, object]:
    """The means of rules that are not the recipe's, by the names of their traits."""
    if summary.numbers.keys() <= {trait.name for trait in RECIPE.traits}:
        return {}
    return {"means": {name: number.mean for name, number in summary.numbers.items()}}


def _intervals(estimate: Estimate) -> dict[str, object]:
    """By trait, between what its mean or median, or the shares of its values lie."""
    found: dict[str, Mapping[str, Interval]] = {
        **{name: {typical.of: typical.interval} for name, typical in estimate.numbers.items()},
        **estimate.categories,
        **{name: {"true": interval} for name, interval in estimate.booleans.items()},
    }
    return {
        name: {what: [interval.low, interval.high] for what, interval in intervals.items()}
        for name, intervals in found.items()
    }


def _left_out(cluster: ClusterResult) -> dict[str, object]:
    shown: dict[str, object] = {**_named(cluster), **_size(cluster), "reason": cluster.skipped}
    if cluster.persona_id:
        shown["persona_id"] = cluster.persona_id
    return shown | _twins(cluster.outcome)


def _cluster(
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


def _value(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return "[\n    " + ",\n    ".join(map(_line, value)) + "\n  ]"
    return _line(value)


def _line(value: object) -> str:
    return json_text(value)
