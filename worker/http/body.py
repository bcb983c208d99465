"""Parses bodies of an API's answers: JSON and errors.

Pure. An error contains no text of a body except the API's own `message`, whose length is bounded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

MAX_VALUES = 1_000_000
"""Largest number of values in one body: 200 profiles of 5,000 traits. `{}` takes 3 bytes of a body and 72 in memory."""

_MESSAGE_LENGTH = 300
_LONGEST_INT = 400
LONGEST_WAIT_S = 1e9
"""Longest wait that is read from an answer, in seconds."""


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


def ms_before_next_s(body: bytes) -> float | None:
    """Reads `errors[].data.msBeforeNext`: returns the seconds to wait; None if the body does not name them."""
    try:
        nodes = list(_error_nodes(parse_json(body)))[:_MOST_ERRORS]
    except ValueError:
        return None
    for node in nodes:
        data = node.get("data")
        wait_ms = data.get("msBeforeNext") if isinstance(data, dict) else None
        if isinstance(wait_ms, int | float) and not isinstance(wait_ms, bool) and wait_ms > 0:
            return min(float(wait_ms), LONGEST_WAIT_S) / 1000
    return None


def _short(value: object) -> str:
    """Returns a text for messages and logs: one printable line of bounded length; '' if the value is not text."""
    if not isinstance(value, str):
        return ""
    start = value[: 4 * _MESSAGE_LENGTH]
    text = " ".join("".join(character if character.isprintable() else " " for character in start).split())
    return text if len(text) <= _MESSAGE_LENGTH else text[: _MESSAGE_LENGTH - 1] + "…"
