"""Reading what an API answered: JSON of any quality, error bodies, cursors, `Retry-After`, `X-RateLimit-*`.

Pure. Nothing here puts a body's text into an error beyond the API's own `message`, which is bounded.
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
"""Most values in one body: 200 profiles of 5,000 traits. `{}` takes 3 bytes of a body, and 72 in memory."""

MAX_CURSOR_LENGTH = 4096
_MESSAGE_LENGTH = 300
_LONGEST_INT = 400
_LONGEST_WAIT_S = 1e9


def parse_json(body: bytes) -> Any:
    """The body as JSON. Raises ValueError, with nothing of the body in it, if it is none or holds too many values.

    orjson is strict and fast, but rejects a whole page for one `NaN` or `1e999`: then the standard parser has its turn.
    An integer of more than 400 digits reads as infinity, for it alone must not spoil the page either.
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
        raise ValueError("the body is no JSON") from None


def error_message(body: bytes) -> tuple[str, str, str]:
    """Code, message and parameter of an API's error body as `error_words` finds them; empty if it is not JSON."""
    try:
        return error_words(parse_json(body))
    except ValueError:
        return "", "", ""


def error_words(body: object) -> tuple[str, str, str]:
    """Code, message and parameter that an error body names; each empty if it names none.

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
    """Whether a body reports an error, whatever status it came with."""
    return isinstance(body, dict) and bool(body.get("error") or body.get("errors"))


_MESSAGE_NAMES = ("message", "msg", "detail", "description", "error_description", "title", "reason")
_MOST_ERRORS = 5


def _error_nodes(body: object) -> Iterator[Mapping[str, Any]]:
    """The objects of a body that describe an error; a text is taken for a message."""
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
    """The texts of a message: itself, or those of a list, which may hold objects with a message."""
    if isinstance(value, list):
        return [
            text for one in value[:_MOST_ERRORS] for text in _texts(one.get("msg") if isinstance(one, dict) else one)
        ]
    return [text] if (text := _short(value)) else []


def is_cursor(text: str) -> bool:
    """Whether it can be sent back and stored: not too long, and no half of a surrogate pair, which JSON can hold."""
    if not 0 < len(text) <= MAX_CURSOR_LENGTH:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Whole seconds that `Retry-After` asks for, as a number or an HTTP date; None if absent or meaningless.

    now: Unix seconds, used for a date only. A wait of 0 and a date in the past are meaningless: whoever obeyed them
    would ask without a pause. How much of a long wait is believed is the caller's business.
    """
    text = headers.get("Retry-After", "").strip()
    wait_s = float(text) if text.isascii() and text.replace(".", "", 1).isdigit() else _until(text) - now
    return float(math.ceil(min(wait_s, _LONGEST_WAIT_S))) if wait_s > 0 else None


def wait_named_s(headers: Mapping[str, str], body: bytes, now: float) -> float | None:
    """Seconds that an answer asks to wait; None if it names no time.

    Read from `Retry-After`, then from `errors[].data.msBeforeNext` of the body, then from `X-RateLimit-Reset` if no
    request remains. now: Unix seconds.
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
    """Reads `X-RateLimit-Limit`, `-Remaining` and `-Reset`; whatever is absent or meaningless says nothing.

    A reset is a Unix time or an HTTP date, which is compared with the `Date` of the same answer if there is one, else
    with `now` (Unix seconds); below a year's worth of seconds it is taken for seconds from now, as some APIs have it.
    """
    limit, remaining = (_count(headers.get(f"X-RateLimit-{name}", "")) for name in ("Limit", "Remaining"))
    return Allowance(limit or None, _reset_s(headers, now) if remaining == 0 else 0.0)


def _reset_s(headers: Mapping[str, str], now: float) -> float:
    """Seconds until `X-RateLimit-Reset`; 0 if it is absent, meaningless or past."""
    text = headers.get("X-RateLimit-Reset", "")
    count = _count(text)
    if count is not None and count < _YEAR_S:
        return count
    reset = _until(text) if count is None else float(count)
    sent_at = _until(headers.get("Date", ""))
    return max(0.0, reset - (sent_at if sent_at > 0 else now))


_YEAR_S = 366 * 86_400


def _count(text: str) -> int | None:
    """A number of up to ten digits."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None


def _until(http_date: str) -> float:
    """Unix seconds of an HTTP date; minus infinity if it is none."""
    try:
        parsed = email.utils.parsedate_to_datetime(http_date)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, LookupError, OverflowError):
        return -math.inf


def _short(value: object) -> str:
    """A text that may stand in a message, a log and a terminal: bounded, one line, printable; '' if it is no text."""
    if not isinstance(value, str):
        return ""
    start = value[: 4 * _MESSAGE_LENGTH]
    text = " ".join("".join(character if character.isprintable() else " " for character in start).split())
    return text if len(text) <= _MESSAGE_LENGTH else text[: _MESSAGE_LENGTH - 1] + "…"
