"""One request: what goes out, what comes in, and that a hostile server gets no memory, no time and no credentials."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from multidict import CIMultiDict

from tests.support.servers.port import port_of_ones_own
from tests.support.servers.tls import identity, tls_front
from tests.support.servers.web_server import Answer, WebServer, answer, forever, serving
from worker.http.client import HttpClient, HttpLimits, Reply, new_session
from worker.http.errors import NotPermitted, TransportError
from worker.models.allowance import Allowance

LONG_S = 30.0
MIB = 1 << 20


@asynccontextmanager
async def client(
    url: str, *, connect_s: float = LONG_S, total_s: float = LONG_S, body_bytes: int = MIB
) -> AsyncIterator[HttpClient]:
    async with new_session() as session:
        credentials = {"Authorization": "Bearer secret"}
        yield HttpClient(session, url, credentials, HttpLimits(connect_s, total_s, body_bytes))


async def get(*answers: Answer, **limits: Any) -> Reply:
    """What a GET makes of these answers."""
    async with serving(*answers) as web, client(web.url, **limits) as http:
        return await http.request("GET", "/")


async def failed_get(*answers: Answer, **limits: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await get(*answers, **limits)
    return caught.value


def packed(body: bytes, encoding: str = "gzip", status: int = 200) -> bytes:
    return answer(status, body, {"Content-Encoding": encoding})


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + end


def until_close(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body


# What goes out


async def test_a_request_carries_credentials_and_asks_for_json_that_we_can_unpack() -> None:
    async with serving(answer()) as web, client(web.url + "/base/") as http:
        await http.request("GET", "/path", params={"limit": "200"})
    (request,) = web.requests
    assert (request.method, request.target) == ("GET", "/base/path?limit=200")
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "gzip"
    assert "content-type" not in request.headers


async def test_a_body_is_sent_as_json() -> None:
    async with serving(answer(201)) as web, client(web.url) as http:
        await http.request("POST", "/personas", json={"name": "Zoë"})
    (request,) = web.requests
    assert request.headers["content-type"] == "application/json"
    assert request.body == '{"name":"Zoë"}'.encode()


@pytest.mark.parametrize("cursor", ["a b+c", "%2F%", "x&cursor=y", "ü€𝄞", "a#b?c", "\r\nX-Evil: 1", "\x00", "'\"\\;="])
async def test_a_parameter_arrives_unchanged(cursor: str) -> None:
    async with serving(answer()) as web, client(web.url) as http:
        await http.request("GET", "/", params={"cursor": cursor})
    (request,) = web.requests
    assert parse_qsl(urlsplit(request.target).query) == [("cursor", cursor)]
    assert "x-evil" not in request.headers


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_may_change_something_is_never_sent_again_behind_our_back(method: str) -> None:
    async with serving(b"") as web, client(web.url) as http:
        with pytest.raises(TransportError) as caught:
            await http.request(method, "/personas", json={})
    assert caught.value.maybe_done
    assert len(web.requests) == 1


# The permission in the last moment


async def test_a_permitted_body_is_sent_with_its_length() -> None:
    async with serving(answer(201)) as web, client(web.url) as http:
        reply = await http.request("POST", "/personas", json={"name": "x"}, permit=lambda: True)
    assert reply.status == 201
    assert web.requests[0].body == b'{"name":"x"}'
    assert web.requests[0].headers["content-length"] == "12"


async def test_a_body_that_is_no_longer_permitted_does_not_leave() -> None:
    async with serving(answer(201)) as web, client(web.url) as http:
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

    async with client(f"http://127.0.0.1:{port_of_ones_own()}") as http:
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

    async with serving(answer(201)) as web, client(web.url) as http:
        await http.request("POST", "/personas", json={}, permit=permit, on_connected=on_connected)
    assert steps == ["connected", "permitted"]
    assert web.requests[0].body == b"{}"


async def test_an_error_on_the_connection_is_raised_unchanged_and_nothing_is_sent() -> None:
    async def on_connected() -> None:
        raise KeyError("mine")

    async with serving(answer(201)) as web, client(web.url) as http:
        with pytest.raises(KeyError, match="mine"):
            await http.request("POST", "/personas", json={"name": "x"}, permit=lambda: True, on_connected=on_connected)
        await web.wait_ended(1)
    assert not any(request.body for request in web.requests)


async def test_a_time_out_before_the_body_is_sent_sends_nothing_later() -> None:
    goes_on = asyncio.Event()

    async def on_connected() -> None:
        await goes_on.wait()

    async with serving(answer(201)) as web, client(web.url, total_s=0.2) as http:
        with pytest.raises(TransportError, match="no answer") as caught:
            await http.request("POST", "/personas", json={"name": "x"}, permit=lambda: True, on_connected=on_connected)
        goes_on.set()
        await web.wait_ended(1)
    assert not caught.value.maybe_done
    assert not any(request.body for request in web.requests)


async def test_a_permitted_body_without_an_answer_may_have_done_something() -> None:
    async with serving(b"") as web, client(web.url) as http:
        with pytest.raises(TransportError, match="the connection broke") as caught:
            await http.request("POST", "/personas", json={}, permit=lambda: True)
    assert caught.value.maybe_done


# What comes in

BODY = b'{"data": {"profiles": []}}' * 40


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(answer(200, BODY), id="declared length"),
        pytest.param(answer(200, BODY, {"Content-Encoding": "identity"}), id="identity"),
        pytest.param(chunked(BODY[:100], BODY[100:]), id="chunked"),
        pytest.param(until_close(BODY), id="until the connection closes"),
        pytest.param(packed(gzip.compress(BODY)), id="gzip"),
        pytest.param(packed(gzip.compress(BODY), "x-gzip"), id="x-gzip"),
        pytest.param(packed(gzip.compress(BODY), " GZIP "), id="another spelling"),
        pytest.param(packed(gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])), id="two members"),
        pytest.param(packed(gzip.compress(b"") * 3 + gzip.compress(BODY)), id="empty members"),
        pytest.param(packed(gzip.compress(BODY, 0)), id="stored blocks"),
    ],
)
async def test_a_body_is_read_however_it_is_sent(raw: bytes) -> None:
    reply = await get(raw)
    assert (reply.status, reply.body) == (200, BODY)


async def test_members_may_be_cut_anywhere_on_their_way() -> None:
    body = gzip.compress(BODY[:500]) + gzip.compress(BODY[500:])

    async def drip() -> AsyncIterator[bytes]:
        yield packed(body)[: -len(body)]
        for at in range(len(body)):
            yield body[at : at + 1]

    assert (await get(drip)).body == BODY


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("status", [200, 204, 206, 304, 404])
async def test_an_empty_body_is_one_whatever_its_encoding(status: int, encoding: str) -> None:
    reply = await get(answer(status, b"", {"Content-Encoding": encoding} if encoding else None))
    assert (reply.status, reply.body) == (status, b"")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x16\x03\x01 this is not HTTP\r\n\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", id="endless header"),
        pytest.param(answer(200, BODY)[:-1], id="cut short"),
        pytest.param(chunked(BODY, end=b""), id="last chunk missing"),
        pytest.param(chunked(BODY, end=b"zz\r\n"), id="broken chunk"),
        pytest.param(packed(gzip.compress(BODY)[:-9]), id="gzip cut short"),
        pytest.param(packed(gzip.compress(BODY)[:5]), id="gzip header cut short"),
        pytest.param(packed(gzip.compress(BODY)[:-8] + bytes(8)), id="wrong checksum"),
        pytest.param(packed(gzip.compress(BODY) + b"\r\ngarbage"), id="garbage behind gzip"),
        pytest.param(packed(gzip.compress(BODY) + gzip.compress(BODY)[:12]), id="second member cut short"),
        pytest.param(packed(BODY), id="not gzip at all"),
        pytest.param(packed(zlib.compress(BODY)[:-1], "deflate"), id="deflate cut short"),
        pytest.param(packed(BODY, "deflate"), id="not deflate at all"),
        pytest.param(packed(zlib.compress(BODY) + b"x", "deflate"), id="garbage behind deflate"),
        pytest.param(packed(BODY, "br"), id="br, not asked for"),
        pytest.param(packed(gzip.compress(gzip.compress(BODY)), "gzip, gzip"), id="packed twice"),
    ],
)
async def test_an_answer_that_is_broken_is_none_and_shows_nothing_of_itself(raw: bytes) -> None:
    error = await failed_get(raw)
    assert error.maybe_done
    assert "profiles" not in str(error)
    assert "garbage" not in str(error)


# Bounds


@pytest.mark.parametrize("body_bytes", [1, 1000, MIB])
async def test_a_body_of_exactly_the_bound_is_read(body_bytes: int) -> None:
    for raw in (answer(200, b"x" * body_bytes), until_close(b"x" * body_bytes), packed(gzip.compress(b"x" * 1))):
        reply = await get(raw, body_bytes=max(30, body_bytes))
        assert set(reply.body) == {ord("x")}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(answer(200, b"", {"Content-Length": str(10**12)}), id="declared"),
        pytest.param(packed(b"", "gzip").replace(b"Length: 0", b"Length: 99999999"), id="declared, compressed"),
        pytest.param(until_close(b"x" * 1001), id="undeclared"),
        pytest.param(chunked(b"x" * 999, b"xx"), id="chunked"),
        pytest.param(packed(gzip.compress(b"x" * 1001)), id="decompressed"),
        pytest.param(packed(gzip.compress(b"x" * 600) + gzip.compress(b"x" * 401)), id="in two members"),
        pytest.param(packed(gzip.compress(b"") * 100), id="compressed nothing"),
    ],
)
async def test_a_body_over_the_bound_is_not_read(raw: bytes) -> None:
    error = await failed_get(raw, body_bytes=1000)
    assert error.maybe_done
    assert str(error) == "the body is larger than 0.000953674 MiB (MAX_BODY_MB)"


async def test_an_endless_body_ends_at_the_bound() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield until_close(b"")
        while True:
            yield b"x" * 65_536

    assert "larger than 1 MiB" in str(await failed_get(endless))


async def test_a_hung_server_costs_the_time_out_and_no_more() -> None:
    error = await failed_get(forever, total_s=0.1)
    assert error.maybe_done
    assert str(error) == "no answer within 0.1 s"


async def test_a_body_that_never_ends_costs_the_time_out_and_no_more() -> None:
    async def halting() -> AsyncIterator[bytes]:
        yield answer(200, BODY)[:-1]
        await asyncio.Event().wait()

    assert "no answer within" in str(await failed_get(halting, total_s=0.3))


async def test_a_host_that_takes_no_connection_costs_the_connect_time_out() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting = []
        for _ in range(8):  # fills the queue of a server that accepts no connection
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(deaf.getsockname())
        async with client(f"http://127.0.0.1:{deaf.getsockname()[1]}", connect_s=0.1) as http:
            with pytest.raises(TransportError, match=r"^no connection within 0\.1 s$") as caught:
                await http.request("POST", "/personas", json={})
        for one in waiting:
            one.close()
    assert not caught.value.maybe_done


async def test_a_refused_connection_has_done_nothing() -> None:
    port = port_of_ones_own()
    async with client(f"http://127.0.0.1:{port}") as http:
        with pytest.raises(TransportError, match=rf"^cannot connect: 127\.0\.0\.1:{port} \(.+\)$") as caught:
            await http.request("POST", "/personas", json={})
    assert not caught.value.maybe_done


async def test_a_server_without_tls_has_received_nothing() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(400))
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server, client(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as http:
        with pytest.raises(TransportError, match="cannot connect") as caught:
            await http.request("POST", "/personas", json={})
    assert not caught.value.maybe_done


# A refusal is one, even if its body cannot be had


async def halting_refusal() -> AsyncIterator[bytes]:
    yield answer(402, BODY)[:-1]
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(answer(401, BODY)[:-1], 401, id="cut short"),
        pytest.param(packed(BODY, status=500), 500, id="not gzip"),
        pytest.param(packed(BODY, "br", status=403), 403, id="unknown encoding"),
        pytest.param(answer(429, b"x" * 2000, {"Retry-After": "7"}), 429, id="too large"),
        pytest.param(halting_refusal, 402, id="never ends"),
    ],
)
async def test_a_refusal_counts_though_its_body_is_broken(raw: Answer, status: int) -> None:
    hangs = callable(raw)
    reply = await get(raw, body_bytes=1000, total_s=1.0 if hangs else LONG_S)
    assert (reply.status, reply.body) == (status, b"")
    assert status != 429 or reply.headers["retry-after"] == "7"


# Redirects


def redirect(location: str, status: int = 302) -> bytes:
    return answer(status, b"moved", {"Location": location})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_on_the_same_host_is_followed(status: int) -> None:
    async with serving(redirect("/new?cursor=c", status), answer(200, BODY)) as web, client(web.url) as http:
        reply = await http.request("GET", "/old")
    assert reply.body == BODY
    assert [request.target for request in web.requests] == ["/old", "/new?cursor=c"]
    assert web.requests[1].headers["authorization"] == "Bearer secret"


async def test_credentials_never_arrive_at_another_host() -> None:
    async with serving(answer(200, BODY)) as elsewhere, serving(redirect(elsewhere.url + "/x")) as web:
        async with client(web.url) as http:
            with pytest.raises(TransportError, match="another host") as caught:
                await http.request("GET", "/")
        assert elsewhere.requests == []
    assert f"http://127.0.0.1:{elsewhere.port}" in str(caught.value)


async def test_credentials_do_not_leave_tls() -> None:
    async with serving(answer()) as web:
        error = await failed_get(redirect(web.url.replace("http:", "https:") + "/"))
    assert error.lasting
    assert "redirects to https://127.0.0.1" in str(error)


async def test_a_user_in_a_redirect_does_not_replace_our_credentials() -> None:
    async def back() -> AsyncIterator[bytes]:
        yield redirect(f"http://evil:user@127.0.0.1:{web.port}/new")

    web: WebServer
    async with serving(back, answer(200, BODY)) as web, client(web.url) as http:
        assert (await http.request("GET", "/")).body == BODY
    assert web.requests[1].headers["authorization"] == "Bearer secret"


async def test_a_circle_of_redirects_ends() -> None:
    async with serving(redirect("/again")) as web, client(web.url) as http:
        with pytest.raises(TransportError, match="more than 3 redirects"):
            await http.request("GET", "/")
    assert len(web.requests) == 4


@pytest.mark.parametrize("location", ["http://[::1", "http://h:99999999/", "mailto:a@b", "http://\udc80/", "data:,x"])
async def test_a_redirect_to_a_malformed_address_is_refused(location: str) -> None:
    error = await failed_get(redirect(location))
    assert "is not a URL" in str(error)
    assert (error.maybe_done, error.lasting) == (False, True)


@pytest.mark.parametrize("raw", [answer(302), redirect(""), redirect("http://"), redirect("//")])
async def test_a_redirect_without_a_place_ends(raw: bytes) -> None:
    assert "more than 3 redirects" in str(await failed_get(raw))


async def test_the_name_of_another_host_is_shown_only_in_part() -> None:
    assert len(str(await failed_get(redirect(f"http://{'x.' * 2000}example/")))) < 250


async def test_a_redirected_post_is_not_sent_again() -> None:
    async with serving(redirect("/new", 307)) as web, client(web.url) as http:
        with pytest.raises(TransportError, match="redirects a POST") as caught:
            await http.request("POST", "/personas", json={})
    assert caught.value.maybe_done
    assert len(web.requests) == 1


# The environment


async def test_a_netrc_file_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("default login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with serving(answer()) as web, client(web.url) as http:
        await http.request("GET", "/")
    assert web.requests[0].headers["authorization"] == "Bearer secret"


async def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer(200, BODY)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//user:word@"))
        monkeypatch.setenv("no_proxy", "")
        async with client("http://api.example/v1") as http:
            assert (await http.request("GET", "/x")).body == BODY
    assert proxy.requests[0].target == "http://api.example/v1/x"
    assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")


async def test_no_proxy_is_used_for_hosts_that_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer()) as proxy, serving(answer(200, BODY)) as web:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with client(web.url) as http:
            assert (await http.request("GET", "/")).body == BODY
    assert not proxy.requests


# What cannot get better is not asked for again


@pytest.mark.parametrize("wbits", [zlib.MAX_WBITS, -zlib.MAX_WBITS])
async def test_deflate_is_read_in_both_of_its_forms(wbits: int) -> None:
    stream = zlib.compressobj(wbits=wbits)
    body = stream.compress(BODY) + stream.flush()
    assert (await get(packed(body, "deflate"))).body == BODY
    cut = chunked(body[:1], body[1:5], body[5:]).replace(b"\r\n", b"\r\nContent-Encoding: deflate\r\n", 1)
    assert (await get(cut)).body == BODY
    bomb = zlib.compress(b"x" * (2 * MIB))
    assert "larger than" in str(await failed_get(packed(bomb, "deflate")))


@pytest.mark.parametrize(
    ("encoding", "named"), [("br", "br"), ("zstd", "zstd"), ("gzip, gzip", "gzip, gzip"), ("é", "")]
)
async def test_an_encoding_that_is_not_read_is_named(encoding: str, named: str) -> None:
    error = await failed_get(packed(BODY, encoding))
    assert error.lasting
    assert named in str(error)


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n"])
async def test_headers_that_are_too_large_are_named(raw: bytes) -> None:
    error = await failed_get(raw)
    assert (error.lasting, error.maybe_done) == (True, True)
    assert "headers of the answer are too large" in str(error)


@pytest.mark.parametrize(
    ("code", "lasting"), [(socket.EAI_NONAME, True), (socket.EAI_AGAIN, False), (socket.EAI_FAIL, False)]
)
async def test_an_unknown_host_is_lasting_and_a_resolver_that_fails_is_not(
    code: int, lasting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(*_: object, **__: object) -> object:
        raise socket.gaierror(code, "no answer")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with client("http://nowhere.example") as http:
        with pytest.raises(TransportError, match=r"nowhere\.example") as caught:
            await http.request("POST", "/personas", json={})
    assert (caught.value.lasting, caught.value.maybe_done) == (lasting, False)


async def test_a_certificate_that_is_not_trusted_is_lasting(tmp_path: Path) -> None:
    other = identity(tmp_path, elsewhere=True)
    async with (
        serving(answer()) as web,
        tls_front(web.port, other) as port,
        client(f"https://127.0.0.1:{port}") as http,
    ):
        with pytest.raises(TransportError, match="certificate of 127") as caught:
            await http.request("POST", "/personas", json={})
    assert (caught.value.lasting, caught.value.maybe_done) == (True, False)


@pytest.mark.parametrize(
    ("scheme", "status", "lasting"),
    [("http", 407, True), ("https", 407, True), ("https", 403, True), ("https", 502, False)],
)
async def test_a_proxy_that_refuses_is_named(
    scheme: str, status: int, lasting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(answer(status)) as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        async with client(f"{scheme}://api.example/v1") as http:
            with pytest.raises(TransportError, match=f"proxy answers {status}") as caught:
                await http.request("POST", "/personas", json={})
    assert (caught.value.lasting, caught.value.maybe_done) == (lasting, False)


@pytest.mark.parametrize("proxy", ["http://user:pass word@", "socks5://127.0.0.1:1", "http://h:x/", "http://"])
async def test_a_malformed_proxy_is_named_and_not_shown(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    async with client("https://api.example/v1") as http:
        with pytest.raises(TransportError, match="HTTPS_PROXY is not the URL of an HTTP proxy") as caught:
            await http.request("GET", "/")
    assert (caught.value.lasting, caught.value.maybe_done) == (True, False)
    assert "http://host:port" in caught.value.hint
    assert "pass" not in f"{caught.value} {caught.value.hint}"


async def test_a_proxy_without_a_scheme_is_an_http_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer(200, BODY)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removeprefix("http://"))
        monkeypatch.setenv("no_proxy", "")
        async with client("http://api.example/v1") as http:
            assert (await http.request("GET", "/x")).body == BODY


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
