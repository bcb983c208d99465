"""Redirects stay on their host, end, and take no credentials elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.http_client import BODY, failed_get, http_client
from tests.support.servers.web_server import WebServer, answer, serving
from worker.http.errors import TransportError


def redirect(location: str, status: int = 302) -> bytes:
    return answer(status, b"moved", {"Location": location})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_on_the_same_host_is_followed(status: int) -> None:
    async with serving(redirect("/new?cursor=c", status), answer(200, BODY)) as web, http_client(web.url) as http:
        reply = await http.request("GET", "/old")
    assert reply.body == BODY
    assert [request.target for request in web.requests] == ["/old", "/new?cursor=c"]
    assert web.requests[1].headers["authorization"] == "Bearer secret"


async def test_credentials_never_arrive_at_another_host() -> None:
    async with serving(answer(200, BODY)) as elsewhere, serving(redirect(elsewhere.url + "/x")) as web:
        async with http_client(web.url) as http:
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
    async with serving(back, answer(200, BODY)) as web, http_client(web.url) as http:
        assert (await http.request("GET", "/")).body == BODY
    assert web.requests[1].headers["authorization"] == "Bearer secret"


async def test_a_circle_of_redirects_ends() -> None:
    async with serving(redirect("/again")) as web, http_client(web.url) as http:
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
    async with serving(redirect("/new", 307)) as web, http_client(web.url) as http:
        with pytest.raises(TransportError, match="redirects a POST") as caught:
            await http.request("POST", "/personas", json={})
    assert caught.value.maybe_done
    assert len(web.requests) == 1
