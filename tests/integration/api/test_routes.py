"""Every route of the HTTP API, against a real Redis, a worker and the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from producer.sandbox import Fault, SpaceSpec
from tests.support.http_api.api_server import ApiServer, start_api
from tests.support.scenarios.scenario import RECIPE
from tests.support.servers.redis_server import RedisServer
from tests.support.syncs.snapshots import counted
from tests.support.syncs.syncs import PAGE, Syncs
from worker.models.sync import SyncState
from worker.store import keys

SPACES = {"spa": RECIPE, "spa_2": RECIPE, "big": SpaceSpec(4000, "recipe")}


@pytest.fixture
async def api(session_redis: RedisServer) -> AsyncIterator[ApiServer]:
    """A server with a worker."""
    async with start_api(session_redis, spaces=SPACES) as server:
        yield server


@pytest.fixture
async def idle(session_redis: RedisServer) -> AsyncIterator[ApiServer]:
    """A server without a worker, so that every sync stays queued."""
    async with start_api(session_redis, spaces=SPACES, worker=False) as server:
        yield server


async def test_a_new_sync_is_accepted_and_named(api: ApiServer) -> None:
    asked = await api.post("/v1/syncs", {"space_id": "spa", "max_credits": 900})
    assert (asked.status, asked.json["status"]) == (202, "queued")
    assert (asked.json["timings"]["queued_s"] >= 0, asked.json["clusters"]) == (True, [])
    assert asked.headers["Location"] == f"/v1/syncs/{asked.json['sync_id']}"
    shown = await api.ended(asked.json["sync_id"])
    assert (shown["status"], shown["credits_charged"], len(shown["personas"])) == ("completed", 900, 3)
    assert (await api.get(asked.headers["Location"])).json == shown


async def test_the_same_options_return_the_sync_that_runs(idle: ApiServer) -> None:
    first = await idle.post("/v1/syncs", {"space_id": "spa"})
    again = await idle.post("/v1/syncs", {"space_id": "spa"})
    assert (again.status, again.json["sync_id"]) == (200, first.json["sync_id"])
    assert again.headers["Location"] == first.headers["Location"]


async def test_other_options_conflict_with_the_sync_that_runs(idle: ApiServer) -> None:
    first = (await idle.post("/v1/syncs", {"space_id": "spa"})).json["sync_id"]
    refused = await idle.post("/v1/syncs", {"space_id": "spa", "max_profiles": 5})
    assert (refused.status, refused.code, refused.json["sync_id"]) == (409, "sync_running", first)
    assert refused.headers["Content-Type"].startswith("application/problem+json")
    assert "max-profiles" in refused.json["detail"]
    assert first in refused.json["hint"]
    forced = await idle.post("/v1/syncs", {"space_id": "spa", "max_profiles": 5, "force": True})
    assert (forced.status, forced.json["sync_id"] != first) == (202, True)


async def test_a_key_never_starts_a_second_sync(api: ApiServer) -> None:
    key = {"Idempotency-Key": "night 7"}
    replies = await asyncio.gather(*(api.post("/v1/syncs", {"space_id": "spa"}, headers=key) for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [200] * 7 + [202]
    (sync_id,) = {reply.json["sync_id"] for reply in replies}
    await api.ended(sync_id)
    again = await api.post("/v1/syncs", {"space_id": "spa"}, headers=key)
    assert (again.status, again.json["sync_id"], again.json["status"]) == (200, sync_id, "completed")
    assert len(api.sandbox.posts) == 3


async def test_a_key_with_another_body_is_refused_in_any_state(api: ApiServer) -> None:
    key = {"Idempotency-Key": "night-7"}
    first = (await api.post("/v1/syncs", {"space_id": "big", "plan_only": True}, headers=key)).json["sync_id"]
    for body in ({"space_id": "big"}, {"space_id": "spa_2", "plan_only": True}, {"space_id": "big", "max_profiles": 5}):
        refused = await api.post("/v1/syncs", body, headers=key)
        assert (refused.status, refused.code, refused.json["sync_id"]) == (422, "idempotency_key_used", first)
    await api.ended(first)
    assert (await api.post("/v1/syncs", {"space_id": "big"}, headers=key)).code == "idempotency_key_used"
    # A preview that `apply` has changed has the same body.
    await api.post(f"/v1/syncs/{first}/apply")
    assert (await api.post("/v1/syncs", {"space_id": "big", "plan_only": True}, headers=key)).status == 200


async def test_a_list_is_paged_newest_first(idle: ApiServer) -> None:
    asked = [
        (await idle.post("/v1/syncs", {"space_id": f"s{number}", "plan_only": number == 2})).json["sync_id"]
        for number in range(5)
    ]
    seen: list[str] = []
    path = "/v1/syncs?limit=2"
    while path:
        page = (await idle.get(path)).json
        seen += [sync["sync_id"] for sync in page["data"]]
        path = f"/v1/syncs?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert seen == asked[::-1]


async def test_a_list_is_filtered_by_space_and_state(idle: ApiServer) -> None:
    kept = (await idle.post("/v1/syncs", {"space_id": "spa"})).json["sync_id"]
    other = (await idle.post("/v1/syncs", {"space_id": "spa_2"})).json["sync_id"]
    await idle.post(f"/v1/syncs/{kept}/cancel")
    await idle.pool.hset(keys.sync(other), "format", "99")

    async def found(query: str) -> list[tuple[str, str]]:
        return [(one["sync_id"], one["status"]) for one in (await idle.get(f"/v1/syncs?{query}")).json["data"]]

    assert await found("space_id=spa") == [(kept, "cancelled")]
    assert await found("state=cancelled&state=queued") == [(kept, "cancelled")]
    assert await found("state=unreadable") == [(other, "unreadable")]
    assert await found("space_id=spa&state=queued") == []


async def test_a_running_sync_shows_its_progress(idle: ApiServer) -> None:
    syncs = Syncs(idle.pool)
    lease = await syncs.lease(SyncState.FETCHING)
    page = replace(PAGE, complete=False, profiles=60, aggregate=counted(RECIPE))
    await syncs.jobs.commit(lease, page, "token", note="waits for Segment")
    shown = (await idle.get("/v1/syncs/s1")).json
    assert (shown["status"], shown["pages_fetched"], shown["profiles_fetched"]) == ("fetching", 2, 60)
    assert [cluster["n"] for cluster in shown["clusters"]] == [20, 20, 20]
    assert {"waiting_for", "epoch", "revivals"} <= shown.keys()
    assert (await idle.post("/v1/syncs/s1/cancel")).json["status"] == "cancelled"


async def test_a_plan_is_shown_and_applied_once(api: ApiServer) -> None:
    sync_id = (await api.post("/v1/syncs", {"space_id": "spa", "plan_only": True})).json["sync_id"]
    planned = await api.ended(sync_id)
    assert (planned["status"], planned["credits_planned"], len(planned["planned"])) == ("planned", 900, 3)
    applied = await api.post(f"/v1/syncs/{sync_id}/apply")
    assert applied.status == 202
    assert (await api.post(f"/v1/syncs/{sync_id}/apply")).status in {200, 202}
    assert (await api.ended(sync_id))["credits_charged"] == 900
    again = await api.post(f"/v1/syncs/{sync_id}/apply", {"max_credits": 5})
    assert (again.status, again.json["status"]) == (200, "completed")
    assert len(api.sandbox.posts) == 3


async def test_apply_is_refused_without_a_plan(idle: ApiServer) -> None:
    sync_id = (await idle.post("/v1/syncs", {"space_id": "spa"})).json["sync_id"]
    assert (await idle.post(f"/v1/syncs/{sync_id}/apply")).code == "not_a_preview"
    preview = (await idle.post("/v1/syncs", {"space_id": "spa_2", "plan_only": True})).json["sync_id"]
    refused = await idle.post(f"/v1/syncs/{preview}/apply")
    assert (refused.status, refused.code) == (409, "no_plan")
    assert "Retry-After" in refused.headers


async def test_a_plan_from_a_part_needs_a_yes(api: ApiServer) -> None:
    body = {"space_id": "big", "plan_only": True, "max_profiles": 100}
    sync_id = (await api.post("/v1/syncs", body)).json["sync_id"]
    await api.ended(sync_id)
    refused = await api.post(f"/v1/syncs/{sync_id}/apply")
    assert (refused.code, refused.json["hint"]) == ("needs_allow_partial", 'Send {"allow_partial": true}.')
    assert (await api.post(f"/v1/syncs/{sync_id}/apply", {"allow_partial": True})).status == 202
    assert (await api.ended(sync_id))["status"] == "completed"


async def test_cancel_may_be_repeated_until_a_sync_has_ended(api: ApiServer) -> None:
    api.sandbox.add_fault(Fault("segment", "hold"))
    sync_id = (await api.post("/v1/syncs", {"space_id": "spa"})).json["sync_id"]
    for _ in range(2):
        cancelled = await api.post(f"/v1/syncs/{sync_id}/cancel", {})
        assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
    api.sandbox.clear_faults()
    done = (await api.post("/v1/syncs", {"space_id": "spa_2"})).json["sync_id"]
    await api.ended(done)
    assert (await api.post(f"/v1/syncs/{done}/cancel")).code == "already_ended"


async def test_a_failed_sync_names_its_error_and_resumes(api: ApiServer) -> None:
    api.sandbox.add_fault(Fault("mavera", "status", status=401))
    sync_id = (await api.post("/v1/syncs", {"space_id": "spa"})).json["sync_id"]
    error = (await api.ended(sync_id))["error"]
    assert (error["code"], error["resumable"]) == ("mavera_unauthorized", True)
    assert f"POST /v1/syncs/{sync_id}/resume" in error["hint"]
    api.sandbox.clear_faults()
    assert (await api.post(f"/v1/syncs/{sync_id}/resume", {"max_credits": 900})).status == 202
    assert (await api.ended(sync_id))["status"] == "completed"
    assert (await api.post(f"/v1/syncs/{sync_id}/resume")).code == "not_failed"
    assert len(api.sandbox.posts) == 3


async def test_a_sync_that_cannot_continue_restarts_if_asked_to(api: ApiServer) -> None:
    api.sandbox.add_fault(Fault("segment", "status", status=400))
    sync_id = (await api.post("/v1/syncs", {"space_id": "spa"})).json["sync_id"]
    error = (await api.ended(sync_id))["error"]
    assert error["resumable"] is False
    assert '{"restart": true}' in error["hint"]
    refused = await api.post(f"/v1/syncs/{sync_id}/resume")
    assert (refused.status, refused.code) == (409, "needs_restart")
    api.sandbox.clear_faults()
    assert (await api.post(f"/v1/syncs/{sync_id}/resume", {"restart": True})).status == 202
    assert (await api.ended(sync_id))["status"] == "completed"


async def test_a_space_has_a_history_and_personas(api: ApiServer) -> None:
    sync_id = (await api.post("/v1/syncs", {"space_id": "spa"})).json["sync_id"]
    await api.ended(sync_id)
    (entry,) = (await api.get("/v1/spaces/spa/history")).json["data"]
    assert (entry["sync_id"], entry["profiles"]) == (sync_id, 60)
    personas = (await api.get("/v1/spaces/spa/personas")).json["data"]
    assert [one["key"] for one in personas] == ["at_risk", "growth", "high_value"]
    assert {(one["cluster"], one["orphan"], one["twins"]) for one in personas} >= {("High Value", False, None)}
    for empty in ("/v1/spaces/spa/history?collection=accounts", "/v1/spaces/spa/history?rules=saas"):
        assert (await api.get(empty)).json == {"data": []}
    assert (await api.get("/v1/spaces/spa_2/personas")).json == {"data": []}


async def test_a_server_is_ready_while_a_worker_lives(idle: ApiServer) -> None:
    assert (await idle.get("/healthz")).json == {"status": "ok"}
    waiting = await idle.get("/readyz")
    assert (waiting.status, waiting.code, waiting.headers["Retry-After"]) == (503, "not_ready", "5")
    await idle.start_worker()
    ready = await idle.get("/readyz")
    assert (ready.status, ready.json) == (200, {"status": "ready", "workers": 1})


async def test_metrics_count_requests_by_route_and_status(idle: ApiServer) -> None:
    await idle.get("/v1/syncs/unknown")
    await idle.get("/v1/syncs/unknown_too")
    await idle.get("/none")
    metrics = await idle.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain; version=")
    name = "segment_personas_api_requests_total"
    assert f'{name}{{method="GET",route="/v1/syncs/{{id}}",status="404"}} 2.0' in metrics.text
    assert f'{name}{{method="other",route="unknown",status="404"}} 1.0' in metrics.text
    assert 'segment_personas_api_request_seconds_count{method="GET",route="/v1/syncs/{id}"} 2.0' in metrics.text


async def test_a_request_gets_the_defaults_of_the_server(session_redis: RedisServer) -> None:
    changes = {"clusters_file": "saas", "segment_dialect": "profile-api"}
    async with start_api(session_redis, worker=False, settings=changes) as api:
        await api.post("/v1/syncs", {"space_id": "spa"})
        await api.post("/v1/syncs", {"space_id": "spa", "rules": "recipe", "dialect": "inline"})
        chosen, default = await api.client.list()
        assert (chosen.request.rules.name, chosen.request.dialect) == ("recipe", "inline")
        assert (default.request.rules.name, default.request.dialect) == ("saas", "profile-api")
        refused = await api.post("/v1/syncs", {"space_id": "spa_2", "strategy": "fan-out"})
        assert refused.status == 202  # only inline can fan out, so it chooses the dialect
