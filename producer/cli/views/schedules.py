"""Schedules as people read them. Pure: from schedules to something that rich prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.table import Table
from rich.text import Text

from producer.cli.views.time_formats import local_time
from worker.models.schedule import ScheduleStatus, UnreadableSchedule


def describe_schedule(status: ScheduleStatus, now: float) -> Iterator[Text]:
    """A schedule in a few lines, with its next ticks in its own time zone.

    Args:
        status: The schedule with what Redis knows of it.
        now: Unix seconds by the clock of Redis.
    """
    schedule = status.schedule
    what = "preview" if schedule.request.plan_only else "sync"
    yield Text(f"{status.id}: {what} of {schedule.request.space_id} at '{schedule.cron}' ({schedule.timezone}).")
    if status.paused:
        yield Text(f"It is paused. To end the pause:\n  segment-personas schedule unpause {status.id}")
    for number, tick in enumerate(status.upcoming(now)):
        yield Text(f"{'  next:' if number == 0 else '  then:'} {_zone_time(tick, schedule.timezone)}")


def schedule_table(schedules: Sequence[ScheduleStatus | UnreadableSchedule], now: float) -> Table:
    """Returns the schedules, a row each.

    Args:
        schedules: The schedules in the order of the rows.
        now: Unix seconds by the clock of Redis.
    """
    shown = Table(box=None, pad_edge=False)
    shown.add_column("Schedule", no_wrap=True)
    for name in ("Space", "Times", "Next", "Last tick"):
        shown.add_column(name, overflow="fold")
    for one in schedules:
        if isinstance(one, UnreadableSchedule):
            shown.add_row(one.id, "unreadable", one.reason, "", "")
            continue
        schedule = one.schedule
        upcoming = one.upcoming(now, 1)
        coming = "paused" if one.paused else "never"
        space = schedule.request.space_id + (" (preview)" if schedule.request.plan_only else "")
        times = f"{schedule.cron} {schedule.timezone}"
        shown.add_row(one.id, space, times, local_time(upcoming[0]) if upcoming else coming, _last_tick(one))
    return shown


def _last_tick(status: ScheduleStatus) -> str:
    if status.last_tick is None or status.last_result is None:
        return ""
    sync = f" {status.last_sync_id}" if status.last_sync_id else ""
    return f"{local_time(status.last_tick)}: {status.last_result}{sync}"


def _zone_time(moment: float, zone: str) -> str:
    return datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M %Z")
