"""Converts error answers of Segment, in either dialect, to errors of this program.

answer                              becomes
429                                 WaitUntil `segment_rate_limit`
5xx, 408                            Retry `segment_unavailable`; with `Retry-After` WaitUntil of that code
401 · 403 · 404                     ResumableStop `segment_unauthorized`, `segment_forbidden`, `segment_not_found`
400, 410, 422 about the cursor      Permanent `cursor_expired`
other 4xx to a later page           ResumableStop `segment_bad_request`
other 4xx to the first page         Permanent `segment_bad_request`
200 with an error in its body       ResumableStop `segment_error`

Messages quote what Segment says about a space, its listing or the token. They do not quote what it says about one
profile, because that may name the profile or its traits; then they show the status, the code and the `Request-Id`.
"""

from __future__ import annotations

import re
import time

from worker.errors import ApiError, Permanent, ResumableStop, Retry, WaitUntil
from worker.http.body import has_error, parse_error, read_error
from worker.http.client import Reply
from worker.http.errors import TransportError
from worker.http.rate_limit_headers import requested_wait_s, retry_after_s

_CHECK_ACCESS = (
    "Check SEGMENT_BASE_URL (region and dialect) and the kind of token first. Then check that the workspace has Unify "
    "(Business tier), which spaces need."
)
_FROM_START = "Read the space again from the start."

_CURSOR = re.compile(r"cursor|pagination|page.?token|continuation|(?<![a-z])next(?![a-z])", re.IGNORECASE)
"""Matches answers that reject the cursor and nothing else."""

_KIND = re.compile(r"[A-Za-z]+([_.-][A-Za-z]+)*")
"""Matches codes that say what went wrong; a code with digits in it could name a profile."""
_LONGEST_KIND = 40


def error_from_response(
    reply: Reply, where: str, *, first: bool, of_profile: bool = False, now: float | None = None
) -> ApiError:
    """Turns an answer other than 200 into an error.

    Args:
        reply: The answer.
        where: What was requested, for the message.
        first: Whether no cursor was sent.
        of_profile: Whether the request was about one profile.
        now: Unix seconds, to read `Retry-After` dates; None: the present.
    """
    code, message, param = parse_error(reply.body)
    if of_profile:
        code, message = "", code if len(code) <= _LONGEST_KIND and _KIND.fullmatch(code) else ""
    said = f"Segment, {where}: {reply.status}" + (f" {message}" if message else "")
    unix_now = time.time() if now is None else now
    match reply.status:
        case 429:
            wait_s = requested_wait_s(reply.headers, reply.body, unix_now)
            return WaitUntil("segment_rate_limit", said, wait_s=wait_s, request_id=reply.request_id)
        case 401:
            return ResumableStop("segment_unauthorized", said, hint="Check SEGMENT_TOKEN.", request_id=reply.request_id)
        case 403 | 404:
            kind = "segment_forbidden" if reply.status == 403 else "segment_not_found"
            return ResumableStop(kind, said, hint=_CHECK_ACCESS, request_id=reply.request_id)
        case 408:
            return Retry("segment_unavailable", said, request_id=reply.request_id)
        case 400 | 410 | 422 if not first and _CURSOR.search(f"{code} {message} {param}"):
            text = f"{said}. Segment no longer accepts the cursor of this page"
            return Permanent("cursor_expired", text, hint=_FROM_START, request_id=reply.request_id)
        case status if status >= 500 and (wait_s := retry_after_s(reply.headers, unix_now)) is not None:
            return WaitUntil("segment_unavailable", said, wait_s=wait_s, request_id=reply.request_id)
        case status if status >= 500 or status < 400:
            return Retry("segment_unavailable", said, request_id=reply.request_id)
        case _ if not first:
            text = f"{said} {code}".rstrip() + ". Segment refused the page, not its cursor"
            return ResumableStop("segment_bad_request", text, request_id=reply.request_id)
        case _:
            return Permanent("segment_bad_request", f"{said} {code}".rstrip(), request_id=reply.request_id)


def raise_for_error_body(body: object, where: str, request_id: str | None) -> None:
    """Raises ResumableStop if a body with status 200 reports an error."""
    if not has_error(body):
        return
    code, message, _ = read_error(body)
    said = message or code or "an error without a message"
    raise ResumableStop(
        "segment_error",
        f"Segment, {where}: an answer with status 200 reports an error: {said}",
        hint=_CHECK_ACCESS,
        request_id=request_id,
    )


def error_from_transport(error: TransportError, where: str) -> ApiError:
    """Turns a failure without a usable answer into an error."""
    if error.lasting:
        return ResumableStop("segment_unreachable", f"Segment, {where}: {error}", hint=error.hint)
    return Retry("segment_unavailable", f"Segment, {where}: {error}", hint=error.hint)
