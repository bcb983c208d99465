"""Segment: what both dialects share. Token, limit of the space, latency, faults, `Request-Id`, journal.

`inline` lies under `/spaces`, `profile-api` under `/v1/spaces`, as their documented base URLs do; and under
`/spaces` too for requests with Basic credentials, so that one base URL serves both.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping
from math import ceil
from time import monotonic

from aiohttp import web

from producer.sandbox.fault_answers import html_response, json_response, retry_after, truncated
from producer.sandbox.faults import Fault, RequestFacts
from producer.sandbox.rate_limit import RateLimitDecision
from producer.sandbox.segment import profile_api
from producer.sandbox.segment.inline_api import InlineApi
from producer.sandbox.segment.requests import Target, Window, error_response, parse_target
from producer.sandbox.spaces.space import SpaceSpec, profile_index
from producer.sandbox.state import SandboxState

_LTV = re.compile(rb'("ltv":)-?[0-9][0-9.eE+-]*')
_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    429: "too_many_requests",
}


class Segment:
    """Answers everything under `/spaces` and `/v1/spaces`.

    Args:
        state: State of the sandbox.
        inline: Builds the pages of the `inline` dialect.
    """

    def __init__(self, state: SandboxState, inline: InlineApi) -> None:
        self._state = state
        self._inline = inline

    async def handle(self, request: web.BaseRequest, path: str, query: Mapping[str, str]) -> web.StreamResponse:
        """Answers one request, with a `Request-Id`."""
        state = self._state
        await state.delay_arrival()
        arrived = asyncio.get_running_loop().time()
        target = parse_target(path, query)
        route = "segment.unknown" if target is None else "segment." + target.route
        at = state.journal.arrive(route)
        request_id = state.request_id()
        if target is None:
            response: web.StreamResponse = error_response(404, "not_found", f"No route {path}")
        elif request.method != "GET":
            response = error_response(405, "method_not_allowed", f"{request.method} is not allowed here")
        else:
            scope = "segment:" + target.space_id
            decision = state.hit(scope, state.options.segment_limit, state.options.segment_window_s, monotonic())
            response = await self._answer(request, arrived, target, query, request_id, decision)
            if decision is not None and state.options.segment_limit_headers and not response.prepared:
                response.headers.update(decision.headers())
        if not response.prepared:
            response.headers["Request-Id"] = request_id
        state.journal.answer(at, route, "" if target is None else target.space_id, response.status)
        return response

    async def _answer(
        self,
        request: web.BaseRequest,
        arrived: float,
        target: Target,
        query: Mapping[str, str],
        request_id: str,
        decision: RateLimitDecision | None,
    ) -> web.StreamResponse:
        options = self._state.options
        if decision is not None and not decision.allowed:
            wait = {"Retry-After": str(max(1, ceil(decision.retry_in_s)))}
            return error_response(429, "too_many_requests", "The rate limit of this space is exceeded", wait)
        if not _authorized(request, target.dialect, options.segment_token):
            return error_response(401, "unauthorized", "The access token is missing or not valid")
        spec = options.space(target.space_id)
        if spec is None:
            return error_response(404, "not_found", f"Space {target.space_id} was not found")
        inline = target.dialect == "inline"
        window = self._inline.parse_window(target, query) if inline else profile_api.parse_window(target, query)
        if isinstance(window, web.Response):
            return window
        fault = self._choose_fault(target, spec, window, "cursor" in query or "next" in query)
        answer_at = arrived + options.segment_latency_s(with_traits=target.route in ("page", "traits"))
        if fault is None:
            page = self._body(target, spec, window, query, None)
            await _until(answer_at)
            return page
        await _until(answer_at)
        if (early := await self._answer_fault(fault, request)) is not None:
            return early
        response = self._body(target, spec, window, query, fault)
        if fault.kind == "not_finite" and isinstance(response.body, bytes):
            body = _LTV.sub(rb"\g<1>" + fault.token.encode(), response.body, count=1)
            return json_response(body)
        if fault.kind == "truncate":
            response.headers["Request-Id"] = request_id
            return await truncated(request, response)
        return response

    def _body(
        self, target: Target, spec: SpaceSpec, window: Window, query: Mapping[str, str], fault: Fault | None
    ) -> web.Response:
        if target.dialect == "inline":
            return json_response(self._inline.body(target, spec, window, fault))
        return profile_api.answer(target, spec, window, query)

    def _choose_fault(self, target: Target, spec: SpaceSpec, window: Window, has_cursor: bool) -> Fault | None:
        page = window.page if target.profile is None else None
        profile = None if target.profile is None else profile_index(spec, target.profile)
        return self._state.choose_fault(
            RequestFacts("segment", target.route, "GET", target.space_id, page, has_cursor, profile)
        )

    async def _answer_fault(self, fault: Fault, request: web.BaseRequest) -> web.StreamResponse | None:
        if fault.kind == "expired_cursor":
            return error_response(400, fault.code or "invalid_cursor", "The cursor has expired")
        if fault.kind == "body":
            return json_response(fault.content.encode())
        if fault.kind != "status":
            return await self._state.answer_fault(fault, request)
        if fault.body == "html":
            response = html_response(f"Error {fault.status}", fault.status)
        else:
            code = fault.code or _CODES.get(fault.status, "internal_error")
            response = error_response(fault.status, code, f"The sandbox was configured to answer {fault.status}")
        if fault.retry_after is not None:
            response.headers["Retry-After"] = retry_after(fault.retry_after)
        return response


async def _until(time_s: float) -> None:
    wait_s = time_s - asyncio.get_running_loop().time()
    if wait_s > 0:
        await asyncio.sleep(wait_s)


def _authorized(request: web.BaseRequest, dialect: str, token: str | None) -> bool:
    if token is None:
        return True
    given = request.headers.get("Authorization", "")
    if dialect == "inline":
        return given == "Bearer " + token
    return given == "Basic " + b64encode(f"{token}:".encode()).decode()
