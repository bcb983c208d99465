"""Reads how long an API wants a client to wait: `Retry-After`, `X-RateLimit-*`, and the same in an error body. Pure."""

from __future__ import annotations

import email.utils
import math
from collections.abc import Mapping
from datetime import UTC

from worker.http.body import LONGEST_WAIT_S, ms_before_next_s
from worker.models.allowance import Allowance

_YEAR_S = 366 * 86_400


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
    return float(math.ceil(min(wait_s, LONGEST_WAIT_S))) if wait_s > 0 else None


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
        found = ms_before_next_s(body)
    if found is None and _count(headers.get("X-RateLimit-Remaining", "0")) == 0:
        pause_s = _reset_s(headers, now)
        found = float(math.ceil(min(pause_s, LONGEST_WAIT_S))) if pause_s > 0 else None
    return found


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
