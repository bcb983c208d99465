"""The routes of syncs: start, list, show, apply, cancel and resume them."""

from __future__ import annotations

from aiohttp import web
from typing_extensions import TypedDict

from producer.api.bodies import (
    CURSOR_PATTERN,
    KEY_PATTERN,
    MAX_LIMIT,
    SPACE_ID_PATTERN,
    SYNC_ID,
    ApplyOrder,
    EmptyOrder,
    ListQuery,
    RequestDefaults,
    ResumeOrder,
    SyncOrder,
    decode_cursor,
    encode_cursor,
    idempotency_key,
    path_id,
    read_body,
    read_query,
)
from producer.api.config import ApiLimits
from producer.api.openapi.operation import Answer, Operation, Parameter
from producer.api.problems import Problem
from producer.api.responses import json_response, json_text_response, sync_text
from producer.client import SyncClient
from producer.errors import SyncConflict
from worker.documents import document_types as types
from worker.documents.sync_document import sync_list_entry
from worker.models.sync import Sync, SyncState, new_sync_id

STATUSES = ("queued", "fetching", "finalizing", "completed", "planned", "failed", "cancelled", "unreadable")
SYNC_PARAMETER = Parameter(
    "id",
    "path",
    "Id of the sync",
    {"type": "string", "maxLength": 128},
    examples=("syn_9f2b6c1d0e4a7f83",),
)


_LINKS = ("getSync", "streamSync", "applySync", "cancelSync", "resumeSync")
"""What can be done with a sync whose id is in a response."""


class SyncList(TypedDict):
    """A page of the list of syncs."""

    data: list[types.SyncSummary | types.UnreadableSync]
    next_cursor: str | None


class SyncRoutes:
    """The routes.

    Args:
        client: Starts and reads syncs.
        defaults: What is added to a request.
        limits: Bounds of requests.
    """

    def __init__(self, client: SyncClient, defaults: RequestDefaults, limits: ApiLimits) -> None:
        self._client = client
        self._defaults = defaults
        self._limits = limits

    async def enqueue(self, request: web.Request) -> web.Response:
        """POST /v1/syncs"""
        key = idempotency_key(request)
        order = await read_body(request, SyncOrder, self._limits, required=True)
        sync_id = new_sync_id()
        sync = await self._client.enqueue(
            order.request_with_defaults(self._defaults),
            force=order.force,
            idempotency_key=key,
            sync_id=sync_id,
        )
        headers = {"Location": f"/v1/syncs/{sync.id}"}
        if sync.id != sync_id:
            return await self._shown(sync, 200, headers)
        # The sync was created just now: its own time saves a look at the clock of Redis.
        now = sync.created_at if sync.started_at is None else await self._client.now()
        return json_text_response(sync_text(sync, now), 202, headers)

    async def list_syncs(self, request: web.Request) -> web.Response:
        """GET /v1/syncs"""
        query = read_query(request, ListQuery)
        page = await self._client.page(
            query.limit, after=decode_cursor(query.cursor), space_id=query.space_id, statuses=query.state
        )
        now = await self._client.now()
        data = [sync_list_entry(one, now) for one in page.syncs]
        return json_response({"data": data, "next_cursor": encode_cursor(page.end)})

    async def show(self, request: web.Request) -> web.Response:
        """GET /v1/syncs/{id}"""
        return await self._shown(await self._client.get(sync_id_of(request)))

    async def apply(self, request: web.Request) -> web.Response:
        """POST /v1/syncs/{id}/apply"""
        sync_id = sync_id_of(request)
        order = await read_body(request, ApplyOrder, self._limits)
        try:
            sync = await self._client.apply(
                sync_id, accept=order.accept, max_credits=order.max_credits, allow_partial=order.allow_partial
            )
        except SyncConflict as conflict:
            if conflict.code != "already_applied":
                raise
            sync = await self._client.get(sync_id)
            if sync.state is not SyncState.COMPLETED:
                raise
        return await self._shown(sync, 200 if sync.state.is_final else 202)

    async def cancel(self, request: web.Request) -> web.Response:
        """POST /v1/syncs/{id}/cancel"""
        sync_id = sync_id_of(request)
        await read_body(request, EmptyOrder, self._limits)
        return await self._shown(await self._client.cancel(sync_id))

    async def resume(self, request: web.Request) -> web.Response:
        """POST /v1/syncs/{id}/resume"""
        sync_id = sync_id_of(request)
        order = await read_body(request, ResumeOrder, self._limits)
        sync = await self._client.resume(
            sync_id, restart=order.restart, accept=order.accept, max_credits=order.max_credits
        )
        return await self._shown(sync, 200 if sync.state.is_final else 202)

    async def _shown(self, sync: Sync, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
        now = None if sync.state.is_final else await self._client.now()
        return json_text_response(sync_text(sync, now), status, headers)

    def operations(self) -> list[Operation]:
        """Returns what the router and the OpenAPI document need."""
        answers = {
            202: Answer("The sync continues", types.Sync),
            200: Answer("The sync has ended; nothing changes", types.Sync),
        }
        return [
            Operation(
                "POST",
                "/v1/syncs",
                self.enqueue,
                "enqueueSync",
                "Start a sync, or a preview",
                {
                    202: Answer("A new sync", types.Sync, headers={"Location": "The sync"}, links=_LINKS),
                    200: Answer(
                        "The existing sync: it runs with the same options, or the same "
                        "`Idempotency-Key` has started it",
                        types.Sync,
                        headers={"Location": "The sync"},
                        links=_LINKS,
                    ),
                },
                scope="write",
                description="While a sync of the same space, collection and rules runs, the same request returns that "
                "sync, and a request with other options is refused with `409` unless it has `force`. With `plan_only` "
                "the sync is a preview: it plans the personas and changes none; `apply` carries out the plan.\n\n"
                "With an `Idempotency-Key`, a request can be repeated after a lost answer: the key never starts a "
                "second sync.",
                problems=("sync_running", "idempotency_key_used", "configuration"),
                parameters=(
                    Parameter(
                        "Idempotency-Key",
                        "header",
                        "Identifies this request, for as long as its sync is kept",
                        {"type": "string", "pattern": KEY_PATTERN, "minLength": 1, "maxLength": 255},
                        examples=("nightly-2026-11-24",),
                    ),
                ),
                body=SyncOrder,
                body_required=True,
                body_examples={
                    "sync": {"space_id": "spa_123", "max_credits": 1200},
                    "preview": {"space_id": "spa_123", "plan_only": True, "max_profiles": 1000},
                },
            ),
            Operation(
                "GET",
                "/v1/syncs",
                self.list_syncs,
                "listSyncs",
                "List syncs, newest first",
                {200: Answer("A page of the list", SyncList)},
                scope="read",
                description="Ended syncs are kept for `RETENTION_DAYS`. With filters, a page may hold fewer than "
                "`limit` syncs, or none, even if older ones follow: the last page is the one whose `next_cursor` is "
                "null.",
                parameters=(
                    Parameter(
                        "space_id",
                        "query",
                        "List only the syncs of this space",
                        {"type": "string", "pattern": f"^{SPACE_ID_PATTERN.pattern}$"},
                    ),
                    Parameter(
                        "state",
                        "query",
                        "List only syncs with this status; may be repeated",
                        {"type": "array", "items": {"type": "string", "enum": [*STATUSES]}},
                        examples=(["queued", "fetching"],),
                    ),
                    Parameter(
                        "limit",
                        "query",
                        "Most syncs in a page",
                        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 20},
                    ),
                    Parameter(
                        "cursor",
                        "query",
                        "`next_cursor` of the previous page",
                        {"type": "string", "pattern": CURSOR_PATTERN},
                    ),
                ),
            ),
            Operation(
                "GET",
                "/v1/syncs/{id}",
                self.show,
                "getSync",
                "Show a sync",
                {200: Answer("The sync", types.Sync)},
                scope="read",
                problems=("sync_not_found", "newer_version", "sync_unreadable"),
                parameters=(SYNC_PARAMETER,),
            ),
            Operation(
                "POST",
                "/v1/syncs/{id}/apply",
                self.apply,
                "applySync",
                "Create and update the personas that a preview planned",
                answers,
                description="The space is not read again. Repeating the request changes nothing, while the plan is "
                "being applied and afterwards.",
                problems=(
                    *("sync_not_found", "newer_version", "sync_unreadable", "not_a_preview", "no_plan"),
                    *("needs_allow_partial", "already_applied", "sync_running"),
                ),
                body=ApplyOrder,
                body_examples={"budget": {"max_credits": 900}},
                scope="write",
                parameters=(SYNC_PARAMETER,),
            ),
            Operation(
                "POST",
                "/v1/syncs/{id}/cancel",
                self.cancel,
                "cancelSync",
                "Stop a sync",
                {200: Answer("The cancelled sync", types.Sync)},
                description="Personas already created are kept. Repeating the request changes nothing.",
                problems=("sync_not_found", "newer_version", "sync_unreadable", "already_ended"),
                body=EmptyOrder,
                scope="write",
                parameters=(SYNC_PARAMETER,),
            ),
            Operation(
                "POST",
                "/v1/syncs/{id}/resume",
                self.resume,
                "resumeSync",
                "Continue a failed sync where it stopped",
                answers,
                description="A sync that runs is not changed.",
                problems=(
                    *("sync_not_found", "newer_version", "sync_unreadable", "not_failed", "needs_restart"),
                    "sync_running",
                ),
                body=ResumeOrder,
                body_examples={"accept": {"accept": True}},
                scope="write",
                parameters=(SYNC_PARAMETER,),
            ),
        ]


def sync_id_of(request: web.Request) -> str:
    """Returns the id of the sync in the path. Raises Problem."""
    return path_id(request, SYNC_ID, Problem("sync_not_found", "No sync has this id."))
