"""The commands about syncs, after their options are read: they enqueue, follow and show syncs, and name the next step.

Each returns its exit code. Results go to standard output; progress, hints and remarks to standard error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from producer.cli.connect import (
    Connection,
    open_client,
    open_for_sync,
    open_worker,
    require_own_account,
    require_tokens,
)
from producer.cli.exit_codes import DONE, NOT_AGREED, WRONG_USE
from producer.cli.input_files import describe_terminal_input
from producer.cli.sync_options import SyncOptions, build_requests
from producer.cli.syncs.enqueue import enqueued, require_readable
from producer.cli.syncs.follow import FollowResult, follow_to_end
from producer.cli.syncs.next_steps import after_plan, how_to_start_first_sync
from producer.cli.syncs.report_options import ReportOptions, kept_state
from producer.cli.syncs.reporting import (
    exit_code_of_syncs,
    print_enqueued,
    print_syncs,
    report_result,
    warn_without_worker,
    write_documents,
)
from producer.cli.terminal import Screen, confirm, stdout
from producer.cli.views.history import history_table
from producer.cli.views.plan import changes_personas, confirmation_question, plan_summary
from producer.cli.views.sync_list import sync_table
from producer.cli.views.sync_report import sync_report
from producer.cli.views.time_formats import local_time
from producer.client import SyncClient
from worker.documents.sync_document import history_entry, sync_list_entry, unreadable_sync_entry
from worker.models.request import identity
from worker.models.sync import Sync
from worker.models.versions import SyncUnreadable, UnreadableSync
from worker.settings import Settings


@dataclass(frozen=True)
class ContinueOptions:
    """The options that `apply` and `resume` share.

    Attributes:
        accept: Whether to override the safety check that stopped the sync.
        max_credits: The most credits that the sync may spend; None: the default of `SyncClient.apply` or `resume`.
        wait: Whether to follow the sync to its end.
        json: Whether to print the result as JSON.
        timeout_s: How long to follow, in seconds.
    """

    accept: bool
    max_credits: int | None
    wait: bool
    json: bool
    timeout_s: float


async def run_sync(settings: Settings, err: Screen, options: SyncOptions) -> int:
    """Asks for a sync of each space, or a preview, and follows them to their end.

    A user at a terminal is shown the plans first, and asked before anything is paid for.
    """
    options.check()
    asks = options.asks_before_purchase(err)
    requests = build_requests(settings, options, plan_only=options.preview or asks)
    async with (
        open_for_sync(settings, err, options) as connection,
        enqueued(connection, err, requests, options) as syncs,
    ):
        if not syncs:
            return NOT_AGREED
        client = connection.client
        report_options = ReportOptions(
            json=options.json,
            many=len(requests) > 1,
            details=options.details,
            changes_code=options.exit_code,
            state=kept_state(connection, options.command_line),
        )
        if not options.wait:
            await warn_without_worker(connection, err)
            print_enqueued(syncs, json=options.json, many=len(syncs) > 1)
            return DONE
        if notice := describe_terminal_input(options.from_file):
            err.print_text(notice)
        ending = await follow_to_end(client, syncs, err, options.timeout_s, report_options)
        if options.accept and not ending.stopped:
            ending = await _resume_accepted(client, ending, err, options, report_options)
        if asks and not ending.stopped:
            agreed, shown = await _confirm_and_apply(client, ending.syncs, err, options, report_options)
            if agreed is None:
                return NOT_AGREED
            report_options = replace(report_options, plan_shown=shown)
            ending = await follow_to_end(client, agreed, err, options.timeout_s, report_options)
        code = report_result(ending, err, report_options)
        if options.sandbox and not options.json and not ending.stopped:
            err.print_text("\nThe same as JSON (--json):", "dim")
            write_documents(stdout(), ending.syncs, report_options)
        return code


async def apply_plan(
    settings: Settings,
    err: Screen,
    sync_id: str,
    *,
    allow_partial: bool,
    options: ContinueOptions,
) -> int:
    """Makes the personas that a preview planned, and follows the sync to its end. A preview that runs is waited for."""
    async with open_worker(settings, wait=options.wait) as connection:
        client = connection.client
        found = await client.get(sync_id)
        require_tokens(settings, connection, found.request)
        require_readable(connection, found)
        require_own_account(settings, connection, found)
        connection.work_on(sync_id)
        if options.wait and found.request.plan_only and not found.state.is_final:
            report_options = ReportOptions(json=options.json, state=kept_state(connection))
            ending = await follow_to_end(client, [found], err, options.timeout_s, report_options)
            (found,) = ending.syncs
            if ending.stopped or not found.planned:
                return report_result(ending, err, report_options)
        await _warn_if_outdated(client, found, err)
        found = await client.apply(
            sync_id, accept=options.accept, max_credits=options.max_credits, allow_partial=allow_partial
        )
        return await _follow_or_print_id(connection, found, err, options)


async def show_status(
    settings: Settings,
    err: Screen,
    sync_id: str,
    *,
    json: bool,
    follow: bool,
    timeout_s: float,
    details: bool = False,
) -> int:
    """Shows a sync, or follows it to its end."""
    async with open_client(settings) as connection:
        client = connection.client
        report_options = ReportOptions(json=json, details=details, state=kept_state(connection))
        try:
            found = await client.get(sync_id)
        except SyncUnreadable as error:
            out = stdout()
            if json:
                out.write_json(unreadable_sync_entry(error.sync))
            else:
                out.print_views(sync_table([error.sync], out.width))
            err.print_text(f"{error}.", "red")
            return WRONG_USE
        if follow:
            ending = await follow_to_end(client, [found], err, timeout_s, report_options)
            return report_result(ending, err, report_options)
        if not found.state.is_final:
            await warn_without_worker(connection, err, [found])
        print_syncs([found], err, report_options, now=await client.now())
        return exit_code_of_syncs([found])


async def list_syncs(settings: Settings, err: Screen, *, json: bool, limit: int) -> int:
    """Shows the newest syncs."""
    async with open_client(settings) as connection:
        found = await connection.client.list_all(limit)
        now = await connection.client.now()
        if running := [one for one in found if isinstance(one, Sync) and not one.state.is_final]:
            await warn_without_worker(connection, err, running)
    out = stdout()
    if json:
        out.write_json([sync_list_entry(one, now) for one in found])
    elif found:
        out.print_views(sync_table(found, out.width))
    else:
        err.print_text(str(how_to_start_first_sync(settings.segment_space_id)))
        _print_place(connection, err)
    return DONE


async def show_history(
    settings: Settings, err: Screen, space_id: str, *, collection: str, rules: str, json: bool
) -> int:
    """Shows how many profiles the last complete syncs of a space read, and the shares of the clusters."""
    wanted = identity(space_id, collection, rules)
    async with open_client(settings) as connection:
        client = connection.client
        found = await client.history(wanted)
        all_syncs = await client.list_all()
        readable = [one for one in all_syncs if isinstance(one, Sync)]
        plans = [one for one in readable if one.waits_for_apply and one.request.identity == wanted]
        unread = [one for one in all_syncs if isinstance(one, UnreadableSync) and one.space_id in ("", space_id)]
    out = stdout()
    if json:
        out.write_json([history_entry(snapshot) for snapshot in found])
    elif found:
        out.print_views(history_table(found, out.width))
    else:
        err.print_text(f"No complete sync of {space_id} ({collection}, rules {rules}) is recorded.")
        _print_place(connection, err)
    for one in unread:
        err.print_text(f"{one.reason}.")
    for plan in plans:
        err.print_text(f"{plan.id} is planned but not applied, so it is not part of the history.")
    return DONE


def _print_place(connection: Connection, err: Screen) -> None:
    """Says where a command has found nothing."""
    if connection.directory is not None:
        err.print_text(f"The state directory is {connection.directory.path}.", "dim")


async def cancel_sync(settings: Settings, err: Screen, sync_id: str) -> int:
    """Stops a sync."""
    async with open_client(settings) as connection:
        found = await connection.client.cancel(sync_id)
    err.print_text(f"{found.id} is {found.status}. Personas already created are kept.")
    return DONE


async def resume_sync(
    settings: Settings,
    err: Screen,
    sync_id: str,
    *,
    restart: bool,
    options: ContinueOptions,
) -> int:
    """Continues a failed sync, and follows it to its end."""
    async with open_worker(settings, wait=options.wait) as connection:
        before = await connection.client.get(sync_id)
        require_tokens(settings, connection, before.request)
        require_readable(connection, before, restart=restart)
        require_own_account(settings, connection, before)
        connection.work_on(sync_id)
        found = await connection.client.resume(
            sync_id, restart=restart, accept=options.accept, max_credits=options.max_credits
        )
        return await _follow_or_print_id(connection, found, err, options)


async def _follow_or_print_id(connection: Connection, found: Sync, err: Screen, options: ContinueOptions) -> int:
    """Follows a sync that was continued; without `wait` only prints its id."""
    if not options.wait:
        await warn_without_worker(connection, err)
        print_enqueued([found], json=options.json)
        return DONE
    report_options = ReportOptions(json=options.json, state=kept_state(connection))
    ending = await follow_to_end(connection.client, [found], err, options.timeout_s, report_options)
    return report_result(ending, err, report_options)


async def _resume_accepted(
    client: SyncClient, ending: FollowResult, err: Screen, options: SyncOptions, report_options: ReportOptions
) -> FollowResult:
    """Resumes the syncs that a guard has stopped, as `--accept` asks, and follows them to their end."""
    continued = []
    for one in ending.syncs:
        if one.error and one.error.resumable and one.error.code.startswith("guard_"):
            err.print_text(f"{one.error.code}: {one.error.message}. Accepted (--accept).")
            continued.append(await client.resume(one.id, accept=True))
        else:
            continued.append(one)
    return (
        await follow_to_end(client, continued, err, options.timeout_s, report_options)
        if continued != ending.syncs
        else ending
    )


async def _confirm_and_apply(
    client: SyncClient, syncs: Sequence[Sync], err: Screen, options: SyncOptions, report_options: ReportOptions
) -> tuple[list[Sync] | None, bool]:
    """Shows what is planned, asks if it costs something or a guard stops it, and applies it.

    Returns:
        The syncs to follow, or None if the user did not agree; and whether the plans were shown.
    """
    planned = [(sync, sync.planned) for sync in syncs if sync.planned]
    must_ask = any(plan.credits or (plan.alarms and not options.accept) for _, plan in planned)
    if must_ask:
        out = stdout()
        shown_on = out if out.is_tty else err
        for one, _ in planned:
            shown_on.print_views(*sync_report(one, details=options.details))
        for one, plan in planned:
            does = plan_summary([plan]) if changes_personas(plan) else "no persona would change"
            err.print_text(f"{one.request.space_id}: {does}.", "bold")
        over = any(plan.over_budget for _, plan in planned)
        try:
            agreed = not over and await confirm(err, confirmation_question([one for one, _ in planned]))
        except asyncio.CancelledError:  # Ctrl-C or SIGTERM. Swallow it: the hints are still to be printed.
            err.print_text("")
            agreed = False
        if not agreed:
            for one, _ in planned:
                err.print_text(str(after_plan(one, report_options.state.arguments)))
            return None, True
    applied = [
        await client.apply(one.id, accept=True, allow_partial=one.plans_from_part) if one.planned else one
        for one in syncs
    ]
    return applied, must_ask


async def _warn_if_outdated(client: SyncClient, preview: Sync, err: Screen) -> None:
    """Warns if a later sync has read the space since the preview."""
    if preview.planned is None or preview.fetched_at is None:
        return
    newest = next(iter(await client.history(preview.request.identity)), None)
    if newest and newest.read_to > preview.fetched_at:
        err.print_text(
            f"Note: {preview.id} is from {local_time(preview.fetched_at)}; {newest.sync_id} has read the space "
            f"since, at {local_time(newest.read_to)}. The personas will describe the space at the time of the preview."
        )
