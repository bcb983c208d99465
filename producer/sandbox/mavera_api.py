"""Mavera: create, read, update, list and delete personas, and the account's usage.

A repeated POST makes, and charges, another persona.

A request takes effect after its latency, whether or not the client is still connected.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from time import monotonic, time
from typing import Any
from zlib import crc32

from aiohttp import web

from producer.sandbox.cursors import Place, decode, encode
from producer.sandbox.fault_answers import cut, html_response, json_response, retry_after, truncated
from producer.sandbox.faults import Fault, RequestFacts
from producer.sandbox.personas import CREATION_CREDITS, Persona
from producer.sandbox.segment.pages import to_json
from producer.sandbox.state import SandboxState

_PATH = "/api/v1/personas"
_USAGE_PATH = "/api/v1/usage"
_ROUTES = {
    ("POST", False): "create",
    ("GET", False): "list",
    ("GET", True): "read",
    ("PATCH", True): "update",
    ("DELETE", True): "delete",
}
_TYPES = {
    400: ("validation_error", "invalid_field"),
    401: ("authentication_error", "invalid_api_key"),
    402: ("insufficient_credits", "credits_exhausted"),
    403: ("permission_error", "access_denied"),
    404: ("not_found_error", "not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


_ODD_ROWS: tuple[Any, ...] = (
    None,
    7,
    "per_text",
    {},
    {"name": "Without an id"},
    {"id": None},
    {"id": 42, "name": None},
    {"id": 1.5, "name": ["A", "list"]},
    {"id": True, "description": {"text": "nested"}},
    {"id": {"value": "per_nested"}, "name": "Without a usable id"},
    {"ID": "per_upper", "Name": "Fields in capitals"},
    {"id": "per_odd", "description": None, "created_at": {}, "is_custom": "yes", "credits_charged": "300"},
    {"id": "per_odd"},
)


class Mavera:
    """Answers everything under `/api/v1/personas`, and `/api/v1/usage`."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    async def handle(self, request: web.BaseRequest, path: str, query: Mapping[str, str]) -> web.StreamResponse:
        """Returns one request; its answer carries `X-RateLimit-*` if there is a limit."""
        state, options = self._state, self._state.options
        persona_id = path.removeprefix(_PATH).removeprefix("/")
        action = _ROUTES.get((request.method, bool(persona_id)), "unknown")
        if path == _USAGE_PATH:
            action = "usage" if request.method == "GET" and options.usage_route else "unknown"
        route = "mavera." + action
        at = state.journal.arrive(route)
        key = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        decision = state.hit("mavera:" + key, options.mavera_limit, options.mavera_window_s, monotonic())
        if decision is not None and not decision.allowed:
            response: web.StreamResponse = _error(429, "Rate limit exceeded", retry_in_s=decision.retry_in_s)
        elif options.mavera_key is not None and key != options.mavera_key:
            code = "invalid_api_key" if key else "missing_api_key"
            response = _error(401, "The API key is missing or not valid", code=code)
        elif action == "unknown" or not (path.startswith(_PATH) or path == _USAGE_PATH):
            response = _error(404, f"No route {request.method} {path}")
        else:
            response = await self._answer(request, action, persona_id, query)
        if not response.prepared and decision is not None:
            response.headers.update(decision.headers())
        state.journal.answer(at, route, f"key_{crc32(key.encode()):08x}", response.status)
        return response

    async def _answer(
        self, request: web.BaseRequest, action: str, persona_id: str, query: Mapping[str, str]
    ) -> web.StreamResponse:
        fault = self._state.choose_fault(RequestFacts("mavera", action, request.method))
        raw = await request.read()  # before any wait: a client that has gone by then has still sent it
        if self._state.options.mavera_latency_s:
            await asyncio.sleep(self._state.options.mavera_latency_s)
        if fault is None:
            return self._perform(action, persona_id, raw, query, None)
        if fault.kind == "status":
            return _status_answer(fault)
        if fault.kind == "created_late":
            self._state.run_in_background(self._perform_late(fault, action, persona_id, raw))
            return cut(request)
        if (early := await self._state.answer_fault(fault, request)) is not None:
            return early
        ignored = fault.field if fault.kind == "ignore_field" else None
        response = self._perform(action, persona_id, raw, query, ignored)
        if fault.kind == "created_lost":
            return cut(request)
        if fault.kind == "created_error":
            return _status_answer(fault)
        if fault.kind == "truncate":
            return await truncated(request, response)
        return response

    async def _perform_late(self, fault: Fault, action: str, persona_id: str, raw: bytes) -> None:
        await asyncio.sleep(fault.seconds or 0.0)
        self._perform(action, persona_id, raw, {}, None)
        self._state.journal.arrive("mavera.late")

    def _perform(
        self, action: str, persona_id: str, raw: bytes, query: Mapping[str, str], ignored: str | None
    ) -> web.Response:
        if action == "list":
            return self._list(query)
        if action == "usage":
            return json_response(to_json(usage_body(self._state, datetime.now(UTC))))
        if action == "delete":
            deleted = self._state.personas.delete(persona_id)
            return json_response(to_json({"id": persona_id, "deleted": True})) if deleted else _gone(persona_id)
        if action == "read":
            persona = self._state.personas.find(persona_id) if self._state.options.mavera_reads else None
            return json_response(to_json(persona.full())) if persona else _gone(persona_id)
        body = _parsed(raw)
        if isinstance(body, web.Response):
            return body
        return self._create(body, ignored) if action == "create" else self._update(persona_id, body, ignored)

    def _create(self, body: dict[str, Any], ignored: str | None) -> web.Response:
        state = self._state
        if "name" not in body:
            return _error(400, "name is required", code="missing_field", param="name")
        if (wrong := _wrong_name(body)) is not None:
            return wrong
        if (refused := state.charge(CREATION_CREDITS)) is not None:
            return _error(402, f"A persona takes {CREATION_CREDITS} credits, {state.credits} are left", code=refused)
        state.personas.posts.append(body)
        persona = state.personas.create(body, time(), state.options.listing_lag_s, ignored)
        return json_response(to_json(persona.full()), 201)

    def _update(self, persona_id: str, body: dict[str, Any], ignored: str | None) -> web.Response:
        persona = self._state.personas.find(persona_id)
        if persona is None:
            return _gone(persona_id)
        if not persona.is_custom:
            return _error(403, "Only custom personas can be changed")
        if (wrong := _wrong_name(body)) is not None:
            return wrong
        self._state.personas.update(persona, body, ignored)
        return json_response(to_json(persona.full()))

    def _list(self, query: Mapping[str, str]) -> web.Response:
        limit = query.get("limit", "50")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= 100):
            return _error(400, "limit must be between 1 and 100", param="limit")
        start = 0
        if cursor := query.get("cursor"):
            place = decode(cursor, _PATH)
            if place is None:
                return _error(400, "The cursor is not valid", param="cursor")
            start = place.start
        now = time()
        found = [persona for persona in reversed(self._state.personas.all) if _is_listed(persona, query, now)]
        stop = start + int(limit)
        options = self._state.options
        rows: list[Any] = [persona.listed(options.mavera_shown) for persona in found[start:stop]]
        if options.mavera_odd_rows and not start:
            rows = [*_ODD_ROWS, *rows]
        page: dict[str, Any] = {"object": "list", "data": rows}
        if options.mavera_next_cursor:
            more = stop < len(found)
            page |= {"has_more": more, "next_cursor": encode(Place(stop), _PATH) if more else None}
        return json_response(to_json(page))


def _is_listed(persona: Persona, query: Mapping[str, str], now: float) -> bool:
    custom_only = any(query.get(name) == "true" for name in ("custom", "is_custom", "custom_only"))
    return (
        persona.listed_from <= now
        and (persona.is_custom or not custom_only)
        and query.get("category") in (None, persona.fields.get("category"))
        and persona.mentions(query.get("search", ""))
    )


def _parsed(raw: bytes) -> dict[str, Any] | web.Response:
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return _error(400, "The body must be a JSON object", code="invalid_json")
    return body


def _wrong_name(body: Mapping[str, Any]) -> web.Response | None:
    name = body.get("name", "ok")
    if isinstance(name, str) and 2 <= len(name) <= 100:
        return None
    return _error(400, "name must have 2 to 100 characters", param="name")


def _gone(persona_id: str) -> web.Response:
    return _error(404, f"No persona {persona_id}", param="id")


def _status_answer(fault: Fault) -> web.Response:
    if fault.body == "html":
        response = html_response(f"Error {fault.status}", fault.status)
    else:
        response = _error(fault.status, f"The sandbox was configured to answer {fault.status}", code=fault.code)
    if fault.retry_after is not None:
        response.headers["Retry-After"] = retry_after(fault.retry_after)
    return response


def _error(
    status: int,
    message: str,
    code: str | None = None,
    param: str | None = None,
    retry_in_s: float | None = None,
) -> web.Response:
    kind, usual = _TYPES.get(status, ("api_error", "internal_error"))
    headers = None if retry_in_s is None else {"Retry-After": str(max(1, ceil(retry_in_s)))}
    error = {"message": message, "type": kind, "code": code or usual, "param": param}
    return json_response(to_json({"error": error}), status, headers)


def usage_body(state: SandboxState, now: datetime) -> dict[str, object]:
    """Returns the body of `GET /usage` at `now`, for the sandbox's one account; its billing period is the calendar
    month.
    """
    options = state.options
    included = None if state.credits is None else state.credits_used + state.credits
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return {
        "object": "usage",
        "billing_period": {"start": _iso(start), "end": _iso(end)},
        "credits": {
            "used": state.credits_used,
            "included": included,
            "remaining": state.credits,
            "percentage_used": round(100 * state.credits_used / included, 1) if included else 0,
        },
        "rate_limit": {"requests_per_minute": options.mavera_limit},
        "auto_recharge": {
            "enabled": options.auto_recharge is not None,
            "threshold": None if options.auto_recharge is None else 0,
            "credits_to_add": options.auto_recharge,
        },
        "limits": {"budget_alert": None, "usage_limit": options.usage_limit},
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
