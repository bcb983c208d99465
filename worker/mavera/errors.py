"""Converts error answers of Mavera to errors of this program.

answer                                   becomes
429                                      WaitUntil `mavera_rate_limit`
401 · 403                                ResumableStop `mavera_unauthorized` · `mavera_forbidden`
402                                      ResumableStop `insufficient_credits`
404, 410 to a PATCH or GET of a persona  PersonaGone
408, 409 to a POST                       PostUncertain
408, 409, 423, 425 to anything else      Retry `mavera_unavailable`; so is a 423 or 425 to a POST
other 4xx                                Permanent `mavera_validation`
5xx, time-out, broken, to GET and PATCH  Retry `mavera_unavailable`: both may simply be repeated
no such host, bad certificate, redirect  ResumableStop `mavera_unreachable`
2xx with an error, to GET and PATCH      ResumableStop `mavera_error`
the same to a POST                       PostUncertain: the persona may have been made, and charged
2xx to a POST that names no persona      PostUncertain
connection refused, to a POST too        Retry `mavera_unavailable`: nothing was sent
"""

from __future__ import annotations

from worker.errors import ApiError, Permanent, PersonasError, ResumableStop, Retry, WaitUntil
from worker.http.body import has_error, parse_error, parse_json, read_error
from worker.http.client import Reply
from worker.http.errors import TransportError
from worker.http.rate_limit_headers import requested_wait_s, retry_after_s

_MAY_PASS = {408, 409, 423, 425}
"""Answers below 500 that another attempt may not get: time-out, conflict, locked, too early."""


class PostUncertain(PersonasError):
    """A POST was sent and no definite answer came: a persona may exist, or come into being a little later.

    Args:
        wait_s: Seconds until the next request that Mavera asked for; None if it did not.
    """

    def __init__(self, message: str, *, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class PersonaGone(PersonasError):
    """The persona to update does not exist any more: someone deleted it."""


def error_from_response(reply: Reply, subject: str, now: float, *, of_one: bool = False) -> ApiError | PersonaGone:
    """Turns an answer other than success into an error, for a request that did nothing or may be repeated.

    Args:
        reply: The answer.
        subject: What was requested, for the message.
        now: Unix seconds, to read `Retry-After` dates.
        of_one: Whether the request was about one persona that exists.
    """
    if of_one and reply.status in {404, 410}:
        return PersonaGone(f"Mavera, {subject}: {reply.status}")
    code, message, param = parse_error(reply.body)
    message_text = f"Mavera, {subject}: {reply.status}" + (f" {message}" if message else "")
    request_id = reply.request_id
    match reply.status:
        case 429:
            wait_s = requested_wait_s(reply.headers, reply.body, now)
            return WaitUntil("mavera_rate_limit", message_text, wait_s=wait_s, request_id=request_id)
        case 401:
            return ResumableStop(
                "mavera_unauthorized",
                message_text,
                hint="Check MAVERA_API_KEY.",
                request_id=request_id,
            )
        case 402:
            return ResumableStop(
                "insufficient_credits",
                message_text,
                hint="Top up the account, then resume: only the missing personas are created.",
                request_id=request_id,
            )
        case 403:
            return ResumableStop(
                "mavera_forbidden",
                message_text,
                hint="Check the rights of the key and of the tier.",
                request_id=request_id,
            )
        case 404:
            hint = "Check MAVERA_BASE_URL."
            return ResumableStop("mavera_not_found", message_text, hint=hint, request_id=request_id)
        case status if status >= 500 and (wait_s := retry_after_s(reply.headers, now)) is not None:
            return WaitUntil("mavera_unavailable", message_text, wait_s=wait_s, request_id=request_id)
        case status if status >= 500 or status < 400 or status in _MAY_PASS:
            return Retry("mavera_unavailable", message_text, request_id=request_id)
        case _:
            detail = f" ({code}{', ' if code and param else ''}{param})" if code or param else ""
            return Permanent("mavera_validation", message_text + detail, request_id=request_id)


def error_from_post(reply: Reply, subject: str, now: float) -> ApiError | PostUncertain | PersonaGone:
    """Turns an answer of 400 or more to a POST into an error; arguments: as of `error_from_response`."""
    if reply.status >= 500 or reply.status in {408, 409}:
        # A 409 may say that an earlier request for this persona is done, or still under way.
        _, message, _ = parse_error(reply.body)
        wait_s = retry_after_s(reply.headers, now)
        return PostUncertain(f"Mavera, {subject}: {reply.status} {message}".rstrip(), wait_s=wait_s)
    return error_from_response(reply, subject, now)


def error_from_transport(error: TransportError, subject: str) -> ApiError:
    """Turns a failure without a usable answer into an error, for a request that did nothing or may be repeated."""
    if error.lasting:
        return ResumableStop("mavera_unreachable", f"Mavera, {subject}: {error}", hint=error.hint)
    return Retry("mavera_unavailable", f"Mavera, {subject}: {error}", hint=error.hint)


def raise_for_error_body(reply: Reply, subject: str) -> None:
    """Raises ResumableStop if a body that came with a status of success reports an error and has no persona."""
    try:
        body = parse_json(reply.body)
    except ValueError:
        return
    if not has_error(body) or "id" in body:
        return
    code, message, _ = read_error(body)
    raise ResumableStop(
        "mavera_error",
        f"Mavera, {subject}: an answer with status {reply.status} reports an error: "
        f"{message or code or 'an error without a message'}",
        hint="Check MAVERA_BASE_URL and the account.",
        request_id=reply.request_id,
    )
