"""The routes about the server itself: health, readiness, metrics and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from producer.api.metrics import ApiMetrics
from producer.api.openapi.docs_page import DOCS_POLICY, docs_page
from producer.api.openapi.operation import Answer, Operation
from producer.api.problems import Problem
from producer.api.responses import json_response
from producer.client import SyncClient
from worker.metrics.redis_metrics import CONTENT_TYPE


class Health(TypedDict):
    """Shows that the server is alive."""

    status: Literal["ok"]


class Readiness(TypedDict):
    """Shows that Redis answers and a worker is alive."""

    status: Literal["ready"]
    workers: Annotated[int, Field(ge=1, description="Workers that are alive")]


class ServiceRoutes:
    """The routes.

    Args:
        client: Starts and reads syncs.
        metrics: The counters of the server.
        describe: Makes the OpenAPI document.
    """

    def __init__(self, client: SyncClient, metrics: ApiMetrics, describe: Callable[[], dict[str, Any]]) -> None:
        self._client = client
        self._metrics = metrics
        self._describe = describe
        self._stopping = False

    def stop(self) -> None:
        """Report the server as not ready, so that load balancers stop sending requests."""
        self._stopping = True

    async def health(self, request: web.Request) -> web.Response:
        """GET /healthz"""
        return json_response({"status": "ok"})

    async def readiness(self, request: web.Request) -> web.Response:
        """GET /readyz"""
        if self._stopping:
            raise Problem("stopping", "The server stops.")
        workers = await self._client.workers()
        if not workers:
            raise Problem("not_ready", "No worker is alive.", hint="Start one: segment-personas worker.")
        return json_response({"status": "ready", "workers": len(workers)})

    async def show_metrics(self, request: web.Request) -> web.Response:
        """GET /metrics"""
        return web.Response(body=await self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def openapi(self, request: web.Request) -> web.Response:
        """GET /openapi.json"""
        return json_response(self._describe())

    async def docs(self, request: web.Request) -> web.Response:
        """GET /docs"""
        return web.Response(
            text=docs_page(self._describe()), content_type="text/html", headers={"Content-Security-Policy": DOCS_POLICY}
        )

    def operations(self) -> list[Operation]:
        """Returns what the router and the OpenAPI document need."""
        return [
            Operation(
                "GET",
                "/healthz",
                self.health,
                "getHealth",
                "Show whether the server is alive",
                {200: Answer("It does", Health)},
            ),
            Operation(
                "GET",
                "/readyz",
                self.readiness,
                "getReadiness",
                "Show whether Redis answers and a worker is alive",
                {200: Answer("Both", Readiness)},
                problems=("not_ready", "stopping"),
            ),
            Operation(
                "GET",
                "/metrics",
                self.show_metrics,
                "getMetrics",
                "Show metrics in Prometheus' format",
                {200: Answer("The metrics of this server", media_type="text/plain")},
                scope="read",
            ),
            Operation(
                "GET",
                "/openapi.json",
                self.openapi,
                "getOpenApi",
                "Show this document",
                {200: Answer("An OpenAPI 3.1 document", dict[str, Any])},
            ),
            Operation(
                "GET",
                "/docs",
                self.docs,
                "getDocs",
                "Show this document as a page",
                {200: Answer("A page", media_type="text/html")},
            ),
        ]
