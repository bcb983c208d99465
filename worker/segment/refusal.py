"""What Segment's refusals mean, in either dialect.

answer                              becomes
429                                 WaitUntil `segment_rate_limit`
5xx, 408                            Retry `segment_unavailable`
401 · 403 · 404                     ResumableStop `segment_unauthorized`, `segment_forbidden`, `segment_not_found`
400, 410, 422 to a cursor           Permanent `cursor_expired`
other 4xx                           Permanent `segment_bad_request`

What Segment says of a space, its listing or the token is quoted. What it says of one profile is not: it may name the
profile, or what it has; then the status, the code and the `Request-Id` must do.
"""

from __future__ import annotations

import re
import time

from worker.body import error_message, retry_after_s
from worker.errors import ApiError, Permanent, ResumableStop, Retry, WaitUntil
from worker.http import Reply

_CHECK_ACCESS = (
    "Check SEGMENT_BASE_URL (region and dialect) and the kind of token first; then whether the workspace has "
    "Engage/Unify (Business tier), which the profiles of a space need"
)

_KIND = re.compile(r"[A-Za-z]+([_.-][A-Za-z]+)*")
"""How a code looks that says what went wrong; with digits in it, it could say to whom."""
_LONGEST_KIND = 40


def refusal(reply: Reply, where: str, *, first: bool, of_profile: bool = False, now: float | None = None) -> ApiError:
    """What an answer other than 200 means.

    first: no cursor was sent. of_profile: the request was about one profile. now: Unix seconds, for `Retry-After`
    dates.
    """
    code, message, _ = error_message(reply.body)
    if of_profile:
        code, message = "", code if len(code) <= _LONGEST_KIND and _KIND.fullmatch(code) else ""
    said = f"Segment, {where}: {reply.status}" + (f" {message}" if message else "")
    match reply.status:
        case 429:
            wait_s = retry_after_s(reply.headers, time.time() if now is None else now)
            return WaitUntil("segment_rate_limit", said, wait_s=wait_s, request_id=reply.request_id)
        case 401:
            advice = "Check SEGMENT_TOKEN, then resume the sync"
            return ResumableStop("segment_unauthorized", f"{said}. {advice}", request_id=reply.request_id)
        case 403 | 404:
            kind = "segment_forbidden" if reply.status == 403 else "segment_not_found"
            return ResumableStop(kind, f"{said}. {_CHECK_ACCESS}", request_id=reply.request_id)
        case 408:
            return Retry("segment_unavailable", said, request_id=reply.request_id)
        case 400 | 410 | 422 if not first:
            advice = "Segment no longer takes the cursor of this page. Resume with --restart to read from the start"
            return Permanent("cursor_expired", f"{said}. {advice}", request_id=reply.request_id)
        case status if status >= 500 or status < 400:
            return Retry("segment_unavailable", said, request_id=reply.request_id)
        case _:
            return Permanent("segment_bad_request", f"{said} {code}".rstrip(), request_id=reply.request_id)
