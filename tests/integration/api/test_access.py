"""Who may use the HTTP API: tokens and their scopes, and web pages."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from producer.api.config import ApiLimits
from tests.support.http_api.api_server import ApiServer, start_api
from tests.support.servers.redis_server import RedisServer

WRITER, READER = "writer-token-0123456789", "reader-token-0123456789"
OPEN = {"/healthz", "/readyz", "/openapi.json", "/docs", "/", "/static/docs.css"}


def entry(name: str, token: str, scopes: str) -> str:
    return f'[[tokens]]\nname = "{name}"\ntoken = "{token}"\nscopes = {scopes}\n'


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.toml"
    path.write_text(entry("writer", WRITER, '["read", "write"]') + entry("reader", READER, '["read"]'))
    return path


@pytest.fixture
async def api(session_redis: RedisServer, tokens_file: Path) -> AsyncIterator[ApiServer]:
    limits = ApiLimits(wrong_tokens=10_000)
    async with start_api(session_redis, worker=False, tokens_file=tokens_file, limits=limits) as server:
        yield server


@pytest.fixture
async def local(session_redis: RedisServer) -> AsyncIterator[ApiServer]:
    """A server without tokens."""
    async with start_api(session_redis, worker=False) as server:
        yield server


async def routes(api: ApiServer) -> list[tuple[str, str, bool]]:
    """Method, path and whether a token is needed, of every route of the document."""
    document: dict[str, Any] = (await api.get("/openapi.json")).json
    return [
        (
            method.upper(),
            path.replace("{id}", "sch_0123456789abcdef" if "schedules" in path else "syn_1"),
            bool(operation["security"]),
        )
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def test_every_route_is_refused_without_a_token_that_is_known(api: ApiServer) -> None:
    found = await routes(api)
    assert {path for _, path, needs in found if not needs} == OPEN - {"/", "/static/docs.css"}
    for method, path, needs in found:
        for token in ("", "wrong-token-0123456789", READER[:-1], f"{READER}x"):
            reply = await api.call(method, path, token=token)
            assert (reply.status == 401) is needs, (method, path)
            if needs:
                assert reply.code == "unauthorized"
                assert reply.headers["WWW-Authenticate"].startswith("Bearer ")
            if method == "GET" and not path.endswith("/events"):
                assert ((await api.call("HEAD", path, token=token)).status == 401) is needs, path
    assert await api.client.list() == []


async def test_a_token_that_only_reads_starts_and_changes_nothing(api: ApiServer) -> None:
    for method, path, needs in await routes(api):
        reply = await api.call(method, path, token=READER)
        if method in {"POST", "DELETE"}:
            assert (reply.status, reply.code) == (403, "insufficient_scope"), path
            assert 'scope="write"' in reply.headers["WWW-Authenticate"]
        elif needs:
            assert reply.status not in {401, 403}, path
    assert await api.client.list() == []


async def test_a_token_that_may_write_does(api: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    asked = await api.post("/v1/syncs", {"space_id": "spa"}, token=WRITER)
    assert asked.status == 202
    assert (await api.get(asked.headers["Location"], token=READER)).json["sync_id"] == asked.json["sync_id"]
    assert (await api.post(f"{asked.headers['Location']}/cancel", token=WRITER)).json["status"] == "cancelled"
    assert "token writer: POST '/v1/syncs'" in caplog.text
    assert WRITER not in caplog.text


@pytest.mark.parametrize("header", [f"Basic {WRITER}", WRITER, "Bearer", "Bearer ", f"Bearer  {WRITER} x", "Bearer é"])
async def test_another_kind_of_credentials_is_refused(api: ApiServer, header: str) -> None:
    assert (await api.get("/v1/syncs", headers={"Authorization": header})).status == 401


async def test_a_token_in_the_query_is_not_accepted(api: ApiServer) -> None:
    assert (await api.get(f"/v1/syncs?access_token={WRITER}")).status == 401


async def test_a_token_is_replaced_without_an_interruption(api: ApiServer, tokens_file: Path) -> None:
    def put(text: str) -> None:
        other = tokens_file.with_suffix(".new")
        other.write_text(text)
        os.replace(other, tokens_file)

    async def statuses(*tokens: str) -> list[int]:
        return [(await api.get("/v1/syncs", token=token)).status for token in tokens]

    new = "new-token-0123456789"
    old_entry, new_entry = entry("old", READER, '["read"]'), entry("new", new, '["read"]')
    assert await statuses(READER, new) == [200, 401]
    put(old_entry + new_entry)
    assert await statuses(READER, new) == [200, 200]
    put(new_entry)
    assert await statuses(READER, new) == [401, 200]
    put("[[tokens")
    assert await statuses(READER, new) == [401, 200]


@pytest.mark.parametrize("path", ["/healthz", "/v1/syncs", "/docs", "/"])
async def test_a_name_that_was_bound_to_this_machine_is_refused(local: ApiServer, path: str) -> None:
    rebound = await local.get(path, headers={"Host": "evil.example:8000"})
    assert (rebound.status, rebound.code) == (421, "wrong_host")
    assert (await local.get(path, headers={"Host": "localhost:1234"})).status == 200


async def test_with_tokens_a_server_may_have_any_name(api: ApiServer) -> None:
    assert (await api.get("/v1/syncs", token=READER, headers={"Host": "personas.example.com"})).status == 200


async def test_a_page_of_another_origin_starts_nothing(local: ApiServer) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        refused = await local.post("/v1/syncs", {"space_id": "spa"}, headers=headers)
        assert (refused.status, refused.code) == (403, "cross_origin")
        assert "Access-Control-Allow-Origin" not in refused.headers
    preflight = await local.call("OPTIONS", "/v1/syncs", headers={"Origin": "http://evil.example"})
    assert preflight.status >= 400
    form = await local.call("POST", "/v1/syncs", data={"space_id": "spa"})
    assert (form.status, form.code) == (415, "unsupported_media_type")
    assert await local.client.list() == []
    own = await local.post("/v1/syncs", {"space_id": "spa"}, headers={"Origin": local.url})
    assert own.status == 202


async def test_every_response_has_the_security_headers(local: ApiServer) -> None:
    for path in ("/", "/docs", "/static/docs.css", "/v1/syncs", "/none", "/healthz"):
        headers = (await local.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "aiohttp" not in headers["Server"]


async def test_the_pages_load_nothing_from_another_host_and_run_no_inline_script(local: ApiServer) -> None:
    for path in ("/", "/docs"):
        page = (await local.get(path)).text
        assert "<script>" not in page
        assert "style=" not in page
        assert 'src="http' not in page
        assert 'href="http' not in page


async def test_a_file_of_the_page_is_sent_once_while_it_is_the_same(local: ApiServer) -> None:
    first = await local.get("/static/docs.css")
    again = await local.get("/static/docs.css", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status, again.status, again.text) == (200, 304, "")
    for path in ("/static/none.css", "/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/static/__init__.py"):
        assert (await local.get(path)).status == 404


async def test_wrong_tokens_are_limited_and_do_not_stop_right_ones(
    session_redis: RedisServer, tokens_file: Path
) -> None:
    async with start_api(session_redis, worker=False, tokens_file=tokens_file) as api:
        wrong = [api.get("/v1/syncs", token=f"wrong-token-{number:09}") for number in range(30)]
        *replies, right = await asyncio.gather(*wrong, api.get("/v1/syncs", token=READER))
        assert right.status == 200
        refused = [reply for reply in replies if reply.status == 429]
        assert sorted(reply.status for reply in replies)[:10] == [401] * 10
        assert refused
        assert {reply.code for reply in refused} == {"too_many_wrong_tokens"}
        assert all(1 <= int(reply.headers["Retry-After"]) <= 60 for reply in refused)
        assert (await api.get("/v1/syncs")).status == 401  # without a token, nothing is counted
