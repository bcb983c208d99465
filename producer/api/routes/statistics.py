"""The route of a sync's statistics, from which the web page draws its charts."""

from __future__ import annotations

from aiohttp import web

from producer.api.openapi.operation import Answer, Operation
from producer.api.responses import json_response
from producer.api.routes.syncs import SYNC_PARAMETER, sync_id_of
from producer.client import SyncClient
from worker.documents.statistics_document import SyncStatistics, statistics_document


class StatisticsRoutes:
    """The route.

    Args:
        client: Reads the syncs.
    """

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    async def statistics(self, request: web.Request) -> web.Response:
        """GET /v1/syncs/{id}/statistics"""
        return json_response(statistics_document(await self._client.get(sync_id_of(request))))

    def operations(self) -> list[Operation]:
        """Returns what the router and the OpenAPI document need."""
        return [
            Operation(
                "GET",
                "/v1/syncs/{id}/statistics",
                self.statistics,
                "getStatistics",
                "Show the statistics of a sync's clusters",
                {200: Answer("The statistics so far", SyncStatistics)},
                scope="read",
                description="Distributions of numbers and the most frequent values of each cluster, as far as the sync "
                "has read.",
                problems=("sync_not_found", "newer_version", "sync_unreadable"),
                parameters=(SYNC_PARAMETER,),
            )
        ]
