"""The description of a route, for the router, the access checks and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel

from producer.api.access.tokens import Scope

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Parameter:
    """A parameter of a route.

    Attributes:
        name: Its name.
        place: Where it is.
        description: What it means.
        schema: Its JSON schema.
        examples: Values.
    """

    name: str
    place: Literal["path", "query", "header"]
    description: str
    schema: Mapping[str, Any]
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Answer:
    """A response other than a problem.

    Attributes:
        description: When it comes.
        model: The type of its JSON; None: it has no body, or one of `media_type`.
        media_type: Of its body.
        headers: Headers by their description.
        links: Names of operations whose path takes the `sync_id` of the body.
    """

    description: str
    model: Any = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """A route.

    Attributes:
        method: `GET` or another.
        path: Path with its parameters in braces.
        handler: Answers it.
        name: `operationId`.
        summary: One line.
        description: More of it, in Markdown.
        scope: Which scope a token needs; None: no token is needed.
        answers: Status → response.
        problems: Codes that only this route answers with.
        parameters: Of path, query and header.
        body: Model of the body; None: it has none.
        body_required: Whether a request must have a body.
        body_examples: Name → example.
        streams: Whether the response lasts, so that no time-out applies.
    """

    method: str
    path: str
    handler: Handler
    name: str
    summary: str
    answers: Mapping[int, Answer]
    scope: Scope | None = None
    description: str = ""
    problems: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: type[BaseModel] | None = None
    body_required: bool = False
    body_examples: Mapping[str, Any] = field(default_factory=dict)
    streams: bool = False

    @property
    def tag(self) -> str:
        """Its group in the docs: the resource that the path names."""
        return self.path.split("/")[2] if self.path.startswith("/v1/") else "service"
