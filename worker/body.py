"""Reading what an API answered: JSON of any quality, error bodies, `Retry-After`, rate-limit headers.

Pure. Nothing here puts a body's text into an error beyond the API's own `message`, which is bounded.
"""

from __future__ import annotations

import email.utils
import json
from collections.abc import Mapping
from typing import Any

import orjson

_MESSAGE_LENGTH = 300


def parse_json(body: bytes) -> Any:
    """The body as JSON. Raises ValueError, with nothing of the body in it, if it is none.

    orjson is strict and fast, but rejects a whole page for one `NaN` or `1e999`: then the standard parser has its turn.
    """
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is no JSON") from None


def error_message(body: bytes) -> tuple[str, str, str]:
    """Code, message and parameter of an API's error body: `{"error": {"code", "message", "param"}}`; '' if absent."""
    try:
        error = parse_json(body)["error"]
        fields = error if isinstance(error, dict) else {"message": error}
    except (ValueError, LookupError, TypeError):
        return "", "", ""
    return _short(fields.get("code")), _short(fields.get("message")), _short(fields.get("param"))


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or an HTTP date; None if absent or meaningless.

    now: Unix seconds, used for a date only. The past counts as 0. How much of it is believed is the caller's business.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _short(value: object) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return text if len(text) <= _MESSAGE_LENGTH else text[: _MESSAGE_LENGTH - 1] + "…"
