"""Schedules as they are stored: what names them, and what a version that does not know them makes of them."""

from __future__ import annotations

import orjson
import pytest
from pydantic import ValidationError

from worker.clusters.rules.builtin import load_builtin_rules
from worker.documents.schedule_document import request_options
from worker.models.request import SyncRequest
from worker.models.schedule import Schedule, ScheduleStatus, UnreadableSchedule
from worker.models.versions import NewerVersion

REQUEST = SyncRequest(space_id="spa", max_credits=900)
SCHEDULE = Schedule(request=REQUEST, cron="0 3 * * *", timezone="Europe/Vienna", missed="skip")


def test_a_schedule_is_read_as_it_was_stored() -> None:
    saas = SCHEDULE.model_copy(update={"request": REQUEST.model_copy(update={"rules": load_builtin_rules("saas")})})
    for schedule in (SCHEDULE, saas):
        assert Schedule.from_stored(schedule.as_stored()) == schedule


def test_the_id_names_space_rules_and_times_and_no_other_option() -> None:
    same = Schedule(request=REQUEST.with_budget(1), cron=" 0 3  * * * ", timezone="Europe/Vienna")
    others = [
        Schedule(request=SyncRequest(space_id="spb"), cron="0 3 * * *", timezone="Europe/Vienna"),
        Schedule(request=REQUEST, cron="0 4 * * *", timezone="Europe/Vienna"),
        Schedule(request=REQUEST, cron="0 3 * * *"),
        Schedule(request=REQUEST, cron="0 3 * * *", timezone="Europe/Vienna", account="other"),
    ]
    assert same.id == SCHEDULE.id
    assert len({one.id for one in (SCHEDULE, *others)}) == 5


def test_the_version_of_a_stored_request_is_not_an_option() -> None:
    request = SyncRequest(space_id="spa", warehouse="segment.user_traits")
    assert '"version":2' in request.model_dump_json()
    assert request_options(request) == {"warehouse": "segment.user_traits"}


def test_a_tick_has_one_sync_id() -> None:
    assert SCHEDULE.sync_id(60.0) == SCHEDULE.sync_id(60)
    assert SCHEDULE.sync_id(60.0) != SCHEDULE.sync_id(120.0)


def test_times_that_never_come_are_refused() -> None:
    with pytest.raises(ValidationError, match="never matches a date"):
        Schedule(request=REQUEST, cron="0 0 */20 * 1L")


@pytest.mark.parametrize(
    "changes",
    [{"version": 2}, {"missed": "run-all"}, {"request": {"space_id": "spa", "dialect": "graph"}}],
    ids=["version", "choice", "request"],
)
def test_a_schedule_of_a_newer_version_is_recognised(changes: dict[str, object]) -> None:
    stored = orjson.dumps({**orjson.loads(SCHEDULE.as_stored()), **changes})
    with pytest.raises(NewerVersion) as caught:
        Schedule.from_stored(stored)
    row = UnreadableSchedule.of("sch_1", caught.value)
    assert (row.code, "newer version" in row.reason) == ("newer_version", True)


def test_fields_that_are_not_known_are_ignored() -> None:
    stored = orjson.dumps({**orjson.loads(SCHEDULE.as_stored()), "colour": "blue"})
    assert Schedule.from_stored(stored) == SCHEDULE


def test_a_paused_schedule_has_no_next_ticks() -> None:
    fields = {"document": SCHEDULE.as_stored().decode(), "paused": "1", "created_at": "1000", "next": ""}
    status = ScheduleStatus.from_fields(fields)
    assert status.upcoming(0.0) == []
    assert len(ScheduleStatus.from_fields({**fields, "paused": ""}).upcoming(0.0)) == 3
