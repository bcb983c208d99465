"""The event stream of a sync."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from producer import SyncRequest
from producer.api.config import ApiLimits
from producer.sandbox import Fault, SpaceSpec
from tests.support.http_api.api_server import ApiServer, start_api
from tests.support.http_api.event_reader import ServerEvent, events_of
from tests.support.scenarios.checks import until
from tests.support.scenarios.scenario import RECIPE
from tests.support.servers.redis_server import RedisServer
from worker.store import keys

SPACES = {"spa": RECIPE, "big": SpaceSpec(4000, "recipe")}
LIMITS = ApiLimits(look_s=0.02, heartbeat_s=0.05, streams=3)


@pytest.fixture
async def api(session_redis: RedisServer) -> AsyncIterator[ApiServer]:
    async with start_api(session_redis, spaces=SPACES, limits=LIMITS) as server:
        yield server


@pytest.fixture
async def idle(session_redis: RedisServer) -> AsyncIterator[ApiServer]:
    """A server without a worker."""
    async with start_api(session_redis, spaces=SPACES, limits=LIMITS, worker=False) as server:
        yield server


async def asked(api: ApiServer, space: str = "spa", **options: object) -> str:
    return str((await api.post("/v1/syncs", {"space_id": space, **options})).json["sync_id"])


def stream(api: ApiServer, sync_id: str, last_id: str = "") -> aiohttp.client._RequestContextManager:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    return api.http.get(f"{api.url}/v1/syncs/{sync_id}/events", headers=headers)


async def events(api: ApiServer, sync_id: str, last_id: str = "") -> list[ServerEvent]:
    """The events of a stream until it ends."""
    async with stream(api, sync_id, last_id) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        return [event async for event in events_of(response) if not event.comment]


async def test_a_stream_shows_each_change_and_ends_with_the_sync(api: ApiServer) -> None:
    api.sandbox.add_fault(Fault("segment", "slow", seconds=0.05))
    sync_id = await asked(api, "big")
    found = await events(api, sync_id)
    assert [event.name for event in found] == ["sync"] * (len(found) - 1) + ["end"]
    assert len({event.id for event in found}) == len(found) > 2
    pages = [event.json["pages_fetched"] for event in found]
    assert pages == sorted(pages)
    assert found[-1].json == (await api.get(f"/v1/syncs/{sync_id}")).json


async def test_a_client_that_comes_back_gets_what_is_new(idle: ApiServer) -> None:
    sync_id = await asked(idle)
    async with stream(idle, sync_id) as response:
        first = await anext(events_of(response))
    async with stream(idle, sync_id, first.id) as response:
        back = events_of(response)
        assert (await anext(back)).comment == "heartbeat"  # nothing is new
        await idle.post(f"/v1/syncs/{sync_id}/cancel")
        news = [event async for event in back if not event.comment]
    assert [(event.name, event.json["status"]) for event in news] == [("end", "cancelled")]


async def test_a_browser_that_has_the_end_is_asked_not_to_reconnect(idle: ApiServer) -> None:
    sync_id = await asked(idle)
    await idle.post(f"/v1/syncs/{sync_id}/cancel")
    (end,) = await events(idle, sync_id)
    assert end.name == "end"
    async with stream(idle, sync_id, end.id) as response:
        assert response.status == 204
    assert [event.id for event in await events(idle, sync_id, "1-of-before")] == [end.id]


async def test_a_plan_that_is_applied_continues_its_stream(api: ApiServer) -> None:
    sync_id = await asked(api, plan_only=True)
    planned = (await events(api, sync_id))[-1]
    assert (planned.name, planned.json["status"]) == ("end", "planned")
    await api.post(f"/v1/syncs/{sync_id}/apply")
    assert (await events(api, sync_id, planned.id))[-1].json["status"] == "completed"


async def test_an_unknown_sync_has_no_stream(idle: ApiServer) -> None:
    for sync_id in ("syn_none", "a%2Fb", "é"):
        async with stream(idle, sync_id) as response:
            assert (response.status, (await response.json(content_type=None))["code"]) == (404, "sync_not_found")


async def test_a_sync_that_is_forgotten_ends_its_stream(idle: ApiServer) -> None:
    sync_id = await asked(idle)
    async with stream(idle, sync_id) as response:
        found = events_of(response)
        await anext(found)
        await idle.pool.delete(keys.sync(sync_id))
        rest = [event async for event in found]
    assert rest[-1].comment
    assert all(event.comment for event in rest)


async def test_a_sync_that_becomes_unreadable_ends_only_its_own_stream(idle: ApiServer) -> None:
    newer, other = await asked(idle), await asked(idle, "big")
    async with stream(idle, newer) as of_newer, stream(idle, other) as of_other:
        events_of_newer, events_of_other = events_of(of_newer), events_of(of_other)
        await anext(events_of_newer)
        await anext(events_of_other)
        await idle.pool.hset(keys.sync(newer), mapping={"format": "99", "epoch": "2"})
        assert all([event.comment async for event in events_of_newer])
        await idle.post(f"/v1/syncs/{other}/cancel")
        assert [event.name async for event in events_of_other if not event.comment] == ["end"]
    assert (await idle.get(f"/v1/syncs/{newer}")).code == "newer_version"


async def test_so_many_streams_and_no_more(idle: ApiServer) -> None:
    sync_id = await asked(idle)
    responses = [await stream(idle, sync_id) for _ in range(LIMITS.streams)]
    async with stream(idle, sync_id) as refused:
        assert (refused.status, (await refused.json(content_type=None))["code"]) == (429, "too_many_streams")
        assert refused.headers["Retry-After"]
    assert "segment_personas_api_event_streams 3.0" in (await idle.get("/metrics")).text
    responses.pop().close()  # a client that goes away makes room
    while True:
        async with stream(idle, sync_id) as response:
            if response.status == 200:
                break
        await asyncio.sleep(0.02)
    for response in responses:
        response.close()


async def test_many_streams_of_a_sync_cost_one_look(session_redis: RedisServer) -> None:
    async with start_api(session_redis, worker=False, limits=ApiLimits(look_s=0.02, heartbeat_s=0.05)) as api:
        sync_id = await asked(api)
        responses = [await stream(api, sync_id) for _ in range(50)]
        for response in responses:
            await anext(events_of(response))
        await api.pool.config_resetstat()
        calls: dict[str, int] = {}
        heartbeats = events_of(responses[0])
        while "cmdstat_hmget" not in calls:  # until there was a look
            await anext(heartbeats)
            calls = {name: row["calls"] for name, row in (await api.pool.info("commandstats")).items()}
        assert "cmdstat_hgetall" not in calls
        assert calls["cmdstat_hmget"] == calls["cmdstat_exec"]  # one for each look, not for each stream
        for response in responses:
            response.close()


async def test_a_client_that_takes_nothing_loses_its_stream(
    session_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = web.StreamResponse.write

    async def never_drains(self: web.StreamResponse, data: bytes) -> None:
        await write(self, data)
        if data.startswith(b"id:"):
            await asyncio.Event().wait()

    async with start_api(session_redis, worker=False, limits=ApiLimits(look_s=0.02, request_s=0.1)) as api:
        sync_id = (await api.client.enqueue(SyncRequest(space_id="spa"))).id  # over HTTP, request_s would end it
        monkeypatch.setattr(web.StreamResponse, "write", never_drains)
        async with stream(api, sync_id) as response:
            with pytest.raises(aiohttp.ClientError):
                assert [event.name async for event in events_of(response)] == []

        async def stream_is_over() -> bool:
            return "event_streams 0.0" in (await api.get("/metrics")).text  # 503 on a machine that needs over request_s

        await until(stream_is_over)


async def test_streams_outlive_a_redis_that_is_away(redis_server: RedisServer) -> None:
    async with start_api(redis_server, worker=False, limits=LIMITS) as api:
        sync_id = await asked(api)
        async with stream(api, sync_id) as response:
            found = events_of(response)
            await anext(found)
            redis_server.stop()
            away = await api.get(f"/v1/syncs/{sync_id}")
            assert (away.status, away.code) == (503, "redis_unavailable")
            assert away.headers["Retry-After"]
            redis_server.start()
            await api.client.cancel(sync_id)
            assert [event.name async for event in found if not event.comment] == ["end"]
