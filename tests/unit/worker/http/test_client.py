"""One request: what goes out, when a body may leave, and what an answer says about itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from multidict import CIMultiDict

from tests.support.http_client import LONG_S, MIB, http_client
from tests.support.servers.port import port_of_ones_own
from tests.support.servers.web_server import answer, serving
from worker.http.client import HttpClient, HttpLimits, Reply, new_session
from worker.http.errors import NotPermitted, TransportError
from worker.models.allowance import Allowance

# What goes out


async def test_a_request_carries_credentials_and_asks_for_json_that_we_can_unpack() -> None:
    async with serving(answer()) as web, http_client(web.url + "/base/") as http:
        await http.request("GET", "/path", params={"limit": "200"})
    (request,) = web.requests
    assert (request.method, request.target) == ("GET", "/base/path?limit=200")
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "gzip"
    assert "content-type" not in request.headers


async def test_a_body_is_sent_as_json() -> None:
    async with serving(answer(201)) as web, http_client(web.url) as http:
        await http.request("POST", "/personas", json={"name": "Zoë"})
    (request,) = web.requests
    assert request.headers["content-type"] == "application/json"
    assert request.body == '{"name":"Zoë"}'.encode()


@pytest.mark.parametrize("cursor", ["a b+c", "%2F%", "x&cursor=y", "ü€𝄞", "a#b?c", "\r\nX-Evil: 1", "\x00", "'\"\\;="])
async def test_a_parameter_arrives_unchanged(cursor: str) -> None:
    async with serving(answer()) as web, http_client(web.url) as http:
        await http.request("GET", "/", params={"cursor": cursor})
    (request,) = web.requests
    assert parse_qsl(urlsplit(request.target).query) == [("cursor", cursor)]
    assert "x-evil" not in request.headers


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_may_change_something_is_never_sent_again_behind_our_back(method: str) -> None:
    async with serving(b"") as web, http_client(web.url) as http:
        with pytest.raises(TransportError) as caught:
            await http.request(method, "/personas", json={})
    assert caught.value.maybe_done
    assert len(web.requests) == 1


# The permission in the last moment


async def test_a_permitted_body_is_sent_with_its_length() -> None:
    async with serving(answer(201)) as web, http_client(web.url) as http:
        reply = await http.request("POST", "/personas", json={"name": "x"}, permit=lambda: True)
    assert reply.status == 201
    assert web.requests[0].body == b'{"name":"x"}'
    assert web.requests[0].headers["content-length"] == "12"


async def test_a_body_that_is_no_longer_permitted_does_not_leave() -> None:
    async with serving(answer(201)) as web, http_client(web.url) as http:
        with pytest.raises(NotPermitted) as caught:
            await http.request("POST", "/personas", json={"name": "x"}, permit=lambda: False)
        assert not caught.value.maybe_done
        await web.wait_ended(1)
    assert not any(request.body for request in web.requests)


async def test_permission_is_asked_once_the_connection_is_made() -> None:
    asked: list[int] = []

    def permit() -> bool:
        asked.append(1)
        return True

    async with http_client(f"http://127.0.0.1:{port_of_ones_own()}") as http:
        with pytest.raises(TransportError, match="cannot connect"):
            await http.request("POST", "/personas", json={}, permit=permit)
    assert not asked


async def test_what_is_done_on_the_connection_comes_before_the_permission() -> None:
    steps: list[str] = []

    async def on_connected() -> None:
        steps.append("connected")

    def permit() -> bool:
        steps.append("permitted")
        return True

    async with serving(answer(201)) as web, http_client(web.url) as http:
        await http.request("POST", "/personas", json={}, permit=permit, on_connected=on_connected)
    assert steps == ["connected", "permitted"]
    assert web.requests[0].body == b"{}"


async def test_an_error_on_the_connection_is_raised_unchanged_and_nothing_is_sent() -> None:
    async def on_connected() -> None:
        raise KeyError("mine")

    async with serving(answer(201)) as web, http_client(web.url) as http:
        with pytest.raises(KeyError, match="mine"):
            await http.request("POST", "/personas", json={"name": "x"}, permit=lambda: True, on_connected=on_connected)
        await web.wait_ended(1)
    assert not any(request.body for request in web.requests)


async def test_a_time_out_before_the_body_is_sent_sends_nothing_later() -> None:
    goes_on = asyncio.Event()

    async def on_connected() -> None:
        await goes_on.wait()

    async with serving(answer(201)) as web, http_client(web.url, total_s=0.2) as http:
        with pytest.raises(TransportError, match="no answer") as caught:
            await http.request("POST", "/personas", json={"name": "x"}, permit=lambda: True, on_connected=on_connected)
        goes_on.set()
        await web.wait_ended(1)
    assert not caught.value.maybe_done
    assert not any(request.body for request in web.requests)


async def test_a_permitted_body_without_an_answer_may_have_done_something() -> None:
    async with serving(b"") as web, http_client(web.url) as http:
        with pytest.raises(TransportError, match="the connection broke") as caught:
            await http.request("POST", "/personas", json={}, permit=lambda: True)
    assert caught.value.maybe_done


# The environment


async def test_a_netrc_file_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("default login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with serving(answer()) as web, http_client(web.url) as http:
        await http.request("GET", "/")
    assert web.requests[0].headers["authorization"] == "Bearer secret"


# Request ids


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Request-Id": "req_1"}, "req_1"),
        ({"x-request-id": "req_2"}, "req_2"),
        ({"Request-Id": "", "X-Request-Id": "req_3"}, "req_3"),
        ({"Request-Id": "a" * 1000}, "a" * 100),
        ({"Request-Id": "a\udc80\x1b[31m é"}, "a[31m"),
        ({"Request-Id": "\udc80"}, None),
    ],
)
def test_a_request_id_is_short_and_printable(headers: dict[str, str], expected: str | None) -> None:
    assert Reply(200, CIMultiDict(headers), b"").request_id == expected


# Who listens


async def test_the_rate_limit_of_every_answer_that_names_one_is_passed_on() -> None:
    heard: list[Allowance] = []
    named = [{"X-RateLimit-Limit": "200"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "7"}, {"Date": "today"}]
    answers = [answer(status, b"", headers) for status, headers in zip((200, 429, 503), named, strict=True)]
    async with serving(*answers) as web, new_session() as session:
        http = HttpClient(
            session,
            web.url,
            {},
            HttpLimits(LONG_S, LONG_S, MIB),
            on_allowance=heard.append,
        )
        for _ in answers:
            await http.request("GET", "/")
    assert heard == [Allowance(limit=200), Allowance(pause_s=7)]
