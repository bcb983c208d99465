"""The routes of schedules, against a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.http_api.api_server import ApiServer, start_api
from tests.support.servers.redis_server import RedisServer
from worker.store import keys
from worker.store.schedules import schedule_store

NIGHTLY = {"space_id": "spa", "cron": "0 3 * * *", "timezone": "Europe/Vienna", "max_credits": 900}


@pytest.fixture
async def api(session_redis: RedisServer) -> AsyncIterator[ApiServer]:
    async with start_api(session_redis, worker=False) as server:
        yield server


async def test_a_schedule_is_added_changed_paused_and_deleted(api: ApiServer) -> None:
    added = await api.post("/v1/schedules", NIGHTLY)
    path = added.headers["Location"]
    assert (added.status, path) == (201, f"/v1/schedules/{added.json['schedule_id']}")
    assert (len(added.json["next"]), added.json["options"]) == (3, {"max_credits": 900})
    changed = await api.post("/v1/schedules", {**NIGHTLY, "max_credits": 300, "alert_after_s": 93600})
    assert (changed.status, changed.headers["Location"]) == (200, path)
    assert (changed.json["options"], changed.json["alert_after_s"]) == ({"max_credits": 300}, 93600)
    for _ in range(2):
        paused = await api.post(f"{path}/pause")
        assert (paused.status, paused.json["paused"], paused.json["next"]) == (200, True, [])
    assert (await api.post(f"{path}/unpause", {})).json["next"] == changed.json["next"]
    assert (await api.get("/v1/schedules")).json == {"data": [(await api.get(path)).json]}
    assert [(await api.call("DELETE", path)).status for _ in range(2)] == [204, 404]
    assert (await api.get(path)).code == "schedule_not_found"


async def test_a_tick_starts_a_sync_of_the_schedule(api: ApiServer) -> None:
    added = (await api.post("/v1/schedules", NIGHTLY)).json["schedule_id"]
    await api.pool.hset(keys.schedule(added), "next", "60000")  # type: ignore[misc]
    await api.pool.zadd(keys.TICKS, {added: 60_000})
    await api.start_worker()
    while (shown := (await api.get(f"/v1/schedules/{added}")).json)["last_sync_id"] is None:
        pass
    ended = await api.ended(shown["last_sync_id"])
    assert (shown["last_result"], ended["status"], ended["credits_charged"]) == ("started", "completed", 900)


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"cron": "0 25 * * *"}, "hour"),
        ({"timezone": "Mars/Base"}, "Mars/Base"),
        ({"space_id": "no space"}, "/space_id"),
        ({"alert_after_s": 60}, "/alert_after_s"),
        ({"alert_after_s": 93600, "plan_only": True}, "alert"),
        ({"force": True}, "/force"),
        ({"every": "day"}, "/every"),
    ],
)
async def test_what_cannot_be_scheduled_is_refused(api: ApiServer, changes: dict[str, Any], fragment: str) -> None:
    refused = await api.post("/v1/schedules", {**NIGHTLY, **changes})
    assert (refused.status, refused.code) == (422, "invalid_request")
    assert fragment in refused.json["detail"]


async def test_too_many_and_unreadable_schedules_conflict(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_store, "MOST", 1)
    path = (await api.post("/v1/schedules", NIGHTLY)).headers["Location"]
    refused = await api.post("/v1/schedules", {**NIGHTLY, "cron": "0 4 * * *"})
    assert (refused.status, refused.code) == (409, "too_many_schedules")
    await api.pool.hset(keys.schedule(path.rpartition("/")[2]), "document", "{")  # type: ignore[misc]
    assert (await api.get(path)).code == "schedule_unreadable"
    assert (await api.get("/v1/schedules")).json["data"][0]["error"]["code"] == "schedule_unreadable"
