"""Follows syncs to their end, shows how they ended, and names the next step.

Results go to standard output; progress, hints and remarks to standard error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from producer.cli.command_lines import run_again
from producer.cli.connect import Connection
from producer.cli.exit_codes import CHANGES, DONE, FAILED, INTERRUPTED, NEEDS_DECISION, NOT_AGREED, TRY_LATER
from producer.cli.syncs.follow import Follower
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
from producer.cli.terminal import Screen, stdout
from producer.cli.views.plan import changes_personas
from producer.cli.views.progress import open_progress
from producer.cli.views.sync_report import sync_report
from producer.client import SyncClient
from worker.documents.sync_document import sync_document
from worker.documents.sync_results import skips_part
from worker.models.sync import Sync, SyncState


@dataclass(frozen=True)
class KeptState:
    """The state of a command's syncs after it ends.

    Attributes:
        arguments: What the user typed, of a command whose state ends with its process; None if it is kept.
        typed: What the user typed, if it is known.
        stops: Whether no other worker works on the syncs.
        in_directory: Whether the state directory keeps them.
        works_here: Whether a worker of this process works on them.
    """

    arguments: tuple[str, ...] | None = None
    typed: tuple[str, ...] = ()
    stops: bool = False
    in_directory: bool = False
    works_here: bool = False


@dataclass(frozen=True)
class ReportOptions:
    """The options for showing syncs.

    Attributes:
        json: Whether as JSON.
        many: Whether JSON is an array, because several syncs were asked for.
        details: Whether a plan is shown with every field.
        plan_shown: Whether the plan was shown already, before it was applied.
        changes_code: Whether the exit code shows that a plan would change something.
        state: What becomes of the syncs when the command ends.
    """

    json: bool = False
    many: bool = False
    details: bool = False
    plan_shown: bool = False
    changes_code: bool = False
    state: KeptState = KeptState()


@dataclass(frozen=True)
class FollowResult:
    """The result of following syncs.

    Attributes:
        syncs: Their last snapshots.
        stopped: Why following stopped before all syncs ended; empty otherwise.
        code: The exit code in that case.
    """

    syncs: list[Sync]
    stopped: str = ""
    code: int = DONE


def kept_state(connection: Connection, typed: tuple[str, ...] = ()) -> KeptState:
    """Returns where the state of a connection's syncs is kept.

    Args:
        connection: The connection of the command.
        typed: What the user typed after the program's name.
    """
    return KeptState(
        arguments=typed if connection.is_in_memory else None,
        typed=typed,
        stops=connection.stops_with_command,
        in_directory=connection.directory is not None,
        works_here=connection.own_syncs is not None,
    )


async def follow_to_end(
    client: SyncClient, syncs: Sequence[Sync], err: Screen, timeout_s: float, report_options: ReportOptions
) -> FollowResult:
    """Follows the syncs to their end, to the end of patience, or to the user's Ctrl-C; never raises for these."""
    with open_progress(err) as shown:
        state = report_options.state
        follower = Follower(client, syncs, shown, watch_workers=not state.works_here, in_directory=state.in_directory)
        try:
            await follower.run(timeout_s)
        except TimeoutError:
            return FollowResult(follower.syncs, f"Timed out after {timeout_s:g} s", TRY_LATER)
        except asyncio.CancelledError:
            # Ctrl-C or SIGTERM. Swallow the cancellation: the hints are still to be printed.
            return FollowResult(follower.syncs, "Interrupted", INTERRUPTED)
        if not report_options.json:
            shown.clear()  # the report that follows says all of it
    return FollowResult(follower.syncs)


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
    for step in after_stopping(running, state.typed) if state.stops else after_interruption(running):
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


async def warn_without_worker(connection: Connection, err: Screen, running: Sequence[Sync] = ()) -> None:
    """Warns if no worker is running.

    Args:
        connection: Whose workers are looked for.
        err: Where the warning goes.
        running: The syncs that wait for one.
    """
    if await connection.client.workers():
        return
    if connection.directory is not None and running:
        err.print_text(str(continue_here(running)))
    else:
        err.print_text(f"No worker is running, so the sync waits. {how_to_start_worker()}")


def exit_code_of_syncs(syncs: Iterable[Sync]) -> int:
    """0 if all are completed (or still run), 1 if one failed, else 3 if one was cancelled."""
    states = {sync.state for sync in syncs}
    if SyncState.FAILED in states:
        return FAILED
    return NOT_AGREED if SyncState.CANCELLED in states else DONE


def _next_step(sync: Sync, report_options: ReportOptions) -> NextStep | None:
    if sync.state is SyncState.FAILED:
        return after_failure(sync, report_options.state.arguments)
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
