"""Errors as RFC 9457 problem documents, with our code and hint.

`PROBLEMS` has every code that the API itself answers with; the table in docs/http-api.md is tested against it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, NotRequired

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from producer.errors import SyncConflict, SyncNotFound
from producer.schedules import ScheduleNotFound, ScheduleUnreadable, TooManySchedules
from worker.documents.error_document import error_code
from worker.errors import PersonasError, StoreUnavailable, StoreUnusable
from worker.models.versions import SyncUnreadable
from worker.printable import json_text

log = logging.getLogger("segment_personas.api")

RETRY_AFTER_S = 5
"""Seconds after which a client may try again what is not possible now."""

PROBLEMS: Mapping[str, tuple[int, str]] = {
    "malformed_json": (400, "the body is not JSON"),
    "unauthorized": (401, "the bearer token is missing or not known"),
    "cross_origin": (403, "a web page of another origin sent the request"),
    "insufficient_scope": (403, "the token lacks the scope `read` or `write`"),
    "not_found": (404, "no such route"),
    "schedule_not_found": (404, "no such schedule"),
    "sync_not_found": (404, "no such sync; ended syncs are kept for `RETENTION_DAYS`"),
    "method_not_allowed": (405, "the route has other methods; see `Allow`"),
    "body_timeout": (408, "the body did not arrive in time"),
    "already_applied": (409, "the plan was applied, and the sync has failed or was cancelled since"),
    "already_ended": (409, "the sync has ended; there is nothing to cancel"),
    "needs_allow_partial": (409, "the plan creates personas from a part of the space"),
    "needs_restart": (409, "the sync can only be read from the start"),
    "newer_version": (409, "a newer version of the program wrote it"),
    "no_plan": (409, "the sync has no plan to apply, or has none yet"),
    "not_a_preview": (409, "the sync is not a preview; it creates its personas itself"),
    "not_failed": (409, "only a failed sync can be resumed"),
    "schedule_unreadable": (409, "the schedule is damaged in Redis"),
    "sync_running": (409, "another sync of the space runs; `sync_id` names it"),
    "sync_unreadable": (409, "the sync is damaged in Redis"),
    "too_many_schedules": (409, "the maximum number of schedules exists; delete one"),
    "body_too_large": (413, "the body is larger than the server reads"),
    "unsupported_media_type": (415, "the body is not `application/json`, or it is compressed"),
    "wrong_host": (421, "the `Host` header names another host than this machine"),
    "idempotency_key_used": (422, "the key was used with another body; `sync_id` names its sync"),
    "invalid_request": (422, "the body, a parameter or a header is not valid; `errors` says where"),
    "too_many_wrong_tokens": (429, "the address has sent too many wrong tokens in the last minute"),
    "too_many_streams": (429, "the maximum number of event streams is open"),
    "configuration": (500, "a setting of the server is wrong"),
    "internal_error": (500, "an error of the program; its log says more"),
    "not_ready": (503, "no worker is alive"),
    "redis_unavailable": (503, "Redis cannot be reached or used"),
    "stopping": (503, "the server stops"),
    "timeout": (503, "the request took too long"),
}

_OF_ROUTER = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}

_HINTS = {
    "already_applied": "Resume it with POST /v1/syncs/{sync_id}/resume.",
    "needs_allow_partial": 'Send {{"allow_partial": true}}.',
    "needs_restart": 'Send {{"restart": true}} to read the space from the start.',
    "no_plan": "Wait until it is planned: GET /v1/syncs/{sync_id}/events.",
    "sync_running": "Follow it with GET /v1/syncs/{sync_id}/events, cancel it with POST /v1/syncs/{sync_id}/cancel, or "
    'send "force": true to start another.',
    "idempotency_key_used": "Use another Idempotency-Key for another request.",
}


class ErrorPlace(TypedDict):
    """A part of a request that is not valid."""

    where: Annotated[str, Field(description="JSON pointer into the body, or the name of a parameter or header")]
    message: Annotated[str, Field(description="What is wrong with it")]


class ProblemDocument(TypedDict):
    """A problem document (RFC 9457)."""

    type: Annotated[str, Field(description="Always `about:blank`: `code` says more", examples=["about:blank"])]
    title: Annotated[str, Field(description="The meaning of the status", examples=["Conflict"])]
    status: Annotated[int, Field(description="The status of the response", ge=400, le=599)]
    detail: Annotated[str, Field(description="What happened")]
    code: Annotated[str, Field(description="Short name of the error", examples=["sync_running"])]
    hint: NotRequired[Annotated[str, Field(description="What to do about it")]]
    sync_id: NotRequired[Annotated[str, Field(description="The sync that the error concerns")]]
    errors: NotRequired[Annotated[list[ErrorPlace], Field(description="Of `invalid_request`: what is not valid")]]


class Problem(Exception):
    """An error that a request is answered with.

    Args:
        code: One of `PROBLEMS`.
        detail: What happened, in a sentence.
        hint: What to do about it.
        headers: Further headers of the response.
        members: Further members of the document.
    """

    def __init__(
        self, code: str, detail: str, *, hint: str = "", headers: Mapping[str, str] | None = None, **members: object
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = PROBLEMS[code][0]
        self.headers = dict(headers or {})
        if self.status in {429, 503}:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER_S))
        self._members = {"hint": hint, **members}

    def response(self) -> web.Response:
        """Returns the response with the problem document."""
        document = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": str(self),
            "code": self.code,
            **{name: value for name, value in self._members.items() if value},
        }
        return web.Response(
            body=json_text(document).encode(),
            status=self.status,
            headers=self.headers,
            content_type="application/problem+json",
        )


def problem_of(error: Exception) -> Problem:
    """Returns the problem document of an error. The text of an unexpected error is logged, and not sent."""
    match error:
        case Problem():
            return error
        case web.HTTPException() if error.status in _OF_ROUTER:
            kept = {name: value for name, value in error.headers.items() if name == "Allow"}
            code = _OF_ROUTER[error.status]
            return Problem(code, f"{PROBLEMS[code][1][0].upper()}{PROBLEMS[code][1][1:]}.", headers=kept)
        case SyncNotFound():
            return Problem("sync_not_found", f"{error}.")
        case ScheduleNotFound() | ScheduleUnreadable() | TooManySchedules():
            return Problem(error.code, f"{error}.")
        case SyncUnreadable():
            return Problem(error.code, f"{error}.", sync_id=error.sync.id)
        case SyncConflict():
            sync_id = error.sync.id if error.sync else next((w for w in error.next_command if w.startswith("syn_")), "")
            return Problem(
                error.code,
                f"{error}.",
                hint=_HINTS.get(error.code, "").format(sync_id=sync_id),
                headers={"Retry-After": str(RETRY_AFTER_S)} if error.temporary else {},
                sync_id=sync_id,
            )
        case StoreUnavailable() | StoreUnusable():
            return Problem("redis_unavailable", f"{error}.", hint=error.hint)
        case PersonasError() if error_code(error) == "configuration":
            log.error("%s", error)
            return Problem("configuration", str(error), hint=error.hint)
        case TimeoutError():
            return Problem("timeout", "The request took too long. It may have taken effect; it is safe to repeat it.")
    log.error("%s", type(error).__name__, exc_info=error)
    return Problem("internal_error", f"An error of the program ({type(error).__name__}); its log says more.")
