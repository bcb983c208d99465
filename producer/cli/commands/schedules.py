"""What the `schedule` commands do. Each returns its exit code."""

from __future__ import annotations

from dataclasses import dataclass

from producer.cli.connect import Connection, redis_client
from producer.cli.exit_codes import DONE
from producer.cli.reporting import warn_without_worker
from producer.cli.sync_options import SyncOptions, build_requests
from producer.cli.terminal import Screen, stdout
from producer.cli.views.schedules import describe_schedule, schedule_table
from worker.documents.schedule_document import schedule_document, unreadable_schedule_entry
from worker.models.schedule import Missed, ScheduleStatus
from worker.settings import Settings


@dataclass(frozen=True)
class Times:
    """When a schedule comes due, and what happens to missed ticks, as the options say."""

    cron: str
    timezone: str
    missed: Missed
    alert_after_s: float | None


async def add(settings: Settings, err: Screen, options: SyncOptions, times: Times, *, json: bool) -> int:
    """Adds a schedule, and shows its next ticks."""
    settings.require("redis_url")
    (request,) = build_requests(settings, options, plan_only=options.preview)
    async with redis_client(settings) as client:
        await warn_without_worker(Connection(client), err)
        added = await client.schedules.add(
            request, times.cron, timezone=times.timezone, missed=times.missed, alert_after_s=times.alert_after_s
        )
        now = await client.now()
    out = stdout()
    if json:
        out.write_json(schedule_document(added, now))
    else:
        out.put(*describe_schedule(added, now))
    return DONE


async def listed(settings: Settings, err: Screen, *, json: bool) -> int:
    """Shows every schedule."""
    async with redis_client(settings) as client:
        found = await client.schedules.list()
        now = await client.now()
    out = stdout()
    if json:
        out.write_json(
            [
                schedule_document(one, now) if isinstance(one, ScheduleStatus) else unreadable_schedule_entry(one)
                for one in found
            ]
        )
    elif found:
        out.put(schedule_table(found, now))
    else:
        err.say("There are no schedules.")
    return DONE


async def remove(settings: Settings, err: Screen, schedule_id: str) -> int:
    """Removes a schedule."""
    async with redis_client(settings) as client:
        await client.schedules.remove(schedule_id)
    err.say(f"{schedule_id} is removed. A sync that it has started goes on.")
    return DONE


async def pause(settings: Settings, err: Screen, schedule_id: str, *, paused: bool) -> int:
    """Pauses a schedule, or ends its pause."""
    async with redis_client(settings) as client:
        schedules = client.schedules
        found = await (schedules.pause(schedule_id) if paused else schedules.unpause(schedule_id))
        now = await client.now()
    err.put(*describe_schedule(found, now))
    return DONE
