"""Bodies of an API: JSON of any quality, and errors. Nothing of it breaks us or is repeated."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.http.body import MAX_VALUES, parse_error, parse_json

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
