"""Segment: what both dialects share. Token, limit of the space, latency, faults, `Request-Id`, journal.

`inline` lies under `/spaces`, `profile-api` under `/v1/spaces`, as their documented base URLs do; and under
`/spaces` too for requests with Basic credentials, so that one base URL serves both. Dispatch is by hand, because a
benchmark's page should cost the server microseconds.
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
from producer.sandbox.faults import Asked, Fault
from producer.sandbox.rate_limit import Verdict
from producer.sandbox.segment import profile_api
from producer.sandbox.segment.inline_api import Inline
from producer.sandbox.segment.requests import Target, Window, refusal, target
from producer.sandbox.spaces.space import SpaceSpec, profile_index
from producer.sandbox.state import State

_LTV = re.compile(rb'("ltv":)-?[0-9][0-9.eE+-]*')
_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    429: "too_many_requests",
}


class Segment:
    """Answers everything under `/spaces` and `/v1/spaces`."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.inline = Inline(state.options)

    async def handle(self, request: web.BaseRequest, path: str, query: Mapping[str, str]) -> web.StreamResponse:
        """One request; its answer, if there is one, carries a `Request-Id`."""
        state = self._state
        await state.travel()
        arrived = asyncio.get_running_loop().time()
        asked = target(path, query)
        route = "segment.unknown" if asked is None else "segment." + asked.route
        at = state.journal.arrive(route)
        request_id = state.request_id()
        if asked is None:
            response: web.StreamResponse = refusal(404, "not_found", f"No route {path}")
        elif request.method != "GET":
            response = refusal(405, "method_not_allowed", f"{request.method} is not allowed here")
        else:
            scope = "segment:" + asked.space_id
            verdict = state.hit(scope, state.options.segment_limit, state.options.segment_window_s, monotonic())
            response = await self._answer(request, arrived, asked, query, request_id, verdict)
            if verdict is not None and state.options.segment_limit_headers and not response.prepared:
                response.headers.update(verdict.headers())
        if not response.prepared:
            response.headers["Request-Id"] = request_id
        state.journal.answer(at, route, "" if asked is None else asked.space_id, response.status)
        return response

    async def _answer(
        self,
        request: web.BaseRequest,
        arrived: float,
        asked: Target,
        query: Mapping[str, str],
        request_id: str,
        verdict: Verdict | None,
    ) -> web.StreamResponse:
        options = self._state.options
        if verdict is not None and not verdict.allowed:
            wait = {"Retry-After": str(max(1, ceil(verdict.retry_in_s)))}
            return refusal(429, "too_many_requests", "The rate limit of this space is exceeded", wait)
        if not _authorized(request, asked.dialect, options.segment_token):
            return refusal(401, "unauthorized", "The access token is missing or not valid")
        spec = options.space(asked.space_id)
        if spec is None:
            return refusal(404, "not_found", f"Space {asked.space_id} was not found")
        inline = asked.dialect == "inline"
        window = self.inline.window(asked, query) if inline else profile_api.window(asked, query)
        if isinstance(window, web.Response):
            return window
        fault = self._meet(asked, spec, window, "cursor" in query or "next" in query)
        answer_at = arrived + options.segment_latency_s(with_traits=asked.route in ("page", "traits"))
        if fault is None:
            page = self._body(asked, spec, window, query, None)
            await _until(answer_at)
            return page
        await _until(answer_at)
        if (early := await self._early(fault, request)) is not None:
            return early
        response = self._body(asked, spec, window, query, fault)
        if fault.kind == "not_finite" and isinstance(response.body, bytes):
            body = _LTV.sub(rb"\g<1>" + fault.token.encode(), response.body, count=1)
            return json_response(body)
        if fault.kind == "truncate":
            response.headers["Request-Id"] = request_id
            return await truncated(request, response)
        return response

    def _body(
        self, asked: Target, spec: SpaceSpec, window: Window, query: Mapping[str, str], fault: Fault | None
    ) -> web.Response:
        if asked.dialect == "inline":
            return json_response(self.inline.body(asked, spec, window, fault))
        return profile_api.answer(asked, spec, window, query)

    def _meet(self, asked: Target, spec: SpaceSpec, window: Window, has_cursor: bool) -> Fault | None:
        page = window.page if asked.profile is None else None
        profile = None if asked.profile is None else profile_index(spec, asked.profile)
        return self._state.meet(Asked("segment", asked.route, "GET", asked.space_id, page, has_cursor, profile))

    async def _early(self, fault: Fault, request: web.BaseRequest) -> web.StreamResponse | None:
        if fault.kind == "expired_cursor":
            return refusal(400, fault.code or "invalid_cursor", "The cursor has expired")
        if fault.kind == "body":
            return json_response(fault.content.encode())
        if fault.kind != "status":
            return await self._state.before(fault, request)
        if fault.body == "html":
            response = html_response(f"Error {fault.status}", fault.status)
        else:
            code = fault.code or _CODES.get(fault.status, "internal_error")
            response = refusal(fault.status, code, f"The sandbox was told to answer {fault.status}")
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
