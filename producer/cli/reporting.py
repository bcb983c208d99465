"""Following syncs to their end and showing how they ended, with what the user may do next.

Results go to standard output; progress, hints and remarks to standard error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from producer.cli.command_lines import run_again
from producer.cli.exit_codes import CHANGES, DONE, FAILED, INTERRUPTED, NEEDS_DECISION, NOT_AGREED, TRY_LATER
from producer.cli.follow import Follower
from producer.cli.next_steps import (
    NextStep,
    after_a_part,
    after_failure,
    after_leaving,
    after_plan,
    start_worker,
)
from producer.cli.terminal import Screen, stdout
from producer.cli.views.plan import changes_personas
from producer.cli.views.progress import progress
from producer.cli.views.sync_views import report
from producer.client import SyncClient
from worker.documents.sync_document import sync_document
from worker.documents.sync_results import skips_part
from worker.models.sync import Sync, SyncState


@dataclass(frozen=True)
class ReportOptions:
    """How a command shows its syncs.

    Attributes:
        json: Whether as JSON.
        many: Whether JSON is an array, because several syncs were asked for.
        details: Whether a plan is shown with every field.
        plan_shown: Whether the plan was shown already, before it was applied.
        arguments: What the user typed, of a command whose state ends with its process; None where Redis keeps it.
        changes_code: Whether the exit code tells if a plan would change something.
    """

    json: bool = False
    many: bool = False
    details: bool = False
    plan_shown: bool = False
    arguments: tuple[str, ...] | None = None
    changes_code: bool = False


@dataclass(frozen=True)
class FollowResult:
    """How following ended. syncs: as last seen. stopped: why, if they have not all ended. code: then the exit code."""

    syncs: list[Sync]
    stopped: str = ""
    code: int = DONE


async def follow_to_end(
    client: SyncClient, syncs: Sequence[Sync], err: Screen, timeout_s: float, report_options: ReportOptions
) -> FollowResult:
    """Follows the syncs to their end, to the end of patience, or to the user's Ctrl-C; never raises for these."""
    with progress(err) as shown:
        follower = Follower(client, syncs, shown, watch_workers=report_options.arguments is None)
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


def finish(ending: FollowResult, err: Screen, report_options: ReportOptions) -> int:
    """Shows how following ended and how to go on. Returns the exit code."""
    if report_options.json or not ending.stopped:
        show(ending.syncs, err, report_options)
    if not ending.stopped:
        return _code(ending.syncs, report_options)
    if report_options.arguments is not None:
        lost = "stopping; the state of the sync is lost. Personas already created are kept. To run it again:"
        err.say(str(NextStep(f"{ending.stopped}: {lost}", (run_again(report_options.arguments),))))
        return ending.code
    err.say(f"{ending.stopped}: no longer following.")
    for step in after_leaving([sync for sync in ending.syncs if not sync.state.is_final]):
        err.say(str(step))
    return ending.code


def show(syncs: Sequence[Sync], err: Screen, report_options: ReportOptions, now: float | None = None) -> None:
    """Shows the syncs, and what to do about those that failed or only planned. now: as of `sync_timings`."""
    out = stdout()
    steps = [_next_step(sync, report_options) for sync in syncs]
    if report_options.json:
        write_documents(out, syncs, report_options, now)
    else:
        for sync in syncs:
            out.put(*report(sync, now, details=report_options.details, plan_shown=report_options.plan_shown))
    for step in steps:
        if step is not None:
            err.say(str(step))


def write_documents(
    out: Screen, syncs: Sequence[Sync], report_options: ReportOptions, now: float | None = None
) -> None:
    """Writes the syncs as one JSON document."""
    documents = []
    for sync in syncs:
        step = _next_step(sync, report_options) if sync.error else None
        documents.append(sync_document(sync, now, hint=" ; ".join(step.commands) if step else ""))
    out.write_json(documents if report_options.many else documents[0])


def print_enqueued(syncs: Sequence[Sync], *, json: bool, many: bool = False) -> None:
    """Shows syncs that are not followed: their ids, or all that is known as JSON."""
    out = stdout()
    if json:
        write_documents(out, syncs, ReportOptions(json=True, many=many))
    else:
        for sync in syncs:
            out.write(sync.id)


async def warn_without_worker(client: SyncClient, err: Screen) -> None:
    """Warns if no worker is running."""
    if not await client.workers():
        err.say(f"No worker is running, so the sync waits. {start_worker()}")


def exit_code_of_syncs(syncs: Iterable[Sync]) -> int:
    """0 if all are completed (or still run), 1 if one failed, else 3 if one was cancelled."""
    states = {sync.state for sync in syncs}
    if SyncState.FAILED in states:
        return FAILED
    return NOT_AGREED if SyncState.CANCELLED in states else DONE


def _next_step(sync: Sync, report_options: ReportOptions) -> NextStep | None:
    if sync.state is SyncState.FAILED:
        return after_failure(sync, report_options.arguments)
    if sync.planned:
        return after_plan(sync, report_options.arguments)
    return after_a_part(sync, report_options.arguments) if skips_part(sync) else None


def _code(syncs: Sequence[Sync], report_options: ReportOptions) -> int:
    code = exit_code_of_syncs(syncs)
    plans = [sync.planned for sync in syncs if sync.planned]
    if code or not report_options.changes_code or not plans:
        return code
    if any(plan.over_budget or plan.alarms for plan in plans):
        return NEEDS_DECISION
    return CHANGES if any(map(changes_personas, plans)) else DONE
