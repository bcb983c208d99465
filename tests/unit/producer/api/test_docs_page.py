"""The page that shows the OpenAPI document."""

from __future__ import annotations

from typing import Any

from producer.api.openapi.docs_page import docs_page

MARKUP = "<script>alert(1)</script>"


def test_the_page_escapes_what_the_document_says() -> None:
    parameter = {"name": MARKUP, "in": "query", "required": True, "schema": {"enum": [MARKUP]}, "description": MARKUP}
    operation: dict[str, Any] = {
        "operationId": MARKUP,
        "tags": ["a"],
        "summary": MARKUP,
        "description": f"{MARKUP}\n\n`{MARKUP}`",
        "parameters": [parameter],
        "requestBody": {
            "required": False,
            "content": {"application/json": {"schema": {"type": MARKUP}, "examples": {"one": {"value": MARKUP}}}},
        },
        "responses": {"200": {"description": MARKUP, "content": {MARKUP: {"schema": {"type": MARKUP}}}}},
    }
    document = {
        "info": {"title": MARKUP, "summary": MARKUP, "version": MARKUP, "description": f"`{MARKUP}`"},
        "tags": [{"name": "a", "description": MARKUP}],
        "paths": {f"/{MARKUP}": {"get": operation}},
        "components": {"schemas": {MARKUP: {"description": MARKUP, "properties": {MARKUP: {"type": MARKUP}}}}},
    }
    page = docs_page(document)
    assert "&lt;script&gt;" in page
    assert "<script" not in page
