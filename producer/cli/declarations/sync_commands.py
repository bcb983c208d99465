"""The commands about syncs: their names, options and help texts.

What a command needs is imported when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, NoReturn

import typer

from producer.cli.command_lines import typed_arguments
from producer.cli.declarations.optional_table import SourceCommand
from producer.cli.declarations.options import (
    BUDGET,
    CONTROL,
    INSPECT,
    OUTPUT,
    RUN,
    SOURCE,
    Accept,
    Collection,
    Details,
    ExitCode,
    Json,
    MaxCredits,
    NoWait,
    RulesName,
    SpaceId,
    SpaceIds,
    SyncId,
    Timeout,
    Yes,
    exit_with,
    flag,
    option,
)
from producer.cli.declarations.shared_options import request_options, run_options, takes
from producer.cli.declarations.usage_errors import seconds_of, share_of
from producer.cli.exit_codes import EXIT_CODES, PREVIEW_EXIT_CODES

app = typer.Typer()


@app.command(cls=SourceCommand, rich_help_panel=RUN, epilog=EXIT_CODES)
@takes(request_options, run_options)
def sync(space_ids: SpaceIds = None, *, yes: Yes = False, accept: Accept = False, **shared: Any) -> None:
    """Read every profile of a space, and create or update one persona per cluster.

    \b
    Examples:
      segment-personas sync --sandbox                   try it without keys
      segment-personas sync spa_1 --max-credits 1200    spend at most 1,200
      segment-personas sync spa_1 --json --timeout 2h   nightly, by a scheduler
      segment-personas sync spa_1 --from-file users.ndjson.gz
      segment-personas sync spa_1 --from-warehouse segment.user_traits
    """
    _start(shared, space_ids, preview=False, yes=yes, accept=accept)


@app.command(cls=SourceCommand, rich_help_panel=RUN, epilog=PREVIEW_EXIT_CODES)
@takes(request_options, run_options)
def preview(space_ids: SpaceIds = None, *, exit_code: ExitCode = False, **shared: Any) -> None:
    """Read the space and show the plan. Changes nothing.

    \b
    Examples:
      segment-personas preview spa_1 --max-profiles 1000
      segment-personas preview spa_1 --exit-code   5 if personas would change
    """
    _start(shared, space_ids, preview=True, exit_code=exit_code)


def _start(shared: dict[str, Any], space_ids: list[str] | None, **own: Any) -> NoReturn:
    from producer.cli.commands import syncs
    from producer.cli.run_command import run_command
    from producer.cli.sync_options import SyncOptions

    options = SyncOptions(
        space_ids=tuple(space_ids or ()),
        from_files=tuple(shared.pop("from_file") or ()),
        wait=not shared.pop("no_wait"),
        timeout_s=seconds_of(shared.pop("timeout")),
        sample=share_of(shared.pop("sample")),
        arguments=tuple(typed_arguments()),
        **shared,
        **own,
    )
    exit_with(run_command(lambda settings, err: syncs.run_sync(settings, err, options), uses_sandbox=options.sandbox))


@app.command(rich_help_panel=RUN, epilog=EXIT_CODES)
def apply(
    sync_id: SyncId,
    accept: Accept = False,
    allow_partial: Annotated[
        bool,
        flag("--allow-partial", panel=BUDGET, help="Create personas although only a part of the space was read."),
    ] = False,
    max_credits: MaxCredits = None,
    no_wait: NoWait = False,
    json: Json = False,
    timeout: Timeout = None,
) -> None:
    """Create and update the personas that a preview planned, for no more credits than it showed."""
    given = dict(locals())
    from producer.cli.commands.syncs import apply_plan

    _continue(apply_plan, given)


@app.command(rich_help_panel=INSPECT, epilog=EXIT_CODES)
def status(
    sync_id: SyncId,
    follow: Annotated[bool, flag("--follow", "-f", help="Follow the sync until it ends.")] = False,
    json: Json = False,
    details: Details = False,
    timeout: Timeout = None,
) -> None:
    """Show a sync: state, progress, clusters and personas so far."""
    from producer.cli.commands import syncs
    from producer.cli.run_command import run_command

    exit_with(
        run_command(
            lambda settings, err: syncs.show_status(
                settings, err, sync_id, json=json, follow=follow, timeout_s=seconds_of(timeout), details=details
            )
        )
    )


@app.command("list", rich_help_panel=INSPECT, epilog=EXIT_CODES)
def list_syncs(
    json: Json = False,
    limit: Annotated[int, option(metavar="N", min=1, panel=OUTPUT, help="Show at most this many syncs.")] = 20,
) -> None:
    """Show the newest syncs."""
    from producer.cli.commands import syncs
    from producer.cli.run_command import run_command

    exit_with(run_command(lambda settings, err: syncs.list_syncs(settings, err, json=json, limit=limit)))


@app.command(rich_help_panel=INSPECT, epilog=EXIT_CODES)
def history(
    space_id: SpaceId, collection: Collection = "users", rules: RulesName = "recipe", json: Json = False
) -> None:
    """Show the last complete syncs of a space: how many profiles they read, and the shares of the clusters."""
    from producer.cli.commands import syncs
    from producer.cli.run_command import run_command

    exit_with(
        run_command(
            lambda settings, err: syncs.show_history(
                settings, err, space_id, collection=collection, rules=rules, json=json
            )
        )
    )


@app.command(rich_help_panel=CONTROL, epilog=EXIT_CODES)
def cancel(sync_id: SyncId) -> None:
    """Stop a sync. Personas already created are kept."""
    from producer.cli.commands import syncs
    from producer.cli.run_command import run_command

    exit_with(run_command(lambda settings, err: syncs.cancel_sync(settings, err, sync_id)))


@app.command(rich_help_panel=CONTROL, epilog=EXIT_CODES)
def resume(
    sync_id: SyncId,
    restart: Annotated[
        bool, flag("--restart", panel=SOURCE, help="Read the space from the start, with new statistics.")
    ] = False,
    accept: Accept = False,
    max_credits: MaxCredits = None,
    no_wait: NoWait = False,
    json: Json = False,
    timeout: Timeout = None,
) -> None:
    """Continue a failed sync where it stopped."""
    given = dict(locals())
    from producer.cli.commands.syncs import resume_sync

    _continue(resume_sync, given)


def _continue(command: Callable[..., Coroutine[Any, Any, int]], given: dict[str, Any]) -> NoReturn:
    """Runs a command that continues a sync, with its options as they were given."""
    from producer.cli.commands.syncs import ContinueOptions
    from producer.cli.run_command import run_command

    options = ContinueOptions(
        accept=given.pop("accept"),
        max_credits=given.pop("max_credits"),
        wait=not given.pop("no_wait"),
        json=given.pop("json"),
        timeout_s=seconds_of(given.pop("timeout")),
    )
    exit_with(run_command(lambda settings, err: command(settings, err, options=options, **given)))
