"""The headers that tell requests of web pages from those of programs."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from producer.api.access.origin_check import check_host, check_origin
from producer.api.problems import Problem


def code_of(check: object, method: str = "GET", *, own_host: str = "127.0.0.1", **headers: str) -> str:
    """The code with which a request is refused; empty if it is not."""
    request = make_mocked_request(
        method, "/v1/syncs", headers={name.replace("_", "-"): text for name, text in headers.items()}
    )
    try:
        if check is check_host:
            check_host(request, own_host)
        else:
            check_origin(request)
    except Problem as problem:
        return problem.code
    return ""


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "localhost:1", "[::1]:8000", "LOCALHOST:8000", "127.9.9.9"]
)
def test_a_host_of_this_machine_is_served(host: str) -> None:
    assert code_of(check_host, Host=host) == ""


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.com",
        "127.0.0.1.evil.com:8000",
        "evil.com#127.0.0.1",
        "user@127.0.0.1",
        "127.0.0.1/x",
        "[::1",
        "a:b:c",
    ],
)
def test_a_host_of_another_name_is_refused(host: str) -> None:
    assert code_of(check_host, Host=host) == "wrong_host"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("api.example.com", "https://api.example.com"),
        ("api.example.com:443", "https://api.example.com"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_page_of_the_server_itself_may_ask(method: str, host: str, origin: str) -> None:
    assert code_of(check_origin, method, Host=host, Origin=origin) == ""


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://127.0.0.1:9000",
        "http://localhost:8000",
        "127.0.0.1:8000",
        "http://[::1",
    ],
)
def test_a_page_of_another_origin_may_not(method: str, origin: str) -> None:
    assert code_of(check_origin, method, Host="127.0.0.1:8000", Origin=origin) == "cross_origin"


def test_a_browser_that_names_no_origin_may_only_read() -> None:
    assert code_of(check_origin, "GET", Host="localhost", Sec_Fetch_Site="cross-site") == ""
    assert code_of(check_origin, "POST", Host="localhost", Sec_Fetch_Site="cross-site") == "cross_origin"
    assert code_of(check_origin, "POST", Host="localhost", Sec_Fetch_Site="same-origin") == ""


def test_a_program_that_is_not_a_browser_may_write() -> None:
    assert code_of(check_origin, "POST", Host="localhost") == ""
