"""The routes of spaces: their history, and their personas."""

from __future__ import annotations

from aiohttp import web
from typing_extensions import TypedDict

from producer.api.bodies import RULES_NAME_PATTERN, SPACE_ID_PATTERN, SpaceQuery, path_id, read_query
from producer.api.openapi.operation import Answer, Operation, Parameter
from producer.api.problems import Problem
from producer.api.responses import json_response
from producer.client import SyncClient
from producer.persona_catalog import orphaned_references
from producer.rules_file import cluster_labels
from worker.documents import document_types as types
from worker.documents.persona_document import persona_entry
from worker.documents.sync_document import history_entry
from worker.models.request import identity
from worker.settings import Settings

_SPACE = Parameter(
    "id",
    "path",
    "Id of the space",
    {"type": "string", "pattern": f"^{SPACE_ID_PATTERN.pattern}$"},
    examples=("spa_123",),
)


class HistoryList(TypedDict):
    """The last complete syncs of a space, newest first."""

    data: list[types.HistoryEntry]


class PersonaList(TypedDict):
    """The personas of a space, by collection, rules and cluster."""

    data: list[types.PersonaEntry]


class SpaceRoutes:
    """The routes.

    Args:
        client: Starts and reads syncs.
        settings: Name the clusters file, whose labels and clusters are shown.
    """

    def __init__(self, client: SyncClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    async def history(self, request: web.Request) -> web.Response:
        """GET /v1/spaces/{id}/history"""
        space_id, query = _space_id(request), read_query(request, SpaceQuery)
        found = await self._client.history(identity(space_id, query.collection, query.rules))
        return json_response({"data": [history_entry(snapshot) for snapshot in found]})

    async def personas(self, request: web.Request) -> web.Response:
        """GET /v1/spaces/{id}/personas"""
        records = await self._client.persona_records(_space_id(request))
        orphans, labels = orphaned_references(self._settings, records), cluster_labels(self._settings)
        data = [
            # Mavera is not called: each view of the page would use its rate limit.
            {**persona_entry(name, record, labels), "twins": None, "orphan": name in orphans}
            for name, record in records.items()
        ]
        return json_response({"data": data})

    def operations(self) -> list[Operation]:
        """Returns what the router and the OpenAPI document need."""
        return [
            Operation(
                "GET",
                "/v1/spaces/{id}/history",
                self.history,
                "getHistory",
                "Show the last complete syncs of a space",
                {200: Answer("The syncs, newest first", HistoryList)},
                scope="read",
                parameters=(
                    _SPACE,
                    Parameter(
                        "collection",
                        "query",
                        "Collection of profiles",
                        {"type": "string", "enum": ["users", "accounts"], "default": "users"},
                    ),
                    Parameter(
                        "rules",
                        "query",
                        "Name of the rules",
                        {"type": "string", "pattern": RULES_NAME_PATTERN, "default": "recipe"},
                    ),
                ),
            ),
            Operation(
                "GET",
                "/v1/spaces/{id}/personas",
                self.personas,
                "getPersonas",
                "Show which persona belongs to which cluster",
                {200: Answer("The personas", PersonaList)},
                scope="read",
                description="What Redis records for the Mavera account of the server. Mavera itself is not asked, so "
                "`twins` is null; the command `personas list` looks for them.",
                parameters=(_SPACE,),
            ),
        ]


def _space_id(request: web.Request) -> str:
    return path_id(request, SPACE_ID_PATTERN, Problem("not_found", "No space has this id."))
