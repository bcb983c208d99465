"""The sandbox's own routes under `/_sandbox`, for tests in which it is another process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from producer.sandbox.fault_answers import json_response
from producer.sandbox.faults import Fault
from producer.sandbox.segment.pages import to_json
from producer.sandbox.state import SandboxState

PREFIX = "/_sandbox"


class Admin:
    """`GET /state` (`?entries=true` adds the log), `POST` and `DELETE /faults`, `POST /options`,
    `DELETE /personas/{id}`. A bad body is answered with 400 and a sentence."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    async def handle(self, request: web.BaseRequest, path: str, query: Mapping[str, str]) -> web.Response:
        """One request."""
        name = path.removeprefix(PREFIX)
        raw = await request.read()
        try:
            return self._answer(request.method, name, raw, query)
        except (ValueError, TypeError) as error:
            return json_response(to_json({"error": str(error)}), 400)

    def _answer(self, method: str, name: str, raw: bytes, query: Mapping[str, str]) -> web.Response:
        state = self._state
        match method, name:
            case "GET", "/state":
                return json_response(to_json(snapshot(state, query.get("entries") == "true")))
            case "POST", "/faults":
                listed = json.loads(raw)
                faults = [Fault.from_json(item) for item in (listed if isinstance(listed, list) else [listed])]
                for fault in faults:
                    state.faults.add(fault)
            case "DELETE", "/faults":
                state.clear_faults()
            case "POST", "/options":
                changes = json.loads(raw)
                if not isinstance(changes, dict):
                    raise TypeError("options are a JSON object")
                state.change(changes)
            case "DELETE", _ if name.startswith("/personas/"):
                if not state.personas.delete(name.removeprefix("/personas/")):
                    return json_response(to_json({"error": "no such persona"}), 404)
            case _:
                return json_response(to_json({"error": f"no route {method} {PREFIX}{name}"}), 404)
        return json_response(b"{}")


def snapshot(state: SandboxState, entries: bool) -> dict[str, Any]:
    """The state as JSON: `personas`, `posts`, `patches`, `counts` (route to status to number), `arrived`,
    `credits`."""
    journal = state.journal
    counts: dict[str, dict[str, int]] = {}
    for (route, status), number in journal.answered.items():
        counts.setdefault(route, {})[str(status)] = number
    shown: dict[str, Any] = {
        "personas": [
            {
                "id": persona.id,
                "body": persona.body,
                "fields": persona.fields,
                "created_at": persona.created_at,
                "updates": persona.updates,
            }
            for persona in state.personas.all
            if persona.is_custom
        ],
        "posts": state.personas.posts,
        "patches": [{"id": persona_id, "body": body} for persona_id, body in state.personas.patches],
        "counts": counts,
        "arrived": dict(journal.arrived),
        "elsewhere": list(journal.elsewhere),
        "credits": state.credits,
    }
    if entries:
        shown["entries"] = [entry._asdict() for entry in journal.entries]
    return shown
