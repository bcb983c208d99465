"""The JSON documents of syncs: what `--json` prints and what the HTTP API answers with.

Pure. The keys of an ended sync, and their order, are a contract with every program that reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from worker.clusters import RECIPE, Aggregate, ClusterSummary, Estimate, format_percent
from worker.clusters.analysis.confidence import Interval
from worker.clusters.analysis.snapshot import Snapshot
from worker.clusters.statistics.value_shape import frequent_shapes_by_trait
from worker.documents.json_format import iso_time
from worker.documents.sync_results import ClusterResult, cluster_results, sync_drift, sync_statistics, sync_timings
from worker.models.outcome import PersonaOutcome
from worker.models.sync import Sync, SyncState
from worker.models.versions import UnreadableSync
from worker.models.warehouse import AUTO_TABLE


def sync_document(sync: Sync, now: float | None = None, *, hint: str = "") -> dict[str, object]:
    """Returns a sync as JSON; of one that runs, all that is known so far.

    Args:
        sync: The sync.
        now: As for `sync_timings`.
        hint: What the user may do if it has failed, shown beside the error.
    """
    aggregate = sync_statistics(sync)
    # Of a sync that has counted nothing yet, no cluster is shown.
    has_clusters = sync.aggregate or sync.fetched_at is not None or sync.state is SyncState.COMPLETED
    found = cluster_results(sync, aggregate) if has_clusters else []
    times = sync_timings(sync, now)
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
        **({} if sync.request.reads_segment else {"merged": aggregate.merged}),
        "profiles_unreadable": aggregate.unreadable,
        **({"vanished": aggregate.vanished} if sync.request.dialect == "profile-api" or aggregate.vanished else {}),
        "timings": {
            "queued_s": times.queued_s,
            "fetching_s": times.fetching_s,
            "finalizing_s": times.finalizing_s,
        },
        "started_at": iso_time(sync.started_at),
        "duration_s": times.total_s,
        **_origin(sync, aggregate),
    }
    if not sync.state.is_final:
        result["clusters"] = [{**_named(cluster), **_size(cluster)} for cluster in found if cluster.summary.n]
        result["waiting_for"] = sync.note or None
        result |= {"revivals": sync.revivals, "epoch": sync.epoch}
    return result | _drift(sync, aggregate) | _bill(sync) | _plan(sync, found) | _error(sync, hint)


def sync_list_entry(sync: Sync | UnreadableSync, now: float) -> dict[str, object]:
    """Returns a sync as JSON in a list, where its statistics are not looked at.

    Args:
        sync: The sync, as it was read.
        now: As for `sync_timings`.
    """
    if isinstance(sync, UnreadableSync):
        return unreadable_sync_entry(sync)
    return {
        **_head(sync),
        "credits_charged": sync.credits,
        "created_at": iso_time(sync.created_at),
        "started_at": iso_time(sync.started_at),
        "duration_s": sync_timings(sync, now).total_s,
        **({} if sync.state.is_final else {"waiting_for": sync.note or None}),
        **_error(sync),
    }


def unreadable_sync_entry(sync: UnreadableSync) -> dict[str, object]:
    """Returns the document of a sync that cannot be read, in a list or alone."""
    return {
        "sync_id": sync.id,
        "status": "unreadable",
        "space_id": sync.space_id or None,
        "created_at": iso_time(sync.created_at),
        "error": {"code": sync.code, "message": sync.reason},
    }


def history_entry(snapshot: Snapshot) -> Mapping[str, object]:
    """Returns a complete sync of a space's history as JSON. The sizes of two entries can be compared if `counted` is
    equal.
    """
    return {
        "sync_id": snapshot.sync_id,
        "read_from": iso_time(snapshot.read_from),
        "read_to": iso_time(snapshot.read_to),
        "counted": snapshot.counting_digest,
        "profiles": snapshot.profiles,
        "unclassified": snapshot.unclassified,
        "clusters": {
            key: {"n": cluster.n, "share": round(cluster.share, 6)} for key, cluster in snapshot.clusters.items()
        },
    }


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
        **({"table": table} if (table := _table(sync)) else {}),
        **({"shards": {"read": sync.pages, "of": sync.shards.count}} if sync.shards else {}),
        "plan_only": sync.request.plan_only,
        "applied_at": iso_time(sync.applied_at),
    }


def _origin(sync: Sync, aggregate: Aggregate) -> dict[str, object]:
    """Returns the source and the time of the numbers.

    Shards are unchanged since they were listed. A statement at a warehouse sees one snapshot.
    """
    if sync.request.warehouse is not None:
        read = sync.warehouse_read
        snapshot_at = iso_time(read.submitted_at) if read and read.query_id else None
        return {
            "source": "warehouse",
            **({"engine": read.engine} if read else {}),
            "rows": aggregate.entries + aggregate.left_out + aggregate.merged,
            **({"bytes": read.bytes} if read and read.bytes is not None else {}),
            "read_from": snapshot_at,
            "read_to": None if sync.fetched_at is None else snapshot_at,
        }
    source = {"source": "segment" if sync.request.file is None else "file"}
    if sync.shards is None:
        return {**source, "read_from": iso_time(sync.started_at), "read_to": iso_time(sync.fetched_at)}
    listed_at = iso_time(sync.shards.listed_at)
    return {
        **source,
        "rows": aggregate.entries + aggregate.left_out + aggregate.merged,
        "bytes": sync.shards.size,
        "read_from": listed_at,
        "read_to": None if sync.fetched_at is None else listed_at,
    }


def _table(sync: Sync) -> str | None:
    """Returns the table as the warehouse spells it, once that is known; None if none is named before."""
    named = None if sync.request.warehouse == AUTO_TABLE else sync.request.warehouse
    return sync.warehouse_read.table if sync.warehouse_read else named


def _error(sync: Sync, hint: str = "") -> dict[str, object]:
    if sync.error is None:
        return {}
    error = {"code": sync.error.code, "message": sync.error.message, "resumable": sync.error.resumable}
    hint = " ".join(filter(None, (sync.error.hint, hint)))
    return {"error": {**error, "hint": hint} if hint else error}


def _named(cluster: ClusterResult) -> dict[str, object]:
    """Returns the label and the key of the cluster."""
    return {"cluster": cluster.summary.label, "key": cluster.summary.key}


def _drift(sync: Sync, aggregate: Aggregate) -> dict[str, object]:
    changed = sync_drift(sync, aggregate)
    if changed is None:
        return {}
    labels = {cluster.key: cluster.label for cluster in sync.request.rules.clusters}
    before = changed.before
    return {
        "compared_with": {"sync_id": before.sync_id, "read_to": iso_time(before.read_to), "profiles": before.profiles},
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
    """Returns what the account counted while the sync made its changes, beside what the sync was charged."""
    bill = sync.account
    if bill is None or bill.after is None:
        return {}
    after = bill.after.model_dump(mode="json", exclude={"used"})
    counted = {"used_before": bill.before.used, "used_after": bill.after.used, "charged": bill.charged}
    return {"account": {**after, **counted, "difference": bill.difference}}


def _size(cluster: ClusterResult) -> dict[str, object]:
    """Returns how many profiles are in a cluster; of a sample also how many of all, and the cluster's share with 95 %
    confidence.
    """
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
    """Returns the other personas that have the reference of the cluster; nothing if there is none."""
    return {"twins": list(outcome.twins)} if outcome and outcome.twins else {}


def _other_means(summary: ClusterSummary) -> dict[str, object]:
    """Returns the means of rules that are not the recipe's, by the names of their traits."""
    if summary.numbers.keys() <= {trait.name for trait in RECIPE.traits}:
        return {}
    return {"means": {name: number.mean for name, number in summary.numbers.items()}}


def _intervals(estimate: Estimate) -> dict[str, object]:
    """Returns by trait the interval of its mean or median, or of the shares of its values."""
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
