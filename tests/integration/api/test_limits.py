"""What keeps the server alive: bounds of requests, time-outs, an orderly stop, and whatever clients send."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from producer.api.config import ApiLimits
from producer.client import SyncClient
from tests.support.http_api.api_server import ApiServer, start_api
from tests.support.http_api.event_reader import events_of
from tests.support.scenarios.checks import until
from tests.support.servers.redis_server import RedisServer


@pytest.fixture
async def api(session_redis: RedisServer) -> AsyncIterator[ApiServer]:
    limits = ApiLimits(body_bytes=2000, body_s=0.3, look_s=0.02, connection_s=0.3)
    async with start_api(session_redis, worker=False, limits=limits) as server:
        yield server


async def raw(api: ApiServer, request: bytes) -> bytes:
    """What the server answers to these bytes, until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rsplit(":", 1)[1]))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


BAD_BODIES = {
    "nothing": (b"", 415, "unsupported_media_type"),
    "no JSON": (b"{", 400, "malformed_json"),
    "not UTF-8": (b'{"space_id": "\xff"}', 400, "malformed_json"),
    "NaN": (b'{"space_id": "a", "sample": NaN}', 400, "malformed_json"),
    "a list": (b"[]", 422, "invalid_request"),
    "null": (b"null", 422, "invalid_request"),
    "no space": (b"{}", 422, "invalid_request"),
    "nested deep": (b"[" * 900 + b"]" * 900, 422, "invalid_request"),
    "an unknown key": (b'{"space_id": "a", "token": "secret"}', 422, "invalid_request"),
    "too large": (b'{"space_id": "' + b"a" * 3000 + b'"}', 413, "body_too_large"),
}


@pytest.mark.parametrize("case", BAD_BODIES)
async def test_a_bad_body_is_refused(api: ApiServer, case: str) -> None:
    body, status, code = BAD_BODIES[case]
    headers = {"Content-Type": "application/json"} if body else {}
    reply = await api.call("POST", "/v1/syncs", data=body, headers=headers)
    assert (reply.status, reply.code) == (status, code)
    assert "secret" not in reply.text
    assert await api.client.list() == []


async def test_a_compressed_body_is_not_read(api: ApiServer) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await api.call("POST", "/v1/syncs", data=b"bomb", headers=headers)).code == "unsupported_media_type"


@pytest.mark.parametrize("key", ["", " ", "a" * 256, "é", "a\tb"])
async def test_a_bad_key_is_refused(api: ApiServer, key: str) -> None:
    reply = await api.post("/v1/syncs", {"space_id": "a"}, headers={"Idempotency-Key": key})
    assert (reply.status, reply.json["errors"][0]["where"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=1&limit=2",
        "state=done",
        "cursor=x",
        "space_id=a/b",
        "other=1",
        "space_id=",
    ],
)
async def test_a_bad_query_is_refused(api: ApiServer, query: str) -> None:
    reply = await api.get(f"/v1/syncs?{query}")
    assert (reply.status, reply.code) == (422, "invalid_request")


async def test_another_method_is_refused_with_those_that_there_are(api: ApiServer) -> None:
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        reply = await api.call(method, "/v1/syncs")
        assert (reply.status, reply.code) == (405, "method_not_allowed")
        assert set(reply.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}


async def test_a_body_that_does_not_come_is_not_waited_for(api: ApiServer) -> None:
    head = (
        b"POST /v1/syncs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rsplit(":", 1)[1]))
    writer.write(head)
    assert b" 408 " in await reader.readline()  # the connection stays open for a while
    writer.close()


async def test_a_connection_without_a_request_is_closed(api: ApiServer) -> None:
    assert await raw(api, b"") == b""
    assert await raw(api, b"GET / HTTP/1.1\r\nHost: local") == b""


async def test_a_request_that_takes_too_long_is_answered(redis_server: RedisServer) -> None:
    async with start_api(redis_server, worker=False, limits=ApiLimits(request_s=0.2)) as api:
        redis_server.pause()
        try:
            reply = await api.get("/v1/syncs")
        finally:
            redis_server.go_on()
        assert (reply.status, reply.code in {"timeout", "redis_unavailable"}) == (503, True)

        async def answers() -> bool:
            return (await api.get("/v1/syncs")).status == 200  # 503 on a machine that needs over request_s

        await until(answers)


@pytest.mark.parametrize(
    "path", ["/v1/syncs", "/v1/syncs/syn_1", "/v1/spaces/spa/history", "/v1/spaces/spa/personas", "/readyz"]
)
async def test_without_redis_every_route_says_try_later(redis_server: RedisServer, path: str) -> None:
    async with start_api(redis_server, worker=False) as api:
        redis_server.stop()
        reply = await api.get(path)
        assert (reply.status, reply.code, reply.headers["Retry-After"]) == (503, "redis_unavailable", "5")
        assert (await api.get("/healthz")).status == 200
        redis_server.start()


async def test_a_stop_lets_a_running_request_finish_and_ends_streams(
    session_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_api(session_redis, worker=False) as api:
        sync_id = (await api.post("/v1/syncs", {"space_id": "spa"})).json["sync_id"]
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(self: SyncClient, space_id: str) -> dict[str, object]:
            begun.set()
            await go_on.wait()
            return {}

        monkeypatch.setattr(SyncClient, "persona_records", slow)
        async with api.http.get(f"{api.url}/v1/syncs/{sync_id}/events") as response:
            stream = events_of(response)
            await anext(stream)
            running = asyncio.create_task(api.get("/v1/spaces/spa/personas"))
            await begun.wait()
            api.serving.cancel()
            assert [event.comment async for event in stream] == ["the server stops"]
        go_on.set()
        assert (await running).status == 200
        await asyncio.wait({api.serving})


async def test_a_request_that_does_not_finish_does_not_hold_up_a_stop(
    session_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_api(session_redis, worker=False, limits=ApiLimits(stop_s=0.1)) as api:
        begun = asyncio.Event()

        async def hangs(self: SyncClient, space_id: str) -> dict[str, object]:
            begun.set()
            await asyncio.Event().wait()
            return {}

        monkeypatch.setattr(SyncClient, "persona_records", hangs)
        running = asyncio.create_task(api.get("/v1/spaces/spa/personas"))
        await begun.wait()
        api.serving.cancel()
        await asyncio.wait({api.serving})
        await asyncio.wait({running})


async def test_random_bytes_leave_the_server_alive(api: ApiServer) -> None:
    chance = random.Random(13)
    pieces = [
        *(b"GET", b"POST", b" ", b"/v1/syncs", b"/v1/syncs/", b"\x00", b"%00", b"%ff", b"?", b"&limit=", b"\xff\xfe"),
        *(
            b" HTTP/1.1\r\n",
            b" HTTP/9.9\r\n",
            b"\r\n",
            b"\n",
            b"Host: localhost\r\n",
            b"Content-Length: 5\r\n",
            b": x\r\n",
        ),
        *(
            b"Content-Length: -1\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"5\r\n{}\r\n",
            b"Authorization: Bearer \xff\r\n",
        ),
        *(b"Last-Event-ID: \x7f\r\n", b"Origin: http://[\r\n", b"Idempotency-Key: \xf0\r\n", b"a" * 9000, b'{"a":1}'),
    ]
    for _ in range(40):
        request = b"".join(chance.choice(pieces) for _ in range(chance.randrange(1, 12)))
        answer = await raw(api, request + b"\r\n\r\n")
        assert b" 500 " not in answer[:20], request
    assert (await api.get("/healthz")).status == 200
    assert (await api.post("/v1/syncs", {"space_id": "spa"})).status == 202


async def test_random_values_in_every_header_and_path_are_answered(session_redis: RedisServer) -> None:
    chance = random.Random(14)
    names = ["Idempotency-Key", "Last-Event-ID", "Authorization", "Content-Type", "Origin", "Accept", "If-None-Match"]
    async with start_api(session_redis, worker=False) as api:  # a connection that idles for a moment stays open
        for _ in range(60):
            value = "".join(
                chr(chance.choice([*range(33, 127), 160, 233, 255])) for _ in range(chance.randrange(1, 60))
            )
            path = chance.choice(["/v1/syncs", "/v1/syncs/", "/v1/spaces/", "/static/"]) + "%25/..".join(
                [""] * chance.randrange(3)
            )
            headers = {chance.choice(names): value, "Content-Type": "application/json"}
            reply = await api.call(chance.choice(["GET", "POST"]), path, data=value.encode() or None, headers=headers)
            assert reply.status < 500, (path, headers)
