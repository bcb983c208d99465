"""Responses with JSON documents, written as `--json` writes them."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from worker.documents.sync_document import sync_document
from worker.models.sync import Sync
from worker.printable import json_text


def json_response(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Returns a response with a JSON document."""
    return json_text_response(json_text(document), status, headers)


def json_text_response(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Returns a response with a JSON document that is text already. JSON is UTF-8, so no charset is named (RFC 8259,
    11).
    """
    return web.Response(body=text.encode(), status=status, headers=headers, content_type="application/json")


def sync_text(sync: Sync, now: float | None) -> str:
    """Returns the JSON document of a sync.

    Args:
        sync: The sync, as it was read.
        now: Unix seconds by the clock of Redis.
    """
    return json_text(sync_document(sync, now, hint=next_request(sync)))


def next_request(sync: Sync) -> str:
    """Returns how to continue after a failure; empty if the sync has not failed."""
    if sync.error is None:
        return ""
    resume = f"POST /v1/syncs/{sync.id}/resume"
    if sync.error.needs_other_options:
        source = sync.request.source_name
        return f'Other options need a new sync. If the {source} has changed: {resume} with {{"restart": true}}.'
    if not sync.error.resumable:
        return f'To read the space from the start: {resume} with {{"restart": true}}.'
    if sync.error.code.startswith("guard_"):
        return f'If this is expected: {resume} with {{"accept": true}}.'
    if sync.error.code == "over_budget":
        needed, own = sync.error.needed_credits, sync.request.max_credits
        budget = f' with {{"max_credits": {needed}}}' if own is not None and needed is not None and own < needed else ""
        return f"Then: {resume}{budget}."
    return f"To continue where it stopped, after fixing this: {resume}."
