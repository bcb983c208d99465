"""The Mavera client: list, create and update personas, and what each failure means.

    answer                                   becomes
    429                                      WaitUntil `mavera_rate_limit`
    401 · 403                                ResumableStop `mavera_unauthorized` · `mavera_forbidden`
    402                                      ResumableStop `insufficient_credits`
    404 to a PATCH, to a GET of one          PersonaGone
    408, 409 to a POST                       PostUncertain
    408, 409, 423, 425 to anything else      Retry `mavera_unavailable`; so is a 423 or 425 to a POST
    other 4xx                                Permanent `mavera_validation`
    5xx, time-out, broken, to GET and PATCH  Retry `mavera_unavailable`: both may simply be repeated
    no such host, bad certificate, redirect  ResumableStop `mavera_unreachable`
    2xx with an error, to GET and PATCH      ResumableStop `mavera_error`
    the same to a POST                       PostUncertain: the persona may have been made, and charged
    2xx to a POST that names no persona      PostUncertain
    connection refused, to a POST too        Retry `mavera_unavailable`: nothing was sent

Mavera takes no idempotency key, so this client never repeats a POST.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from worker.errors import ApiError, Permanent, PersonasError, ResumableStop, Retry, WaitUntil
from worker.http.body import has_error, parse_error, parse_json, read_error, requested_wait_s, retry_after_s
from worker.http.client import HttpClient, Reply
from worker.http.errors import NotPermitted, TransportError
from worker.http.pagination import ListRequest
from worker.mavera.payload import PersonaPayload
from worker.mavera.persona import ListPage, Persona, read_list
from worker.mavera.usage import Usage, read_usage

_PAGE_SIZE = 100
_NO_ROUTE = {403, 404, 405, 410, 501}
"""Answers to `GET /usage` of an account that lacks the route, or of a key that may not use it."""
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


class MaveraClient:
    """One account's personas.

    Args:
        wall_clock: Unix seconds, for `Retry-After` dates.
    """

    def __init__(self, http: HttpClient, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._http = http
        self._wall_clock = wall_clock
        self._can_search = True

    async def list_page(
        self, family: str, cursor: str | None, *, before: int | None = None, pages: int = 0
    ) -> ListPage:
        """Returns one page of the personas whose text holds `family`; an empty `family` lists all personas of the
        account.

        If Mavera refuses the search, the page is one of the list of all personas.

        Args:
            family: The family of our references to search for.
            cursor: Of the page; None for the first.
            before: How many rows all earlier pages had, None if that is not known.
            pages: How many earlier pages there were.

        Raises:
            ApiError: The list was refused or is not readable.
        """
        params = {"limit": str(_PAGE_SIZE)} | ({"cursor": cursor} if cursor else {})
        reply = await self._search(family, params) if family else await self._send("GET", "/personas", params=params)
        try:
            request = ListRequest(_PAGE_SIZE, cursor or "", self._http.host, before, pages)
            return read_list(parse_json(reply.body), request)
        except ValueError:
            raise Retry(
                "mavera_bad_body",
                "Mavera, list of personas: the body is not a list",
                request_id=reply.request_id,
            ) from None

    async def _search(self, family: str, params: dict[str, str]) -> Reply:
        if self._can_search:
            try:
                return await self._send("GET", "/personas", params={"search": family, **params})
            except Permanent:
                # `search` is not documented. Without it the list has more rows, distinguished by their reference.
                self._can_search = False
        return await self._send("GET", "/personas", params=params)

    async def rate_limit(self) -> int | None:
        """Asks for one persona, which is free; returns the requests a minute that the answer allows, if it says so."""
        reply = await self._send("GET", "/personas", params={"limit": "1"})
        text = reply.headers.get("X-RateLimit-Limit", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

    async def usage(self) -> Usage | None:
        """Asks for the account's credits and limits, which is free.

        Returns:
            What the account says, or None if it lacks the route or its answer cannot be read.

        Raises:
            ApiError: Any other refusal, or no answer.
        """
        subject = "usage of the account"
        try:
            reply = await self._request("GET", "/usage")
        except TransportError as error:
            raise _error_from_transport(error, subject) from None
        if reply.status in _NO_ROUTE:
            return None
        if not 200 <= reply.status < 300:
            raise self._error_from_response(reply, subject)
        try:
            return read_usage(parse_json(reply.body))
        except ValueError:
            return None

    async def get(self, persona_id: str) -> Persona | None:
        """Returns one persona; None if the answer is not readable. Raises PersonaGone if there is none."""
        return _persona(await self._send("GET", _path(persona_id), subject=f"persona {persona_id}"))

    async def create(
        self,
        payload: PersonaPayload,
        permit: Callable[[], bool],
        *,
        on_connected: Callable[[], Awaitable[None]] | None = None,
    ) -> Persona:
        """Sends one POST, once, if `permit` returns True immediately before its body is sent.

        Args:
            payload: The persona to create.
            permit: Returns whether the body may be sent; called after the connection is made.
            on_connected: Awaited on the connection of the POST before `permit` is called.

        Raises:
            NotPermitted: `permit` returned False; nothing was sent.
            PostUncertain: The persona may have been created.
            ApiError: Mavera refused the POST, or nothing was sent.
            Exception: Whatever `on_connected` raises.
        """
        subject = f"persona {payload.name!r}"
        try:
            reply = await self._request(
                "POST", "/personas", json=payload.as_json(), permit=permit, on_connected=on_connected
            )
        except NotPermitted:
            raise
        except TransportError as error:
            if error.maybe_done:
                raise PostUncertain(f"Mavera, {subject}: {error}") from None
            raise _error_from_transport(error, subject) from None
        if reply.status >= 500 or reply.status in {408, 409}:
            # A 409 may say that an earlier request for this persona is done, or still under way.
            wait_s = retry_after_s(reply.headers, self._wall_clock())
            _, message, _ = parse_error(reply.body)
            raise PostUncertain(f"Mavera, {subject}: {reply.status} {message}".rstrip(), wait_s=wait_s)
        if reply.status >= 400:
            raise self._error_from_response(reply, subject)
        persona = _persona(reply)
        if persona is None or not _is_a_persona(persona):
            raise PostUncertain(f"Mavera, {subject}: the answer {reply.status} names no persona")
        return persona

    async def update(self, persona_id: str, payload: PersonaPayload) -> Persona | None:
        """Sends one PATCH. Returns the persona in the answer, None if it is not readable. Raises PersonaGone."""
        return await self._patch(persona_id, payload.as_json())

    async def describe(self, persona_id: str, description: str) -> None:
        """Replaces a persona's description and nothing else. Raises PersonaGone if there is no such persona."""
        await self._patch(persona_id, {"description": description})

    async def _patch(self, persona_id: str, fields: dict[str, object]) -> Persona | None:
        path, subject = _path(persona_id), f"update of persona {persona_id}"
        return _persona(await self._send("PATCH", path, json=fields, subject=subject))

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        json: dict[str, object] | None = None,
        subject: str = "list of personas",
    ) -> Reply:
        """Sends a request that may be repeated. Raises ApiError unless it succeeded."""
        try:
            reply = await self._request(method, path, params=params, json=json)
        except TransportError as error:
            raise _error_from_transport(error, subject) from None
        if reply.status in {200, 201, 202, 204}:
            _raise_for_error_body(reply, subject)
            return reply
        if path != "/personas" and reply.status in {404, 410}:
            raise PersonaGone(f"Mavera, {subject}: {reply.status}")
        raise self._error_from_response(reply, subject)

    async def _request(self, method: str, path: str, **kwargs: Any) -> Reply:
        return await self._http.request(method, path, **kwargs)

    def _error_from_response(self, reply: Reply, subject: str) -> ApiError:
        code, message, param = parse_error(reply.body)
        message_text = f"Mavera, {subject}: {reply.status}" + (f" {message}" if message else "")
        request_id = reply.request_id
        match reply.status:
            case 429:
                wait_s = requested_wait_s(reply.headers, reply.body, self._wall_clock())
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
                    hint="Top up the account; then only the missing personas are created.",
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
            case status if status >= 500 and (wait_s := retry_after_s(reply.headers, self._wall_clock())) is not None:
                return WaitUntil("mavera_unavailable", message_text, wait_s=wait_s, request_id=request_id)
            case status if status >= 500 or status < 400 or status in _MAY_PASS:
                return Retry("mavera_unavailable", message_text, request_id=request_id)
            case _:
                detail = f" ({code}{', ' if code and param else ''}{param})" if code or param else ""
                return Permanent("mavera_validation", message_text + detail, request_id=request_id)


def _error_from_transport(error: TransportError, subject: str) -> ApiError:
    """Turns a failure without a usable answer into an error, for a request that did nothing or may be repeated."""
    if error.lasting:
        return ResumableStop("mavera_unreachable", f"Mavera, {subject}: {error}", hint=error.hint)
    return Retry("mavera_unavailable", f"Mavera, {subject}: {error}", hint=error.hint)


def _raise_for_error_body(reply: Reply, subject: str) -> None:
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


def _is_a_persona(answer: Persona) -> bool:
    """Returns False if an answer says that its id is that of something else, such as a job that makes the persona."""
    kind = (answer.model_extra or {}).get("object")
    return not isinstance(kind, str) or not kind or "persona" in kind.casefold()


def _path(persona_id: str) -> str:
    return f"/personas/{quote(persona_id, safe='')}"


def _persona(reply: Reply) -> Persona | None:
    try:
        return Persona.model_validate(parse_json(reply.body))
    except (ValueError, ValidationError):
        return None
