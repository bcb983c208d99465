"""The Mavera client: list, create and update personas. `errors` says what each failure means.

Mavera takes no idempotency key, so this client never repeats a POST.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from worker.errors import Permanent, Retry
from worker.http.body import parse_json
from worker.http.client import HttpClient, Reply
from worker.http.errors import NotPermitted, TransportError
from worker.http.pagination import ListRequest
from worker.mavera.errors import (
    PostUncertain,
    error_from_post,
    error_from_response,
    error_from_transport,
    raise_for_error_body,
)
from worker.mavera.payload import PersonaPayload
from worker.mavera.persona import ListPage, Persona, read_list
from worker.mavera.usage import Usage, read_usage

_PAGE_SIZE = 100
_NO_ROUTE = {403, 404, 405, 410, 501}
"""Answers to `GET /usage` of an account that lacks the route, or of a key that may not use it."""


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
            raise error_from_transport(error, subject) from None
        if reply.status in _NO_ROUTE:
            return None
        if not 200 <= reply.status < 300:
            raise error_from_response(reply, subject, self._wall_clock())
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
            raise error_from_transport(error, subject) from None
        if reply.status >= 400:
            raise error_from_post(reply, subject, self._wall_clock())
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
            raise error_from_transport(error, subject) from None
        if reply.status in {200, 201, 202, 204}:
            raise_for_error_body(reply, subject)
            return reply
        raise error_from_response(reply, subject, self._wall_clock(), of_one=path != "/personas")

    async def _request(self, method: str, path: str, **kwargs: Any) -> Reply:
        return await self._http.request(method, path, **kwargs)


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
