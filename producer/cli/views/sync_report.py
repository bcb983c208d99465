"""The report of a sync: what it has read, a table of its clusters, its plan, and how it ended.

Pure: from a snapshot to something that rich prints. No text is read as markup.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from producer.cli.command_lines import with_program_name
from producer.cli.terminal import NARROWEST
from producer.cli.views.history import drift_lines
from producer.cli.views.plan import account_lines, describe_action, plan_lines
from producer.cli.views.time_formats import format_duration, local_time, time_span
from worker.clusters import Aggregate, ClusterSummary, Estimate, Rules
from worker.clusters.rules.trait import Trait
from worker.clusters.statistics.value_shape import frequent_shapes_by_trait
from worker.documents.sync_results import ClusterResult, cluster_results, sync_drift, sync_statistics, sync_timings
from worker.mavera.text.formatting import format_amount
from worker.models.sync import Sync, SyncState
from worker.models.warehouse import AUTO_TABLE
from worker.printable import printable

STYLES = {
    SyncState.QUEUED: "yellow",
    SyncState.FETCHING: "cyan",
    SyncState.FINALIZING: "magenta",
    SyncState.COMPLETED: "green",
    SyncState.FAILED: "red",
    SyncState.CANCELLED: "yellow",
}


def describe_counts(sync: Sync, rate: float | None = None) -> str:
    """Pages, in fan-out of those listed, shards of all, or the table; profiles and, if known, profiles a second."""
    pages = f"{sync.pages:,} page{'' if sync.pages == 1 else 's'}"
    if sync.shards:
        read = f"{sync.pages:,} of " if sync.pages < sync.shards.count else ""
        pages = f"{read}{sync.shards.count:,} file{'' if sync.shards.count == 1 else 's'}"
    elif sync.request.warehouse is not None:
        named = None if sync.request.warehouse == AUTO_TABLE else sync.request.warehouse
        table = sync.warehouse_read.table if sync.warehouse_read else named
        pages = f"table {table}" if table else "warehouse"
    elif sync.pages_listed > sync.pages:
        pages += f" of {sync.pages_listed:,} listed"
    text = f"{pages}, {sync.profiles:,} profile{'' if sync.profiles == 1 else 's'}"
    return text if rate is None else f"{text}, {rate:,.0f}/s"


def describe_persona(cluster: ClusterResult, sync: Sync) -> str:
    """Returns the outcome for a cluster: its persona, why it gets none or keeps an unchanged one; empty if not known
    yet.
    """
    reasons = {
        "empty": "no profile is in it",
        "too_small": f"fewer than {sync.request.min_cluster_size}",
        "no_evidence": "too few of its profiles have the traits that it needs",
        "partial": "it describes the whole space, and this sync only a part"
        if cluster.persona_id
        else "only a part of the space was read",
    }
    if cluster.skipped:
        left = f"left {cluster.persona_id}" if cluster.persona_id else "none"
        return f"{left}: {reasons.get(cluster.skipped, cluster.skipped)}"
    if cluster.planned:
        return describe_action(cluster.planned)
    return f"{cluster.outcome.action} {cluster.outcome.persona_id}" if cluster.outcome else ""


def sync_report(
    sync: Sync, now: float | None = None, *, details: bool = False, plan_shown: bool = False
) -> list[RenderableType]:
    """Returns a sync in its present state, with a table of its clusters.

    Args:
        sync: The sync.
        now: As of `sync_timings`.
        details: Whether a plan is shown with every field that would change.
        plan_shown: Whether the plan was shown with this table before, so that only its outcome is shown.
    """
    aggregate, times = sync_statistics(sync), sync_timings(sync, now)
    head = Text()
    head.append(sync.request.space_id, "bold")
    head.append(f"  {sync.id}  ")
    head.append(sync.status, STYLES[sync.state])
    if times.total_s is not None:
        head.append(f" {'in' if sync.finished_at else 'for'} {format_duration(times.total_s)}")
    found = cluster_results(sync, aggregate)
    if plan_shown:
        return [head, *_outcome_lines(sync, found), *note_lines(sync), *_failure(sync)]
    parts: list[RenderableType] = [head, Text(_describe_reading(sync, now))]
    if any(cluster.summary.n for cluster in found):
        parts.append(_ClusterTable(sync, found))
    remarks = []
    if sync.request.sample is not None:
        remarks.append(f"A sample of {sync.request.sample:.4g} of the profiles; profiles read: {aggregate.profiles:,}.")
    if sync.outcomes:
        remarks.append(_describe_charges(sync))
    if aggregate.unclassified:
        remarks.append(f"{_number(aggregate.unclassified, 'profile')} without any deciding trait: in no cluster.")
    if aggregate.trait_errors:
        remarks.append(f"Unusable values: {_trait_errors(aggregate)}.")
    if aggregate.profile_errors:
        remarks.append(f"Entries that are not profiles: {aggregate.profile_errors:,}.")
    if aggregate.merged:
        remarks.append(f"{_number(aggregate.merged, 'row')} left out: these profiles were merged into others.")
    if aggregate.unreadable:
        remarks.append(f"{_number(aggregate.unreadable, 'profile')} left out: Segment did not return their traits.")
    if aggregate.vanished:
        remarks.append(f"{_number(aggregate.vanished, 'profile')} deleted before their traits were read.")
    if any(cluster.skipped == "partial" and cluster.persona_id for cluster in found):
        remarks.append("To overwrite personas that describe the whole space with a part of it, add --allow-partial.")
    remarks += _ignored_fields(sync)
    parts += (Text(printable(remark)) for remark in remarks)
    if changed := sync_drift(sync, aggregate):
        parts += drift_lines(changed, sync.request.rules)
    parts += plan_lines(found, details=details)
    if sync.planned:
        parts += account_lines(sync.planned, sync.request)
        parts += (Text(f"{alarm}.", "yellow") for alarm in sync.planned.alarms)
    if sync.account and (sentence := sync.account.describe()):
        parts.append(Text(f"{sentence}.", "yellow" if (sync.account.difference or 0) > 0 else "dim"))
    return [*parts, *note_lines(sync), *_failure(sync)]


def _describe_charges(sync: Sync) -> str:
    current = sum(not outcome.skipped for outcome in sync.outcomes)
    return f"{_number(current, 'persona')}, {sync.credits:,} credits charged."


def _ignored_fields(sync: Sync) -> list[str]:
    return [
        f"Mavera ignored fields of {outcome.persona_id}: {', '.join(outcome.ignored)}."
        for outcome in sync.outcomes
        if outcome.ignored
    ]


def _outcome_lines(sync: Sync, found: Sequence[ClusterResult]) -> list[RenderableType]:
    """Returns what became of each cluster of a plan that was shown before, a line each, and what it cost."""
    lines = [
        f"  {cluster.summary.label}: {describe_persona(cluster, sync)}"
        for cluster in found
        if describe_persona(cluster, sync)
    ]
    if sync.outcomes:
        lines += [_describe_charges(sync), *_ignored_fields(sync)]
    return [Text(printable(line)) for line in lines]


def _describe_reading(sync: Sync, now: float | None) -> str:
    rate = None
    fetching_s = sync_timings(sync, now).fetching_s
    if fetching_s and sync.profiles:
        rate = sync.profiles / fetching_s
    text = describe_counts(sync, rate)
    if sync.started_at is not None and sync.fetched_at is not None:
        moment = _snapshot_at(sync)
        read = time_span(sync.started_at, sync.fetched_at) if moment is None else f"as of {local_time(moment)}"
        text += f"; read {read}"
        if not sync.complete:
            text += f"; only a part of the {sync.request.source_name}, as requested"
    return text


def _snapshot_at(sync: Sync) -> float | None:
    """Returns the one moment that the numbers are of, in Unix seconds; None: the source moved while it was read."""
    if sync.warehouse_read is not None and sync.warehouse_read.query_id:
        return sync.warehouse_read.submitted_at
    return None if sync.shards is None else sync.shards.listed_at


class _ClusterTable:
    """The table of clusters. On a narrow screen it has no lines, so that the ids of personas fit."""

    def __init__(self, sync: Sync, found: Sequence[ClusterResult]) -> None:
        self._sync = sync
        self._found = found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _table(self._sync, self._found, narrow=options.max_width < NARROWEST)


def _table(sync: Sync, found: Sequence[ClusterResult], *, narrow: bool) -> Table:
    table = Table(box=None, pad_edge=False) if narrow else Table(box=box.ROUNDED)
    table.add_column("Cluster", overflow="fold")
    traits = _shown_traits(sync.request.rules)
    sizes = ("Profiles",) if sync.request.sample is None else ("Sampled", "Of all", "Share\n(95 %)")
    for title in (*sizes, *(f"Avg\n{trait.label}" for trait in traits)):
        table.add_column(title.replace(" ", "\n") if narrow else title, justify="right", overflow="fold")
    table.add_column("Persona", overflow="fold")
    for cluster in found:
        summary = cluster.summary
        table.add_row(
            summary.label,
            f"{summary.n:,}",
            *_estimate(cluster.estimate),
            *(_mean(trait, summary) for trait in traits),
            Text(printable(describe_persona(cluster, sync)), "" if cluster.outcome else "dim"),
        )
    return table


def _shown_traits(rules: Rules) -> list[Trait]:
    """Returns the two numbers for which there is room: first those whose scale says what they mean."""
    numbers = [trait for trait in rules.traits if trait.type == "number"]
    return sorted(numbers, key=lambda trait: trait.scale == "plain")[:2]


def _mean(trait: Trait, summary: ClusterSummary) -> str:
    mean = summary.numbers[trait.name].mean
    return "n/a" if mean is None else format_amount(trait, mean)


def _estimate(estimate: Estimate | None) -> list[str]:
    """Cells that only the clusters of a sample have."""
    if estimate is None:
        return []
    if estimate.share is None:
        return [f"{estimate.n:,}", "n/a"]
    return [f"{estimate.n:,}", f"{estimate.share.low:.1%} to {estimate.share.high:.1%}"]


def note_lines(sync: Sync) -> list[RenderableType]:
    """Returns what the sync waits for at the moment, as a line; none if it does not wait."""
    return [Text(f"  {printable(sync.note)}", "yellow")] if sync.note else []


def _failure(sync: Sync) -> list[RenderableType]:
    if sync.error is None:
        return []
    # The next step after `over_budget` names the setting to raise and its value, so the hint would repeat it.
    has_hint = sync.error.hint and sync.error.code != "over_budget"
    hint = f"\n{printable(with_program_name(sync.error.hint))}" if has_hint else ""
    return [Text(f"{sync.error.code}: {printable(sync.error.message)}{hint}", "red")]


def _trait_errors(aggregate: Aggregate) -> str:
    """Returns how many there are of each trait, and how the most frequent ones are written."""
    shapes = frequent_shapes_by_trait(aggregate.error_shapes)
    parts = []
    for name, count in sorted(aggregate.trait_errors.items()):
        found = shapes.get(name, {})
        if len(found) == 1 and count in found.values():
            parts.append(f"{name}: {count:,} like {next(iter(found))}")
        else:
            like = ", ".join(f"{n:,} like {shape}" for shape, n in found.items())
            parts.append(f"{name}: {count:,}" + (f" ({like})" if like else ""))
    return "; ".join(parts)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
