"""Makes the OpenAPI 3.1 document from the operations and their pydantic models."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter

from producer.api.openapi.operation import Answer, Operation, Parameter
from producer.api.problems import PROBLEMS, ProblemDocument
from worker.clusters.rules.builtin import BUILTIN_RULES
from worker.documents.document_types import StreamEvent

_ALWAYS = ("cross_origin", "internal_error", "timeout")
"""Codes with which every route may answer."""

_OF_REDIS = ("redis_unavailable",)
_OF_TOKENS = ("unauthorized", "insufficient_scope", "too_many_wrong_tokens")
_OF_PARAMETERS = ("invalid_request",)
_OF_BODIES = ("malformed_json", "invalid_request", "body_timeout", "body_too_large", "unsupported_media_type")
_NEEDS_NO_REDIS = frozenset({"/healthz", "/metrics", "/openapi.json", "/docs"})

_TAGS = {
    "syncs": "Start syncs, follow them, and control them",
    "schedules": "Start syncs at set times",
    "spaces": "History and personas of a space",
    "service": "The server itself",
}


def openapi_document(operations: Sequence[Operation], *, with_tokens: bool) -> dict[str, Any]:
    """Returns the document.

    Args:
        operations: All routes.
        with_tokens: Whether requests need a bearer token. Without, only this machine may connect, and `Host` must name
            it.
    """
    models = _Models()
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _operation(operation, models, with_tokens=with_tokens)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "segment-personas",
            "version": version("segment-personas"),
            "summary": "Turns a Segment space into Mavera personas",
            "description": "Errors are problem documents (RFC 9457) with a `code` and often a `hint`. A later version "
            "may add keys to documents and values to `code`; a client ignores what it does not know.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {"schemas": models.schemas()},
    }
    if with_tokens:
        document["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer", "description": "A token of API_TOKENS_FILE"}
        }
    return document


def problem_codes(operation: Operation, *, with_tokens: bool) -> list[str]:
    """Returns the codes with which a route may answer."""
    found = [*operation.problems, *_ALWAYS]
    if operation.path not in _NEEDS_NO_REDIS:
        found += _OF_REDIS
    if operation.scope and with_tokens:
        found += _OF_TOKENS
    if not with_tokens:
        found.append("wrong_host")
    if any(one.place != "path" for one in operation.parameters):
        found += _OF_PARAMETERS
    if any(one.place == "path" and one.name == "id" for one in operation.parameters):
        collection = operation.path.split("/")[2]
        found.append({"syncs": "sync_not_found", "schedules": "schedule_not_found"}.get(collection, "not_found"))
    if operation.body:
        found += _OF_BODIES
    return sorted(set(found), key=lambda code: (PROBLEMS[code][0], code))


class _Models:
    """The schemas of the models, by their names."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        self._references: dict[Any, dict[str, Any]] = {}

    def reference(self, model: Any) -> dict[str, Any]:
        """Returns a reference to the schema of a model; the schema itself if it has no name."""
        if model not in self._references:
            self._references[model] = self._add(model)
        return self._references[model]

    def _add(self, model: Any) -> dict[str, Any]:
        adapter: TypeAdapter[Any] = TypeAdapter(model)
        schema = adapter.json_schema(ref_template="#/components/schemas/{model}", mode="validation")
        for name, definition in schema.pop("$defs", {}).items():
            self._found[name] = definition
        if "title" not in schema or schema.get("type") != "object":
            return schema
        name = schema["title"]
        self._found[name] = schema
        return {"$ref": f"#/components/schemas/{name}"}

    def schemas(self) -> dict[str, Any]:
        """All of them, without the titles that repeat a name."""
        for order in filter(None, map(self._found.get, ("SyncOrder", "ScheduleOrder"))):
            names = {"type": "string", "enum": sorted(BUILTIN_RULES)}
            order["properties"]["rules"] = {
                "anyOf": [names, {"$ref": "#/components/schemas/Rules"}],
                "description": "Traits and clusters, or the name of rules that ship with the program. Default: "
                "those of CLUSTERS_FILE where the server runs",
            }
        for schema in self._found.values():
            for one in schema.get("properties", {}).values():
                one.pop("title", None)
        return dict(sorted(self._found.items()))


def _operation(operation: Operation, models: _Models, *, with_tokens: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        **({"description": operation.description} if operation.description else {}),
        "parameters": [_parameter(one) for one in operation.parameters],
        "responses": {str(status): _answer(answer, models) for status, answer in sorted(operation.answers.items())},
    }
    if operation.body:
        examples = {name: {"value": value} for name, value in operation.body_examples.items()}
        described["requestBody"] = {
            "required": operation.body_required,
            "content": {
                "application/json": {
                    "schema": models.reference(operation.body),
                    **({"examples": examples} if examples else {}),
                }
            },
        }
    by_status: dict[int, list[str]] = {}
    for code in problem_codes(operation, with_tokens=with_tokens):
        by_status.setdefault(PROBLEMS[code][0], []).append(code)
    for status, codes in by_status.items():
        described["responses"][str(status)] = _problem(status, codes, models)
    if with_tokens:
        described["security"] = [{"token": []}] if operation.scope else []
        if operation.scope:
            described["description"] = "\n\n".join(
                filter(None, (operation.description, f"Needs a token with the scope `{operation.scope}`."))
            )
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": {**parameter.schema, **({"examples": [*parameter.examples]} if parameter.examples else {})},
    }


def _answer(answer: Answer, models: _Models) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        described["headers"] = {
            name: {"description": text, "schema": {"type": "string"}, "required": True}
            for name, text in answer.headers.items()
        }
    if answer.model is not None:
        described["content"] = {answer.media_type: {"schema": models.reference(answer.model)}}
    if answer.links:
        described["links"] = {
            name: {"operationId": name, "parameters": {"id": "$response.body#/sync_id"}} for name in answer.links
        }
    if answer.media_type == "text/event-stream":
        described["content"] = {answer.media_type: {"schema": models.reference(StreamEvent)}}
    elif answer.model is None and answer.media_type != "application/json":
        described["content"] = {answer.media_type: {"schema": {"type": "string"}}}
    return described


def _problem(status: int, codes: Sequence[str], models: _Models) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": "; ".join(f"`{code}`: {PROBLEMS[code][1]}" for code in codes),
        "content": {"application/problem+json": {"schema": models.reference(ProblemDocument)}},
    }
    if status in {429, 503}:
        described["headers"] = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}
    if status == 401:
        described["headers"] = {"WWW-Authenticate": {"description": "The scheme", "schema": {"type": "string"}}}
    return described
