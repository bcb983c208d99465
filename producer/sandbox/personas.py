"""The personas of the sandbox, and every body that was posted or patched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

CREATION_CREDITS = 300
_TOP_LEVEL = ("name", "category", "description", "pipeline_type", "type")


@dataclass(slots=True)
class Persona:
    """One persona.

    Attributes:
        id: `per_…`.
        body: as posted.
        created_at: Unix time, seconds.
        listed_from: Unix time from which the list shows it.
        is_custom: False for Mavera's own, which cannot be changed.
        updates: the bodies of its patches, in order.
        fields: what the persona is now; fields that a fault dropped are not in it.
    """

    id: str
    body: dict[str, Any]
    created_at: float
    listed_from: float
    is_custom: bool = True
    updates: list[dict[str, Any]] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)

    def full(self) -> dict[str, Any]:
        """Returns the body of the answer to a creation or an update; `details` has what the API has no field for.

        `credits_charged` always repeats what the creation cost.
        """
        return {
            "id": self.id,
            "object": "custom_persona",
            **{name: self.fields.get(name) for name in _TOP_LEVEL},
            "is_custom": self.is_custom,
            "created_at": _iso(self.created_at),
            "credits_charged": CREATION_CREDITS,
            "details": {name: value for name, value in self.fields.items() if name not in _TOP_LEVEL},
        }

    def listed(self, shown: int | None = None) -> dict[str, Any]:
        """Its row in the list, with the first `shown` characters of its description."""
        row = {
            "id": self.id,
            "object": "custom_persona" if self.is_custom else "persona",
            "name": self.fields.get("name"),
            "category": self.fields.get("category"),
            "description": self.fields.get("description"),
            "is_custom": self.is_custom,
            "created_at": _iso(self.created_at),
        }
        if shown == 0:
            del row["description"]
        elif shown is not None:
            row["description"] = str(row["description"] or "")[:shown]
        return row

    def mentions(self, text: str) -> bool:
        """Returns whether the name or the description contains `text`, in any case."""
        found = f"{self.fields.get('name') or ''}\n{self.fields.get('description') or ''}"
        return text.casefold() in found.casefold()


class Personas:
    """All personas, oldest first.

    Attributes:
        all: the custom ones and Mavera's own.
        posts: bodies of the requests that made (or, with a fault, will make) a persona.
        patches: (id, body) of the requests that changed one.
    """

    def __init__(self, stock: int = 0) -> None:
        self.all: list[Persona] = []
        self.posts: list[dict[str, Any]] = []
        self.patches: list[tuple[str, dict[str, Any]]] = []
        for number in range(stock):
            fields = {
                "name": f"Stock Persona {number}",
                "category": "stock",
                "description": "Made by Mavera.",
            }
            self.all.append(Persona(f"per_stock_{number}", {}, 0.0, 0.0, is_custom=False, fields=fields))

    def find(self, persona_id: str) -> Persona | None:
        """Returns the persona with this id."""
        return next((persona for persona in self.all if persona.id == persona_id), None)

    def create(self, body: dict[str, Any], now: float, lag_s: float, ignored: str | None) -> Persona:
        """Adds a persona at `now`, listed `lag_s` seconds later, without the field `ignored`."""
        fields = _without(body, ignored)
        persona = Persona(f"per_{uuid4().hex[:16]}", body, now, now + lag_s, fields=fields)
        self.all.append(persona)
        return persona

    def update(self, persona: Persona, body: dict[str, Any], ignored: str | None) -> None:
        """Replaces the fields that `body` names, except `ignored`."""
        self.patches.append((persona.id, body))
        persona.updates.append(body)
        persona.fields |= _without(body, ignored)

    def delete(self, persona_id: str) -> bool:
        """Returns whether there was such a custom persona."""
        persona = self.find(persona_id)
        if persona is None or not persona.is_custom:
            return False
        self.all.remove(persona)
        return True


def _without(body: Mapping[str, Any], path: str | None) -> dict[str, Any]:
    if path is None:
        return dict(body)
    name, _, inner = path.partition(".")
    rest = {key: value for key, value in body.items() if key != name}
    if inner and isinstance(body.get(name), Mapping):
        rest[name] = _without(body[name], inner)
    return rest


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
