"""Shows how the syncs of a command ended, and names the next step.

Results go to standard output; progress, hints and remarks to standard error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from producer.cli.command_lines import run_again
from producer.cli.connect import Connection
from producer.cli.exit_codes import CHANGES, DONE, FAILED, NEEDS_DECISION, NOT_AGREED
from producer.cli.syncs.follow import FollowResult
from producer.cli.syncs.next_steps import (
    NextStep,
    after_failure,
    after_interruption,
    after_partial_sync,
    after_plan,
    after_stopping,
    continue_here,
    how_to_start_worker,
)
from producer.cli.syncs.report_options import ReportOptions
from producer.cli.terminal import Screen, stdout
from producer.cli.views.plan import changes_personas
from producer.cli.views.sync_report import sync_report
from worker.documents.sync_document import sync_document
from worker.documents.sync_results import skips_part
from worker.models.sync import Sync, SyncState


def report_result(ending: FollowResult, err: Screen, report_options: ReportOptions) -> int:
    """Shows how following ended and how to continue. Returns the exit code."""
    if report_options.json or not ending.stopped:
        print_syncs(ending.syncs, err, report_options)
    if not ending.stopped:
        return _code(ending.syncs, report_options)
    state, running = report_options.state, [sync for sync in ending.syncs if not sync.state.is_final]
    if state.arguments is not None:
        lost = "the state of this sync was in memory only. Personas already created are kept. To run it again:"
        err.print_text(str(NextStep(f"{ending.stopped}: {lost}", (run_again(state.arguments),))))
        return ending.code
    err.print_text(f"{ending.stopped}." if state.stops else f"{ending.stopped}: no longer following.")
    steps = after_stopping(running, state.typed) if state.stops else after_interruption(running, ending.condition)
    for step in steps:
        err.print_text(str(step))
    return ending.code


def print_syncs(syncs: Sequence[Sync], err: Screen, report_options: ReportOptions, now: float | None = None) -> None:
    """Shows the syncs, and what to do about those that failed or only planned.

    Args:
        syncs: Their last snapshots.
        err: Where the next steps go.
        report_options: How the syncs are shown.
        now: As for `sync_timings`.
    """
    out = stdout()
    steps = [_next_step(sync, report_options) for sync in syncs]
    if report_options.json:
        write_documents(out, syncs, report_options, now)
    else:
        for sync in syncs:
            out.print_views(
                *sync_report(sync, now, details=report_options.details, plan_shown=report_options.plan_shown)
            )
    for step in steps:
        if step is not None:
            err.print_text(str(step))


def write_documents(
    out: Screen, syncs: Sequence[Sync], report_options: ReportOptions, now: float | None = None
) -> None:
    """Writes the syncs as one JSON document."""
    documents = []
    for sync in syncs:
        step = _next_step(sync, report_options) if sync.error else None
        documents.append(sync_document(sync, now, hint=_document_hint(sync, step) if step else ""))
    out.write_json(documents if report_options.many else documents[0])


def _document_hint(sync: Sync, step: NextStep) -> str:
    """Returns the commands of a step; also when to use them, where this depends on what has changed."""
    commands = " ; ".join(step.commands)
    return f"{step.sentence} {commands}" if sync.error and sync.error.needs_other_options else commands


def print_enqueued(syncs: Sequence[Sync], *, json: bool, many: bool = False) -> None:
    """Shows syncs that are not followed: their ids, or all that is known as JSON."""
    out = stdout()
    if json:
        write_documents(out, syncs, ReportOptions(json=True, many=many))
    else:
        for sync in syncs:
            out.write(sync.id)


async def warn_without_worker(
    connection: Connection, err: Screen, running: Sequence[Sync] = (), *, result: str = ""
) -> None:
    """Warns if no worker is running.

    Args:
        connection: Whose workers are looked for.
        err: Where the warning goes.
        running: The syncs that wait for one.
        result: What follows from that; empty: that the syncs wait.
    """
    if await connection.client.workers():
        return
    if connection.directory is not None and running:
        err.print_text(str(continue_here(running)))
    else:
        result = result or ("the syncs wait" if len(running) > 1 else "the sync waits")
        err.print_text(f"No worker is running, so {result}. {how_to_start_worker()}")


def exit_code_of_syncs(syncs: Iterable[Sync]) -> int:
    """0 if all are completed (or still run), 1 if one failed, else 3 if one was cancelled."""
    states = {sync.state for sync in syncs}
    if SyncState.FAILED in states:
        return FAILED
    return NOT_AGREED if SyncState.CANCELLED in states else DONE


def _next_step(sync: Sync, report_options: ReportOptions) -> NextStep | None:
    if sync.state is SyncState.FAILED:
        return after_failure(sync, report_options.state.arguments, report_options.state.typed)
    if sync.planned:
        return after_plan(sync, report_options.state.arguments)
    return after_partial_sync(sync, report_options.state.arguments) if skips_part(sync) else None


def _code(syncs: Sequence[Sync], report_options: ReportOptions) -> int:
    code = exit_code_of_syncs(syncs)
    plans = [sync.planned for sync in syncs if sync.planned]
    if code or not report_options.changes_code or not plans:
        return code
    if any(plan.over_budget or plan.alarms for plan in plans):
        return NEEDS_DECISION
    return CHANGES if any(map(changes_personas, plans)) else DONE
