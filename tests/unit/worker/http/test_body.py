"""What an API answered: JSON of any quality, error bodies, `Retry-After`. Nothing of it breaks us or is repeated."""

from __future__ import annotations

import contextlib
import json
import math
from email.utils import formatdate
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.http.body import MAX_VALUES, parse_error, parse_json, read_allowance, retry_after_s
from worker.models.allowance import Allowance

NOW = 1_700_000_000.25

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def of_value(text: str) -> Any:
    return parse_json(f'{{"data": [{text}, 1]}}'.encode())["data"]


# JSON


@given(JSON)
def test_json_is_read_as_it_was_written(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize("token", ["Infinity", "-Infinity", "1e999", "-1e999"])
def test_an_infinite_number_does_not_spoil_its_page(token: str) -> None:
    first, second = of_value(token)
    assert math.isinf(first)
    assert second == 1


def test_a_nan_does_not_spoil_its_page() -> None:
    first, second = of_value("NaN")
    assert math.isnan(first)
    assert second == 1


def test_an_integer_of_400_digits_is_read_whole() -> None:
    assert of_value("9" * 400) == [int("9" * 400), 1]


@pytest.mark.parametrize("digits", [401, 5_000, 100_000])
def test_a_longer_integer_reads_as_infinity(digits: int) -> None:
    assert of_value("9" * digits) == [math.inf, 1]


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\udc00\\ud800"'])
def test_a_lone_surrogate_does_not_spoil_its_page(text: str) -> None:
    assert of_value(text)[1] == 1


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse_json(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<!doctype html><html>jane@example.com</html>",
        b'{"data": {"profiles": [{"email": "jane@example.com"',
        b'{"email": "jane@example.com"} trailing',
        b"\xff\xfe\xfa\x00jane@example.com",
        b'"jane@example.com\xff"',
        b"{'email': 'jane@example.com'}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 1_000_000,
        b"-",
        b"nul",
    ],
)
def test_a_body_that_is_not_json_is_refused_and_not_quoted(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the body is not JSON$") as caught:
        parse_json(body)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(st.binary(max_size=200))
@example(b"\x00[\x00]\x00")
def test_any_bytes_are_json_or_a_value_error(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_json(body)


@pytest.mark.parametrize("piece", [b"{},", b"[],", b"1,", b'{"a":' * 900 + b"1" + b"}" * 900 + b","])
def test_a_small_body_of_very_many_values_is_refused_before_it_grows(piece: bytes) -> None:
    values = sum(piece.count(mark) for mark in b",[{")
    body = b"[" + piece * (MAX_VALUES // values + 1) + b"0]"
    with pytest.raises(ValueError, match=r"^the body holds more than 1,000,000 values$"):
        parse_json(body)


def test_the_largest_honest_page_is_read() -> None:
    page = {"data": {"profiles": [{"traits": {f"trait_{n}": n for n in range(4_000)}} for _ in range(200)]}}
    assert parse_json(orjson.dumps(page)) == page


# Error bodies


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": {"code": "bad", "message": "No good", "param": "name"}}', ("bad", "No good", "name")),
        (b'{"error": {"code": "bad"}}', ("bad", "", "")),
        (b'{"error": "just words"}', ("", "just words", "")),
        (b'{"error": {"code": 7, "message": {"x": 1}, "param": null}}', ("", "", "")),
        (b'{"error": {"message": ["x", "y", "x", 7]}}', ("", "x; y", "")),
        (b'{"errors": [{"type": "forbidden", "message": "No access", "field": null}]}', ("forbidden", "No access", "")),
        (b'{"errors": [{"message": "a"}, {"message": "b", "field": "f"}]}', ("", "a; b", "f")),
        (b'{"errors": ["a", 7, null]}', ("", "a", "")),
        (b'{"errors": {"message": "a"}}', ("", "a", "")),
        (b'{"message": "description too long", "statusCode": 400}', ("", "description too long", "")),
        (b'{"error": "Bad Request", "message": ["too long"], "code": "bad"}', ("bad", "Bad Request; too long", "")),
        (b'{"detail": "Not found"}', ("", "Not found", "")),
        (b'{"detail": [{"loc": ["body", "name"], "msg": "required", "input": "x"}]}', ("", "required", "")),
        (b'{"type": "about:blank", "title": "Forbidden", "detail": "No access"}', ("", "No access; Forbidden", "")),
        (b'{"error": null}', ("", "", "")),
        (b'{"error": [1]}', ("", "", "")),
        (b'{"other": 1}', ("", "", "")),
        (b"[]", ("", "", "")),
        (b'"error"', ("", "", "")),
        (b"7", ("", "", "")),
        (b"null", ("", "", "")),
        (b"<html>503</html>", ("", "", "")),
        (b"", ("", "", "")),
        (b"[" * 100_000, ("", "", "")),
    ],
)
def test_the_known_parts_of_an_error_body_are_read(body: bytes, expected: tuple[str, str, str]) -> None:
    assert parse_error(body) == expected


def test_a_long_message_is_cut() -> None:
    _, message, _ = parse_error(orjson.dumps({"error": {"message": "x" * 1_000_000}}))
    assert message == "x" * 299 + "…"


def test_a_message_is_one_line_of_printable_text() -> None:
    body = b'{"error": {"message": " a\\r\\nb\\u0000\\u001b[31mc\\ud800d\\u202ee\\t "}}'
    assert parse_error(body)[1] == "a b [31mc d e"


@given(st.text(st.characters()))  # with surrogates
def test_a_message_can_always_be_stored_and_printed(text: str) -> None:
    message = parse_error(json.dumps({"error": {"message": text}}).encode())[1]
    assert message.encode().decode() == message
    assert message.isprintable()
    assert len(message) <= 300


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
