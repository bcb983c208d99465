"""The routes of schedules: add, list, show, pause, unpause and delete them."""

from __future__ import annotations

from aiohttp import web
from pydantic import ValidationError
from typing_extensions import TypedDict

from producer.api.bodies import (
    SCHEDULE_ID,
    EmptyOrder,
    RequestDefaults,
    ScheduleOrder,
    invalid_problem,
    path_id,
    read_body,
)
from producer.api.config import ApiLimits
from producer.api.openapi.operation import Answer, Operation, Parameter
from producer.api.problems import Problem
from producer.api.responses import json_response
from producer.client import SyncClient
from worker.documents import document_types as types
from worker.documents.schedule_document import schedule_document, schedule_entry
from worker.models.schedule import Schedule, ScheduleStatus

_PARAMETER = Parameter(
    "id",
    "path",
    "Id of the schedule",
    {"type": "string", "maxLength": 128},
    examples=("sch_0123456789abcdef",),
)
_UNREADABLE = ("schedule_not_found", "newer_version", "schedule_unreadable")


class ScheduleList(TypedDict):
    """Every schedule, newest first."""

    data: list[types.Schedule | types.UnreadableSchedule]


class ScheduleRoutes:
    """The routes. Arguments: as of `SyncRoutes`."""

    def __init__(self, client: SyncClient, defaults: RequestDefaults, limits: ApiLimits) -> None:
        self._client = client
        self._defaults = defaults
        self._limits = limits

    async def add(self, request: web.Request) -> web.Response:
        """POST /v1/schedules"""
        order = await read_body(request, ScheduleOrder, self._limits, required=True)
        wanted = order.request_with_defaults(self._defaults)
        try:
            schedule = Schedule(
                request=wanted,
                cron=order.cron,
                timezone=order.timezone,
                missed=order.missed,
                alert_after_s=order.alert_after_s,
                account=self._client.schedules.account_for(wanted),
            )
        except ValidationError as error:
            raise invalid_problem(Schedule, error) from None
        status, is_new = await self._client.schedules.put(schedule)
        return await self._shown(status, 201 if is_new else 200, {"Location": f"/v1/schedules/{status.id}"})

    async def list_schedules(self, request: web.Request) -> web.Response:
        """GET /v1/schedules"""
        found, now = await self._client.schedules.list(), await self._client.now()
        return json_response({"data": [schedule_entry(one, now) for one in found]})

    async def show(self, request: web.Request) -> web.Response:
        """GET /v1/schedules/{id}"""
        return await self._shown(await self._client.schedules.get(_schedule_id(request)))

    async def pause(self, request: web.Request) -> web.Response:
        """POST /v1/schedules/{id}/pause"""
        schedule_id = _schedule_id(request)
        await read_body(request, EmptyOrder, self._limits)
        return await self._shown(await self._client.schedules.pause(schedule_id))

    async def unpause(self, request: web.Request) -> web.Response:
        """POST /v1/schedules/{id}/unpause"""
        schedule_id = _schedule_id(request)
        await read_body(request, EmptyOrder, self._limits)
        return await self._shown(await self._client.schedules.unpause(schedule_id))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /v1/schedules/{id}"""
        await self._client.schedules.remove(_schedule_id(request))
        return web.Response(status=204)

    async def _shown(
        self, schedule: ScheduleStatus, status: int = 200, headers: dict[str, str] | None = None
    ) -> web.Response:
        return json_response(schedule_document(schedule, await self._client.now()), status, headers)

    def operations(self) -> list[Operation]:
        """Returns what the router and the OpenAPI document need."""
        return [
            Operation(
                "POST",
                "/v1/schedules",
                self.add,
                "addSchedule",
                "Add a schedule, or change its options",
                {
                    201: Answer("A new schedule", types.Schedule, headers={"Location": "The schedule"}),
                    200: Answer("The schedule with its new options", types.Schedule, headers={"Location": "It"}),
                },
                scope="write",
                description="A schedule of the same space, collection, rules, `cron` and `timezone` gets the new "
                "options, and keeps its ticks and its pause. Repeating the request changes nothing.",
                problems=("too_many_schedules", "configuration"),
                body=ScheduleOrder,
                body_required=True,
                body_examples={
                    "nightly": {
                        "space_id": "spa_123",
                        "cron": "0 3 * * *",
                        "timezone": "Europe/Vienna",
                        "max_credits": 1200,
                        "alert_after_s": 93600,
                    },
                },
            ),
            Operation(
                "GET",
                "/v1/schedules",
                self.list_schedules,
                "listSchedules",
                "List all schedules, newest first",
                {200: Answer("The schedules", ScheduleList)},
                scope="read",
            ),
            Operation(
                "GET",
                "/v1/schedules/{id}",
                self.show,
                "getSchedule",
                "Show a schedule",
                {200: Answer("The schedule", types.Schedule)},
                scope="read",
                problems=_UNREADABLE,
                parameters=(_PARAMETER,),
            ),
            Operation(
                "DELETE",
                "/v1/schedules/{id}",
                self.delete,
                "deleteSchedule",
                "Delete a schedule",
                {204: Answer("The schedule was deleted")},
                scope="write",
                description="A sync that it has started continues.",
                parameters=(_PARAMETER,),
            ),
            *(
                Operation(
                    "POST",
                    f"/v1/schedules/{{id}}/{name}",
                    handler,
                    f"{name}Schedule",
                    summary,
                    {200: Answer("The schedule", types.Schedule)},
                    scope="write",
                    description="Repeating the request changes nothing.",
                    problems=_UNREADABLE,
                    parameters=(_PARAMETER,),
                    body=EmptyOrder,
                )
                for name, handler, summary in (
                    ("pause", self.pause, "Pause a schedule: its ticks start no sync"),
                    ("unpause", self.unpause, "End the pause of a schedule; its missed ticks are not made up"),
                )
            ),
        ]


def _schedule_id(request: web.Request) -> str:
    return path_id(request, SCHEDULE_ID, Problem("schedule_not_found", "No schedule has this id."))
