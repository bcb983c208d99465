"""The `schedule` commands. Each returns its exit code."""

from __future__ import annotations

from dataclasses import dataclass

from producer.cli.connect import Connection, has_worker, open_client
from producer.cli.exit_codes import DONE
from producer.cli.sync_options import SyncOptions, build_requests
from producer.cli.syncs.next_steps import how_to_start_schedules
from producer.cli.syncs.reporting import warn_without_worker
from producer.cli.terminal import Screen, stdout
from producer.cli.views.schedules import describe_schedule, schedule_table
from producer.schedules import build_schedule
from worker.documents.schedule_document import schedule_document, schedule_entry
from worker.errors import ConfigurationError
from worker.jobs.store_factories import mavera_account
from worker.models.schedule import Missed
from worker.segment.export_file import is_of_one_process
from worker.settings import Settings


@dataclass(frozen=True)
class Times:
    """The times of a schedule and the handling of missed ticks, from the options of the command."""

    cron: str
    timezone: str
    missed: Missed
    alert_after_s: float | None


async def add_schedule(settings: Settings, err: Screen, options: SyncOptions, times: Times, *, json: bool) -> int:
    """Adds a schedule, and shows its next ticks."""
    if options.from_file is not None and is_of_one_process(options.from_file):
        raise ConfigurationError(
            f"--from-file {options.from_file}: no worker can read it at the time of a tick. Name a file."
        )
    (request,) = build_requests(settings, options, plan_only=options.preview)
    schedule = build_schedule(
        request,
        times.cron,
        timezone=times.timezone,
        missed=times.missed,
        alert_after_s=times.alert_after_s,
        account=mavera_account(settings),
    )
    async with open_client(settings, creates=True) as connection:
        client = connection.client
        await _warn_without_worker(connection, err)
        added, _ = await client.schedules.put(schedule)
        now = await client.now()
    out = stdout()
    if json:
        out.write_json(schedule_document(added, now))
    else:
        out.print_views(*describe_schedule(added, now))
    return DONE


async def list_schedules(settings: Settings, err: Screen, *, json: bool) -> int:
    """Shows every schedule."""
    async with open_client(settings) as connection:
        found = await connection.client.schedules.list()
        now = await connection.client.now()
        if found and connection.directory is not None:
            await _warn_without_worker(connection, err)
    out = stdout()
    if json:
        out.write_json([schedule_entry(one, now) for one in found])
    elif found:
        out.print_views(schedule_table(found, now))
    else:
        err.print_text("There are no schedules.")
    return DONE


async def remove_schedule(settings: Settings, err: Screen, schedule_id: str) -> int:
    """Removes a schedule."""
    async with open_client(settings) as connection:
        await connection.client.schedules.remove(schedule_id)
    err.print_text(f"{schedule_id} is removed. A sync that it has started continues.")
    return DONE


async def set_paused(settings: Settings, err: Screen, schedule_id: str, *, paused: bool) -> int:
    """Pauses a schedule, or ends its pause."""
    async with open_client(settings) as connection:
        schedules = connection.client.schedules
        found = await (schedules.pause(schedule_id) if paused else schedules.unpause(schedule_id))
        now = await connection.client.now()
    err.print_views(*describe_schedule(found, now))
    return DONE


async def _warn_without_worker(connection: Connection, err: Screen) -> None:
    """Warns if no worker carries out schedules. A command that works on its own syncs only does not count."""
    if connection.directory is None:
        await warn_without_worker(connection, err, result="no schedule starts a sync")
    elif not has_worker(connection.directory):
        err.print_text(str(how_to_start_schedules()))
