"""Renders the OpenAPI document as one page of HTML: no script, and nothing from another host. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

DOCS_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
STYLE_SHEET = "/static/docs.css"

_CODE = re.compile(r"`([^`]+)`")


def docs_page(document: Mapping[str, Any]) -> str:
    """Returns the page."""
    info = document["info"]
    groups = {tag["name"]: tag["description"] for tag in document["tags"]}
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}: HTTP API</title>",
        f'<link rel="stylesheet" href="{STYLE_SHEET}"></head><body>',
        f"<header><h1>{escape(info['title'])}: HTTP API</h1>",
        f"<p>{escape(info['summary'])}. Version {escape(info['version'])}. {_text(info['description'])}</p>",
        '<p><a href="/openapi.json">OpenAPI document</a></p></header><main>',
    ]
    for name, description in groups.items():
        parts.append(f'<section><h2 id="{escape(name)}">{escape(name.capitalize())}</h2><p>{escape(description)}.</p>')
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if name in operation["tags"]:
                    parts += _operation(method, path, operation)
        parts.append("</section>")
    parts.append('<section><h2 id="schemas">Documents</h2>')
    for name, schema in document["components"]["schemas"].items():
        parts += _schema(name, schema)
    parts.append("</section></main></body></html>")
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f'<article id="{escape(operation["operationId"])}">'
    yield f"<h3><code>{method.upper()} {escape(path)}</code> {escape(operation['summary'])}</h3>"
    for paragraph in operation.get("description", "").split("\n\n"):
        if paragraph:
            yield f"<p>{_text(paragraph)}</p>"
    if operation["parameters"]:
        rows = [
            (
                f"<code>{escape(one['name'])}</code>",
                escape(one["in"]) + (", required" if one["required"] else ""),
                _type(one["schema"]),
                _text(one["description"]),
            )
            for one in operation["parameters"]
        ]
        yield from _table("Parameters", ("name", "in", "type", "meaning"), rows)
    if body := operation.get("requestBody"):
        content = body["content"]["application/json"]
        yield f"<p>Body: {_type(content['schema'])}{'' if body['required'] else ', optional'}</p>"
        for example in content.get("examples", {}).values():
            yield f"<pre>{escape(json.dumps(example['value'], indent=2))}</pre>"
    answers = [
        (
            f"<code>{status}</code>",
            ", ".join(_media(media) for media in answer.get("content", {}).items()),
            _text(answer["description"]),
        )
        for status, answer in sorted(operation["responses"].items())
    ]
    yield from _table("Responses", ("status", "body", "meaning"), answers)
    yield "</article>"


def _media(content: tuple[str, Mapping[str, Any]]) -> str:
    name, described = content
    return _type(described["schema"]) if name.endswith("json") else f"<code>{escape(name)}</code>"


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f'<article id="schema-{escape(name)}"><h3>{escape(name)}</h3>'
    if text := schema.get("description"):
        yield f"<p>{_text(text)}</p>"
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(field)}</code>" + ("" if field in required else " (optional)"),
            _type(one),
            _text(one.get("description", "")),
        )
        for field, one in schema.get("properties", {}).items()
    ]
    if rows:
        yield from _table(f"Keys of {name}", ("key", "type", "meaning"), rows)
    yield "</article>"


def _table(caption: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield f'<div class="scroll"><table><caption>{escape(caption)}</caption>'
    yield "<thead><tr>" + "".join(f'<th scope="col">{name}</th>' for name in head) + "</tr></thead><tbody>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</tbody></table></div>"


def _type(schema: Mapping[str, Any]) -> str:
    """Returns a schema in a few words, as HTML."""
    if reference := schema.get("$ref"):
        name = reference.rsplit("/", 1)[1]
        return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
    if choices := schema.get("anyOf"):
        return " or ".join(map(_type, choices))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {}))}"
    if isinstance(inner := schema.get("additionalProperties"), Mapping):
        return f"object of {_type(inner)}"
    return escape(str(schema.get("type", "any value")))


def _text(text: str) -> str:
    """Returns a text with `code` as HTML."""
    return _CODE.sub(r"<code>\1</code>", escape(text))
