"""The `schedule` commands: their names, options and help texts."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

import typer

from producer.cli.declarations.optional_table import SourceCommand
from producer.cli.declarations.options import (
    SCOPE,
    Json,
    SpaceId,
    exit_with,
    flag,
    option,
)
from producer.cli.declarations.shared_options import request_options, takes
from producer.cli.declarations.usage_errors import alert_after_of, share_of
from producer.cli.exit_codes import EXIT_CODES
from producer.cli.identifiers import check_schedule_id

app = typer.Typer(no_args_is_help=True, help="Start syncs at set times, by the workers and without cron.")

ScheduleId = Annotated[
    str,
    typer.Argument(
        metavar="SCHEDULE_ID", help="Id of the schedule, as `schedule list` prints it.", callback=check_schedule_id
    ),
]


@app.command("add", cls=SourceCommand, epilog=EXIT_CODES)
@takes(request_options)
def schedule_add(
    space_id: SpaceId,
    cron: Annotated[
        str,
        typer.Argument(metavar="CRON", help="Minute, hour, day of month, month and day of week, such as '0 3 * * *'."),
    ],
    timezone: Annotated[
        str, option("--timezone", metavar="NAME", panel=SCOPE, help="Time zone of the times, such as Europe/Vienna.")
    ] = "UTC",
    missed: Annotated[
        Literal["run-once", "skip"],
        option(
            metavar="run-once|skip",
            panel=SCOPE,
            help="For ticks that passed while no worker ran: start one sync for all of them, or none.",
        ),
    ] = "run-once",
    alert_after: Annotated[
        str | None,
        option(
            "--alert-after",
            metavar="TIME",
            panel=SCOPE,
            help="Send the webhook sync.overdue if the space had no complete sync for this long, such as 26h.",
        ),
    ] = None,
    preview: Annotated[
        bool, flag("--preview", panel=SCOPE, help="Only plan the personas; `apply` creates them.")
    ] = False,
    *,
    json: Json = False,
    **shared: Any,
) -> None:
    """Sync a space at set times. Adding the same space and times again changes the other options.

    \b
    Examples:
      segment-personas schedule add spa_1 "0 3 * * *" --timezone Europe/Vienna --max-credits 1200
      segment-personas schedule add spa_1 "0 6 * * MON" --preview
    """
    from producer.cli.commands import schedules
    from producer.cli.run_command import run_command
    from producer.cli.sync_options import SyncOptions

    options = SyncOptions(
        space_ids=(space_id,),
        preview=preview,
        from_files=tuple(shared.pop("from_file") or ()),
        sample=share_of(shared.pop("sample")),
        arguments=tuple(sys.argv[1:]),
        **shared,
    )
    times = schedules.Times(cron, timezone, missed, alert_after_of(alert_after))
    exit_with(run_command(lambda settings, err: schedules.add_schedule(settings, err, options, times, json=json)))


@app.command("list", epilog=EXIT_CODES)
def schedule_list(json: Json = False) -> None:
    """Show every schedule, its next tick and the result of its last tick."""
    from producer.cli.commands import schedules
    from producer.cli.run_command import run_command

    exit_with(run_command(lambda settings, err: schedules.list_schedules(settings, err, json=json)))


@app.command("remove", epilog=EXIT_CODES)
def schedule_remove(schedule_id: ScheduleId) -> None:
    """Remove a schedule. A sync that it has started continues."""
    from producer.cli.commands import schedules
    from producer.cli.run_command import run_command

    exit_with(run_command(lambda settings, err: schedules.remove_schedule(settings, err, schedule_id)))


@app.command("pause", epilog=EXIT_CODES)
def schedule_pause(schedule_id: ScheduleId) -> None:
    """Let the ticks of a schedule pass without a sync, until `schedule unpause`."""
    from producer.cli.commands import schedules
    from producer.cli.run_command import run_command

    exit_with(run_command(lambda settings, err: schedules.set_paused(settings, err, schedule_id, paused=True)))


@app.command("unpause", epilog=EXIT_CODES)
def schedule_unpause(schedule_id: ScheduleId) -> None:
    """End the pause of a schedule. The ticks of the pause are not made up."""
    from producer.cli.commands import schedules
    from producer.cli.run_command import run_command

    exit_with(run_command(lambda settings, err: schedules.set_paused(settings, err, schedule_id, paused=False)))
