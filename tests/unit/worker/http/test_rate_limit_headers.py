"""How long an API wants a client to wait: headers of any quality break nothing."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.http.rate_limit_headers import read_allowance, retry_after_s
from worker.models.allowance import Allowance

NOW = 1_700_000_000.25


# Retry-After


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5),
        (" 5 ", 5),
        ("007", 7),
        ("1.5", 2),
        ("0.001", 1),
        ("604800", 604_800),
        ("9" * 400, 1e9),
        ("1" + "0" * 400, 1e9),
        ("0", None),
        ("0.0", None),
        ("", None),
        ("-5", None),
        ("+5", None),
        ("1e9", None),
        ("inf", None),
        ("nan", None),
        ("1_000", None),
        ("٥", None),
        ("²", None),
        (".", None),
        ("1.2.3", None),
        ("soon", None),
        ("\udc80", None),
        ("Wed, 99 Foo 2099 00:00:00 GMT", None),
        ("Wed, 01 Jan 20999 00:00:00 GMT", None),
        ("Wed, 01 Jan 2025 00:00:00 +9999999", None),
        ("Mon, 01 Jan 0001 00:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9),
        ("Tue, 14 Nov 2023 22:13:25 GMT", 5),
        ("Tue, 14 Nov 2023 22:13:25 -0000", 5),
        ("Tuesday, 14-Nov-23 22:13:25 GMT", 5),
        ("Tue Nov 14 22:13:25 2023", 5),
        ("Tue, 14 Nov 2023 23:13:25 +0100", 5),
    ],
)
def test_retry_after_is_whole_seconds_or_nothing(header: str, seconds: float | None) -> None:
    assert retry_after_s({"Retry-After": header}, NOW) == seconds


def test_without_the_header_no_wait_is_known() -> None:
    assert retry_after_s({}, NOW) is None


@given(st.integers(-(10**9), 10**8))
def test_a_date_is_a_wait_from_now_and_the_past_is_none(offset: int) -> None:
    header = formatdate(int(NOW) + offset, usegmt=True)
    assert retry_after_s({"Retry-After": header}, NOW) == (offset if offset > 0 else None)


@pytest.mark.parametrize("behind_s", [-3600, 0, 3600])
def test_a_date_is_compared_with_the_clock_of_the_server(behind_s: int) -> None:
    """The worker's clock is so many seconds behind."""
    server_now = int(NOW) + behind_s
    headers = {"Date": formatdate(server_now, usegmt=True), "Retry-After": formatdate(server_now + 5, usegmt=True)}
    assert retry_after_s(headers, NOW) == 5
    assert retry_after_s({**headers, "Retry-After": "7"}, NOW) == 7


@given(st.text(st.characters()) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ [\d:]+ [-+A-Z0-9]+"))
def test_no_header_breaks_it(header: str) -> None:
    wait_s = retry_after_s({"Retry-After": header}, NOW)
    assert wait_s is None or 1 <= wait_s <= 1e9


# X-RateLimit-*


def rate_limit(limit: str = "60", remaining: str = "0", reset: str = "", date: str | None = None) -> Allowance:
    headers = {"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}
    return read_allowance(headers if date is None else {**headers, "Date": date}, NOW)


@pytest.mark.parametrize(
    ("reset", "pause_s"),
    [
        (str(int(NOW) + 30), 30),
        (" 30 ", 30),
        ("0", 0),
        (str(int(NOW) - 30), 0),
        ("9999999999", 9_999_999_999 - NOW),
        *((text, 0) for text in ("", "-30", "30.5", "soon", "٣٠", "1e3", "99999999999")),
    ],
)
def test_a_reset_is_a_unix_time_or_seconds_from_now(reset: str, pause_s: float) -> None:
    assert rate_limit(reset=reset) == Allowance(60, pytest.approx(pause_s, abs=1))


def test_a_reset_is_read_by_the_clock_of_the_server() -> None:
    an_hour_ahead = int(NOW) + 3600
    date = formatdate(an_hour_ahead, usegmt=True)
    assert rate_limit(reset=str(an_hour_ahead + 20), date=date).pause_s == 20
    assert rate_limit(reset=str(int(NOW) + 20), date="yesterday").pause_s == pytest.approx(20, abs=1)


@pytest.mark.parametrize("remaining", ["1", "59", "", "none", "-1"])
def test_who_has_some_left_need_not_wait(remaining: str) -> None:
    assert rate_limit(remaining=remaining, reset="30").pause_s == 0


@pytest.mark.parametrize("limit", ["0", "", "-1", "many", "60.0", "60, 60;w=60", "99999999999"])
def test_a_limit_that_is_not_a_number_is_ignored(limit: str) -> None:
    assert rate_limit(limit=limit).limit is None


def test_without_headers_nothing_is_known_of_a_limit() -> None:
    assert read_allowance({}, NOW) == Allowance(None, 0)


@pytest.mark.parametrize("text", ["", "0", "-5", "ten", "1e1", "٣", "9" * 5000, "10, 10;w=1"])
def test_a_limit_without_meaning_is_ignored(text: str) -> None:
    assert read_allowance({"X-RateLimit-Limit": text}, NOW).limit is None
