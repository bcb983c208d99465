"""Builds the API from its parts: the routes, and the checks that every request passes.

A request passes, from the outside in: counting, conversion of errors to problems, security headers, checks of host and
origin, the bearer token, and the time-out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from producer.api.access.authorization import authorize
from producer.api.access.origin_check import check_host, check_origin
from producer.api.access.tokens import TokenFile
from producer.api.access.wrong_tokens import WrongTokens
from producer.api.bodies import RequestDefaults
from producer.api.config import ApiConfig
from producer.api.metrics import ApiMetrics
from producer.api.openapi.document import openapi_document
from producer.api.openapi.operation import Operation
from producer.api.problems import problem_of
from producer.api.responses import sync_text
from producer.api.routes.schedules import ScheduleRoutes
from producer.api.routes.service import ServiceRoutes
from producer.api.routes.spaces import SpaceRoutes
from producer.api.routes.static_files import StaticRoutes
from producer.api.routes.statistics import StatisticsRoutes
from producer.api.routes.sync_events import SyncEventRoutes
from producer.api.routes.syncs import SyncRoutes
from producer.api.sync_watcher import SyncWatcher
from producer.client import SyncClient
from producer.rules_file import load_chosen_rules
from worker.settings import Settings

log = logging.getLogger("segment_personas.api")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Server": "segment-personas",
}


@dataclass(frozen=True)
class _Described:
    """The operations of the routes, for the middleware."""

    operations: dict[tuple[str, str], Operation] = field(default_factory=dict)

    def of(self, request: web.Request) -> Operation | None:
        resource = request.match_info.route.resource
        method = "GET" if request.method == "HEAD" else request.method
        return self.operations.get((method, resource.canonical)) if resource else None


def build_app(client: SyncClient, settings: Settings, config: ApiConfig) -> web.Application:
    """Returns the API as an application of aiohttp.

    Args:
        client: Starts and reads syncs. It is not closed here.
        settings: Of this process: the clusters file and the dialect of requests that name none.
        config: Who may use it, and its bounds.

    Raises:
        ConfigurationError: The file of tokens, or the clusters file, cannot be used.
    """
    tokens = TokenFile(config.tokens_file) if config.tokens_file else None
    load_chosen_rules(settings, None)
    metrics = ApiMetrics(client.report)
    watcher = SyncWatcher(client, config.limits.look_s, sync_text)
    events = SyncEventRoutes(client, watcher, metrics, config.limits)
    operations: list[Operation] = []
    describe = cache(lambda: openapi_document(operations, with_tokens=tokens is not None))
    service = ServiceRoutes(client, metrics, describe)
    defaults = RequestDefaults(
        lambda: load_chosen_rules(settings, None), settings.segment_dialect, reads_files=config.reads_files
    )
    syncs = SyncRoutes(client, defaults, config.limits)
    schedules = ScheduleRoutes(client, defaults, config.limits)
    for routes in (syncs, events, StatisticsRoutes(client), schedules, SpaceRoutes(client, settings), service):
        operations += routes.operations()

    described = _Described({(one.method, one.path): one for one in operations})
    app = web.Application(
        middlewares=_middlewares(described, metrics, config, tokens), client_max_size=config.limits.body_bytes
    )
    for operation in operations:
        if operation.method == "GET":
            app.router.add_get(operation.path, operation.handler, allow_head=not operation.streams)
        else:
            app.router.add_route(operation.method, operation.path, operation.handler)
    StaticRoutes().add_to(app.router)

    async def watch(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(watcher.run(), name="sync watcher")
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def stop(_: web.Application) -> None:
        service.stop()
        events.stop()

    async def secure(request: web.Request, response: web.StreamResponse) -> None:
        for name, value in _HEADERS.items():
            if name == "Server":
                response.headers[name] = value
            else:
                response.headers.setdefault(name, value)

    app.cleanup_ctx.append(watch)
    app.on_shutdown.append(stop)
    app.on_response_prepare.append(secure)
    return app


def _middlewares(
    described: _Described, metrics: ApiMetrics, config: ApiConfig, tokens: TokenFile | None
) -> Sequence[Middleware]:
    wrong_tokens = WrongTokens(config.limits.wrong_tokens, time.monotonic)

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        clock = asyncio.get_running_loop().time
        begun, operation = clock(), described.of(request)
        response = await handler(request)
        resource = request.match_info.route.resource
        known = resource is not None and request.match_info.http_exception is None
        metrics.count(
            request.method if known else "other",
            resource.canonical if known and resource else "unknown",
            response.status,
            None if operation and operation.streams else clock() - begun,
        )
        return response

    @web.middleware
    async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - every error becomes a problem document
            return problem_of(error).response()

    @web.middleware
    async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
        operation = described.of(request)
        if tokens is None:
            check_host(request, config.host)
        check_origin(request)
        if tokens is not None and operation and operation.scope:
            token = authorize(request, tokens, wrong_tokens, operation.scope)
            if operation.scope == "write":
                log.info("token %s: %s %r", token.name, request.method, request.path)
        if operation and operation.streams:
            return await handler(request)
        async with asyncio.timeout(config.limits.request_s):
            return await handler(request)

    return (count, answer_errors, check_access)
