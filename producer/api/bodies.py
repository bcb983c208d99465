"""The bodies, queries and headers of requests: read within bounds, checked by pydantic, refused as problems."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from producer.api.config import ApiLimits
from producer.api.problems import Problem
from worker.clusters import Rules
from worker.documents.document_types import Status
from worker.input_values import MOST_EXACT, Expected, describe_problem, describe_rules_problem
from worker.models.request import IDEMPOTENCY_KEY, SPACE_ID, SyncRequest
from worker.models.schedule import Missed
from worker.settings import Dialect
from worker.store import SyncPlace

Model = TypeVar("Model", bound=BaseModel)


def _whole(value: object) -> object:
    """1.0 is an integer in JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, Field(ge=0, le=MOST_EXACT), BeforeValidator(_whole)]
"""An integer that every JSON reader represents exactly."""
CountFromOne = Annotated[int, Field(ge=1, le=MOST_EXACT), BeforeValidator(_whole)]

KEY_PATTERN = f"^{IDEMPOTENCY_KEY.pattern}$"
SYNC_ID = re.compile(r"[!-~]{1,128}")
CURSOR_PATTERN = f"^[0-9]{{1,16}}[.]{SYNC_ID.pattern}$"
SCHEDULE_ID = re.compile(r"sch_[0-9a-f]{16}")
SPACE_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
RULES_NAME_PATTERN = "^[a-z0-9][a-z0-9_-]{0,63}$"
MAX_LIMIT = 100


@dataclass(frozen=True)
class RequestDefaults:
    """The defaults that a server adds to a request, and whether it accepts files.

    Attributes:
        rules: The rules of a request that names none. Raises ConfigurationError.
        dialect: The dialect of a request that names none.
        reads_files: Whether a request may name a file. A worker that reads any file, as on a state directory, must not
            read one for a client of the API.
    """

    rules: Callable[[], Rules]
    dialect: Dialect
    reads_files: bool = True


class RequestOrder(SyncRequest):
    """The options of a sync. Everything but `space_id` has a default."""

    max_profiles: CountFromOne | None = Field(default=None, description="Stop reading after this many profiles")
    min_cluster_size: CountFromOne = Field(default=3, description="Fewest profiles of a cluster that gets a persona")
    max_credits: Count | None = Field(default=None, description="Spend no more credits than these")

    def request(self) -> SyncRequest:
        """Returns what is asked for, without how."""
        return SyncRequest.model_construct(**{name: getattr(self, name) for name in SyncRequest.model_fields})

    def request_with_defaults(self, defaults: RequestDefaults) -> SyncRequest:
        """Returns what is asked for, with the server's rules and dialect if it names none. Raises Problem."""
        if self.file is not None and not defaults.reads_files:
            raise _invalid("/file", "this server reads no files; use the command line, or a server with REDIS_URL")
        request = self.request()
        changes: dict[str, object] = {}
        if "rules" not in self.model_fields_set:
            changes["rules"] = defaults.rules()
        if request.dialect == "auto" and request.reads_segment and "dialect" not in self.model_fields_set:
            changes["dialect"] = defaults.dialect
        try:
            return SyncRequest.model_validate({**dict(request), **changes})
        except ValidationError as error:
            raise invalid_problem(SyncRequest, error) from None


class SyncOrder(RequestOrder):
    """The options of a sync. Everything but `space_id` has a default."""

    force: bool = Field(default=False, description="Start the sync even if another one of the space runs")


class ScheduleOrder(RequestOrder):
    """The options and times of a schedule. Everything but `space_id` and `cron` has a default."""

    cron: str = Field(
        max_length=200,
        description="Five fields: minute, hour, day of month, month, day of week",
        examples=["0 3 * * *"],
    )
    timezone: str = Field(
        default="UTC", max_length=100, description="Time zone of the times", examples=["Europe/Vienna"]
    )
    missed: Missed = Field(
        default="run-once", description="For ticks that passed while no worker ran: one sync for all of them, or none"
    )
    alert_after_s: float | None = Field(
        default=None,
        ge=3600,
        le=366 * 86_400,
        description="Seconds without a complete sync of the space after which the webhook `sync.overdue` is sent",
    )


class ApplyOrder(BaseModel):
    """The options of `apply`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accept: bool = Field(default=False, description="Continue even if a guard would stop the sync")
    max_credits: Count | None = Field(default=None, description="Budget. Default: the cost of the plan")
    allow_partial: bool = Field(default=False, description="Create personas although only a part of the space was read")


class ResumeOrder(BaseModel):
    """The options of `resume`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    restart: bool = Field(default=False, description="Read the space from the start, with new statistics")
    accept: bool = Field(default=False, description="Continue even if a guard would stop the sync")
    max_credits: Count | None = Field(default=None, description="New budget. Default: the budget of the sync")


class EmptyOrder(BaseModel):
    """The body of a request that has no options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ListQuery(BaseModel):
    """The query of a list of syncs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    space_id: Annotated[str | None, SPACE_ID] = Field(default=None, pattern=f"^{SPACE_ID_PATTERN.pattern}$")
    state: frozenset[Status | Literal["unreadable"]] = frozenset()
    limit: int = Field(default=20, ge=1, le=MAX_LIMIT)
    cursor: Annotated[str | None, Expected("`next_cursor` of the previous page")] = Field(
        default=None, pattern=CURSOR_PATTERN
    )


class SpaceQuery(BaseModel):
    """Which syncs of a space are meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    collection: Literal["users", "accounts"] = "users"
    rules: Annotated[str, Expected("a name of small letters, digits, _ and -", example="recipe")] = Field(
        default="recipe", pattern=RULES_NAME_PATTERN
    )


async def read_body(request: web.Request, model: type[Model], limits: ApiLimits, *, required: bool = False) -> Model:
    """Returns the body of a request as `model`; without a body its defaults, unless `required`. Raises Problem."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem("unsupported_media_type", "The body is compressed.", hint="Send it without Content-Encoding.")
    try:
        async with asyncio.timeout(limits.body_s):
            content = await request.read()
    except TimeoutError:
        raise Problem("body_timeout", f"The body did not arrive within {limits.body_s:g} s.") from None
    if not content and not required:
        return model()
    if request.content_type != "application/json":
        raise Problem(
            "unsupported_media_type", "The body is not JSON.", hint="Send the header Content-Type: application/json."
        )
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Problem("malformed_json", f"The body is not JSON: {error.msg} in line {error.lineno}.") from None
    if not isinstance(found, dict):
        raise _invalid("body", "must be an object")
    try:
        return model.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise invalid_problem(model, error) from None
    except RecursionError:
        raise _invalid("body", "is nested too deep") from None


def read_query(request: web.Request, model: type[Model]) -> Model:
    """Returns the query of a request as `model`. Raises Problem."""
    found: dict[str, object] = {}
    for name in request.query:
        values = request.query.getall(name)
        if name == "state":
            found[name] = values
        elif len(values) > 1:
            raise _invalid(name, "is given more than once")
        elif name == "limit":
            if not re.fullmatch(r"-?[0-9]{1,18}", values[0]):
                raise _invalid(name, "must be an integer")
            found[name] = int(values[0])
        else:
            found[name] = values[0]
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise invalid_problem(model, error, pointer=False) from None


def path_id(request: web.Request, pattern: re.Pattern[str], unknown: Problem) -> str:
    """Returns the id in the path of a request. Raises `unknown` if nothing can have such an id."""
    found = request.match_info["id"]
    if not pattern.fullmatch(found):
        raise unknown
    return found


def idempotency_key(request: web.Request) -> str | None:
    """Returns the key of a request; None if it has none. Raises Problem."""
    found = request.headers.getall("Idempotency-Key", [])
    if not found:
        return None
    if len(found) > 1 or not IDEMPOTENCY_KEY.fullmatch(found[0]):
        raise _invalid("Idempotency-Key", "must be given once, with 1 to 255 printable ASCII characters")
    return found[0]


def encode_cursor(place: SyncPlace | None) -> str | None:
    """Returns a place in the list of syncs as a text; None if there is none."""
    return f"{place.created_ms}.{place.sync_id}" if place else None


def decode_cursor(cursor: str | None) -> SyncPlace | None:
    """Returns the place that `encode_cursor` wrote."""
    if cursor is None:
        return None
    created_ms, _, sync_id = cursor.partition(".")
    return SyncPlace(int(created_ms), sync_id)


def invalid_problem(model: type[BaseModel], error: ValidationError, *, pointer: bool = True) -> Problem:
    """Returns the problem of data that `model` refuses, in our words except inside `rules`. It names no value."""
    places = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False)[:20]:
        parts = [str(part).replace("~", "~0").replace("/", "~1") for part in problem["loc"]]
        where = "".join(f"/{part}" for part in parts) if pointer else ".".join(parts)
        if problem["type"] == "missing":
            message = "is required"
        elif "rules" in parts[:1] and pointer:
            message = describe_rules_problem(model, problem)
        else:
            message = describe_problem(model, problem)
        places.append({"where": where or "body", "message": message})
    return _problem(places)


def _invalid(where: str, message: str) -> Problem:
    return _problem([{"where": where, "message": message}])


def _problem(places: list[dict[str, str]]) -> Problem:
    first: Mapping[str, str] = places[0]
    return Problem("invalid_request", f"{first['where']}: {first['message']}.", errors=places)
