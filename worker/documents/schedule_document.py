"""The JSON document of a schedule: what `schedule … --json` prints and what the HTTP API answers with. Pure."""

from __future__ import annotations

from worker.clusters import RECIPE
from worker.documents.json_format import iso_time
from worker.models.request import SyncRequest
from worker.models.schedule import Schedule, ScheduleStatus, UnreadableSchedule


def schedule_document(status: ScheduleStatus, now: float) -> dict[str, object]:
    """Returns a schedule as JSON.

    Args:
        status: The schedule with what Redis knows of it.
        now: Unix seconds by the clock of Redis.
    """
    schedule = status.schedule
    return {
        "schedule_id": status.id,
        "space_id": schedule.request.space_id,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "missed": schedule.missed,
        "alert_after_s": schedule.alert_after_s,
        "overdue": status.overdue,
        "paused": status.paused,
        "next": [iso_time(tick) for tick in status.upcoming(now)],
        "last_tick": iso_time(status.last_tick),
        "last_result": status.last_result,
        "last_sync_id": status.last_sync_id or None,
        "created_at": iso_time(status.created_at),
        "options": request_options(schedule.request),
    }


def overdue_document(schedule: Schedule, last_complete_at: float | None) -> dict[str, object]:
    """Returns the document of the event `sync.overdue`.

    Args:
        schedule: The schedule that is overdue.
        last_complete_at: When the last complete sync had read everything; None: never.
    """
    return {
        "schedule_id": schedule.id,
        "space_id": schedule.request.space_id,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "alert_after_s": schedule.alert_after_s,
        "last_complete_at": iso_time(last_complete_at),
        "options": request_options(schedule.request),
    }


def schedule_entry(found: ScheduleStatus | UnreadableSchedule, now: float) -> dict[str, object]:
    """Returns a schedule as JSON in a list, also one that cannot be read; `now` is that of `schedule_document`."""
    if isinstance(found, ScheduleStatus):
        return schedule_document(found, now)
    return {"schedule_id": found.id, "error": {"code": found.code, "message": found.reason}}


def request_options(request: SyncRequest) -> dict[str, object]:
    """Returns the options of a request that are not the default ones; of its rules only the name."""
    chosen = request.model_dump(mode="json", exclude={"rules"})
    default = SyncRequest(space_id=request.space_id).model_dump(mode="json", exclude={"rules"})
    options = {
        name: value
        for name, value in chosen.items()
        if value != default.get(name) and name in type(request).model_fields
    }
    return options if request.rules == RECIPE else {**options, "rules": request.rules.name}
