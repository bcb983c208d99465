"""Hosts, certificates and proxies that let no connection be made: what has happened, and whether it can get better."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.support.http_client import BODY, http_client
from tests.support.servers.port import port_of_ones_own
from tests.support.servers.tls import identity, tls_front
from tests.support.servers.web_server import answer, serving
from worker.http.errors import TransportError


async def test_a_host_that_takes_no_connection_costs_the_connect_time_out() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting = []
        for _ in range(8):  # fills the queue of a server that accepts no connection
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(deaf.getsockname())
        async with http_client(f"http://127.0.0.1:{deaf.getsockname()[1]}", connect_s=0.1) as http:
            with pytest.raises(TransportError, match=r"^no connection within 0\.1 s$") as caught:
                await http.request("POST", "/personas", json={})
        for one in waiting:
            one.close()
    assert not caught.value.maybe_done


async def test_a_refused_connection_has_done_nothing() -> None:
    port = port_of_ones_own()
    async with http_client(f"http://127.0.0.1:{port}") as http:
        with pytest.raises(TransportError, match=rf"^cannot connect: 127\.0\.0\.1:{port} \(.+\)$") as caught:
            await http.request("POST", "/personas", json={})
    assert not caught.value.maybe_done


async def test_a_server_without_tls_has_received_nothing() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(400))
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server, http_client(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as http:
        with pytest.raises(TransportError, match="cannot connect") as caught:
            await http.request("POST", "/personas", json={})
    assert not caught.value.maybe_done


async def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer(200, BODY)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//user:word@"))
        monkeypatch.setenv("no_proxy", "")
        async with http_client("http://api.example/v1") as http:
            assert (await http.request("GET", "/x")).body == BODY
    assert proxy.requests[0].target == "http://api.example/v1/x"
    assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")


async def test_no_proxy_is_used_for_hosts_that_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer()) as proxy, serving(answer(200, BODY)) as web:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with http_client(web.url) as http:
            assert (await http.request("GET", "/")).body == BODY
    assert not proxy.requests


@pytest.mark.parametrize(
    ("code", "lasting"), [(socket.EAI_NONAME, True), (socket.EAI_AGAIN, False), (socket.EAI_FAIL, False)]
)
async def test_an_unknown_host_is_lasting_and_a_resolver_that_fails_is_not(
    code: int, lasting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(*_: object, **__: object) -> object:
        raise socket.gaierror(code, "no answer")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with http_client("http://nowhere.example") as http:
        with pytest.raises(TransportError, match=r"nowhere\.example") as caught:
            await http.request("POST", "/personas", json={})
    assert (caught.value.lasting, caught.value.maybe_done) == (lasting, False)


async def test_a_certificate_that_is_not_trusted_is_lasting(tmp_path: Path) -> None:
    other = identity(tmp_path, elsewhere=True)
    async with (
        serving(answer()) as web,
        tls_front(web.port, other) as port,
        http_client(f"https://127.0.0.1:{port}") as http,
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
        async with http_client(f"{scheme}://api.example/v1") as http:
            with pytest.raises(TransportError, match=f"proxy answers {status}") as caught:
                await http.request("POST", "/personas", json={})
    assert (caught.value.lasting, caught.value.maybe_done) == (lasting, False)


@pytest.mark.parametrize("proxy", ["http://user:pass word@", "socks5://127.0.0.1:1", "http://h:x/", "http://"])
async def test_a_malformed_proxy_is_named_and_not_shown(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    async with http_client("https://api.example/v1") as http:
        with pytest.raises(TransportError, match="HTTPS_PROXY is not the URL of an HTTP proxy") as caught:
            await http.request("GET", "/")
    assert (caught.value.lasting, caught.value.maybe_done) == (True, False)
    assert "http://host:port" in caught.value.hint
    assert "pass" not in f"{caught.value} {caught.value.hint}"


async def test_a_proxy_without_a_scheme_is_an_http_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer(200, BODY)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removeprefix("http://"))
        monkeypatch.setenv("no_proxy", "")
        async with http_client("http://api.example/v1") as http:
            assert (await http.request("GET", "/x")).body == BODY
