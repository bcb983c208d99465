"""Parses answers of an API: JSON, error bodies, cursors, `Retry-After` and `X-RateLimit-*`.

Pure. An error contains no text of a body except the API's own `message`, whose length is bounded.
"""

from __future__ import annotations

import email.utils
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

import orjson

from worker.models.allowance import Allowance

MAX_VALUES = 1_000_000
"""Largest number of values in one body: 200 profiles of 5,000 traits. `{}` takes 3 bytes of a body and 72 in memory."""

MAX_CURSOR_LENGTH = 4096
_MESSAGE_LENGTH = 300
_LONGEST_INT = 400
_LONGEST_WAIT_S = 1e9


def parse_json(body: bytes) -> Any:
    """Parses a body as JSON.

    orjson is strict and fast, but rejects a whole page for one `NaN` or `1e999`; such a body is parsed by the standard
    library. An integer of more than 400 digits is read as infinity, so that it does not make the page unreadable.

    Raises:
        ValueError: The body is not JSON or has too many values. The message contains nothing of the body.
    """
    if len(body) > MAX_VALUES and sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise ValueError(f"the body holds more than {MAX_VALUES:,} values")
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    try:
        return json.loads(body, parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_INT else math.inf)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None


def parse_error(body: bytes) -> tuple[str, str, str]:
    """Returns code, message and parameter of an error body, as `read_error`; empty texts if it is not JSON."""
    try:
        return read_error(parse_json(body))
    except ValueError:
        return "", "", ""


def read_error(body: object) -> tuple[str, str, str]:
    """Returns code, message and parameter of a parsed error body; each is empty if the body has none.

    Looks into `error` (an object or a text), `errors`, and at the top for `message`, `detail` and `title`.
    """
    nodes = list(_error_nodes(body))[:_MOST_ERRORS]
    code, kind = "", ""
    for node in nodes:
        code = code or _short(node.get("code"))
        kind = kind or (_short(node.get("type")) if "code" not in node else "")
    param = next((text for node in nodes for name in ("param", "field") if (text := _short(node.get(name)))), "")
    texts = [text for node in nodes for name in _MESSAGE_NAMES for text in _texts(node.get(name))]
    return code or kind, _short("; ".join(dict.fromkeys(texts))), param


def has_error(body: object) -> bool:
    """Returns whether a body reports an error. The status of the answer is not considered."""
    return isinstance(body, dict) and bool(body.get("error") or body.get("errors"))


_MESSAGE_NAMES = ("message", "msg", "detail", "description", "error_description", "title", "reason")
_MOST_ERRORS = 5


def _error_nodes(body: object) -> Iterator[Mapping[str, Any]]:
    """Yields the objects of a body that describe an error; a text is yielded as a message."""
    if not isinstance(body, dict):
        return
    for name in ("error", "errors"):
        found = body.get(name)
        for one in found if isinstance(found, list) else [found]:
            if isinstance(one, dict):
                yield one
            elif isinstance(one, str):
                yield {"message": one}
    yield {name: value for name, value in body.items() if name in _MESSAGE_NAMES or name in ("code", "param")}


def _texts(value: object) -> list[str]:
    """Returns the texts of a message: the text itself, or the texts or messages in a list."""
    if isinstance(value, list):
        return [
            text for one in value[:_MOST_ERRORS] for text in _texts(one.get("msg") if isinstance(one, dict) else one)
        ]
    return [text] if (text := _short(value)) else []


def is_cursor(text: str) -> bool:
    """Returns whether a text can be stored and sent as a cursor: not too long, and without unpaired surrogates."""
    if not 0 < len(text) <= MAX_CURSOR_LENGTH:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Reads `Retry-After`, which is a number of seconds or an HTTP date.

    A wait of 0 and a date in the past are ignored, because the client would then repeat requests without a pause. The
    caller limits long waits.

    Args:
        headers: Headers of the answer. A date is compared with their `Date`, because the clocks may differ.
        now: Unix seconds, for a date in an answer without `Date`.

    Returns:
        Seconds to wait, rounded up; None if the header is absent or not usable.
    """
    text = headers.get("Retry-After", "").strip()
    is_number = text.isascii() and text.replace(".", "", 1).isdigit()
    wait_s = float(text) if is_number else _until(text) - _sent_at(headers, now)
    return float(math.ceil(min(wait_s, _LONGEST_WAIT_S))) if wait_s > 0 else None


def requested_wait_s(headers: Mapping[str, str], body: bytes, now: float) -> float | None:
    """Reads `Retry-After`, then `errors[].data.msBeforeNext` of the body, then `X-RateLimit-Reset`.

    Args:
        headers: Headers of the answer.
        body: Body of the answer.
        now: Unix seconds.

    Returns:
        Seconds to wait; None if the answer names no time. A reset counts only if no request remains.
    """
    found = retry_after_s(headers, now)
    if found is None:
        found = _ms_before_next_s(body)
    if found is None and _count(headers.get("X-RateLimit-Remaining", "0")) == 0:
        pause_s = _reset_s(headers, now)
        found = float(math.ceil(min(pause_s, _LONGEST_WAIT_S))) if pause_s > 0 else None
    return found


def _ms_before_next_s(body: bytes) -> float | None:
    try:
        nodes = list(_error_nodes(parse_json(body)))[:_MOST_ERRORS]
    except ValueError:
        return None
    for node in nodes:
        data = node.get("data")
        wait_ms = data.get("msBeforeNext") if isinstance(data, dict) else None
        if isinstance(wait_ms, int | float) and not isinstance(wait_ms, bool) and wait_ms > 0:
            return min(float(wait_ms), _LONGEST_WAIT_S) / 1000
    return None


def read_allowance(headers: Mapping[str, str], now: float) -> Allowance:
    """Reads `X-RateLimit-Limit`, `-Remaining` and `-Reset`. Headers that are absent or not usable are ignored.

    A reset is a Unix time or an HTTP date, which is compared with the `Date` of the same answer, or with `now` (Unix
    seconds) if there is none. A number below the seconds of a year is a number of seconds from now.
    """
    limit, remaining = (_count(headers.get(f"X-RateLimit-{name}", "")) for name in ("Limit", "Remaining"))
    return Allowance(limit or None, _reset_s(headers, now) if remaining == 0 else 0.0)


def _reset_s(headers: Mapping[str, str], now: float) -> float:
    """Returns the seconds until `X-RateLimit-Reset`; 0 if it is absent, not usable or past."""
    text = headers.get("X-RateLimit-Reset", "")
    count = _count(text)
    if count is not None and count < _YEAR_S:
        return count
    reset = _until(text) if count is None else float(count)
    return max(0.0, reset - _sent_at(headers, now))


def _sent_at(headers: Mapping[str, str], now: float) -> float:
    """Returns when the server sent the answer, by its own clock in Unix seconds; `now` if it does not say so."""
    sent_at = _until(headers.get("Date", ""))
    return sent_at if sent_at > 0 else now


_YEAR_S = 366 * 86_400


def _count(text: str) -> int | None:
    """Reads a number of up to ten digits; returns None for any other text."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None


def _until(http_date: str) -> float:
    """Returns the Unix seconds of an HTTP date; minus infinity for any other text."""
    try:
        parsed = email.utils.parsedate_to_datetime(http_date)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, LookupError, OverflowError):
        return -math.inf


def _short(value: object) -> str:
    """Returns a text for messages and logs: one printable line of bounded length; '' if the value is not text."""
    if not isinstance(value, str):
        return ""
    start = value[: 4 * _MESSAGE_LENGTH]
    text = " ".join("".join(character if character.isprintable() else " " for character in start).split())
    return text if len(text) <= _MESSAGE_LENGTH else text[: _MESSAGE_LENGTH - 1] + "…"
