"""What a sync would do at Mavera: for each cluster an action with its reason, the payload, and what it would change.

Pure data. The finalizer of a preview makes it, `worker.store` keeps it with the sync, and `producer` shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict


class PlannedPersona(BaseModel):
    """What would become of one cluster's persona.

    reason: of a skip a word, else a phrase. persona_id: None if it has none. credits: what it would cost. payload: what
    would be sent. current: what Mavera shows of the same fields; None if there is no persona, or if it shows nothing.
    """

    model_config = ConfigDict(frozen=True)

    cluster: str
    action: Literal["create", "update", "leave", "skip"]
    reason: str
    persona_id: str | None
    credits: int
    payload: Mapping[str, Any]
    current: Mapping[str, Any] | None

    @property
    def changes(self) -> tuple[Change, ...]:
        """The fields that would change, in the payload's order."""
        return tuple(_changes(self.payload, self.current or {}))


class Plan(BaseModel):
    """A plan.

    max_credits: the budget under which it was made; None: without one. alarms: for what a guard would stop it, in
    sentences, unless it is accepted.
    """

    model_config = ConfigDict(frozen=True)

    personas: tuple[PlannedPersona, ...] = ()
    max_credits: int | None = None
    alarms: tuple[str, ...] = ()

    @property
    def credits(self) -> int:
        """What it costs to carry it out."""
        return sum(persona.credits for persona in self.personas)

    @property
    def creates(self) -> bool:
        """Whether it would create a persona."""
        return any(persona.action == "create" for persona in self.personas)

    @property
    def over_budget(self) -> bool:
        """Whether it costs more than the budget allows, so that applying it would buy nothing."""
        return self.max_credits is not None and self.credits > self.max_credits

    def encode(self) -> str:
        """The plan as it stands in Redis."""
        return self.model_dump_json()

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """Reads what `encode` wrote; None if there is nothing."""
        return cls.model_validate_json(text) if text else None


@dataclass(frozen=True)
class Change:
    """A field of a persona that would change: `outer.inner` if nested. before: None if it is not there."""

    field: str
    before: object
    after: object


def _changes(payload: Mapping[str, Any], current: Mapping[str, Any], prefix: str = "") -> Iterator[Change]:
    for name, after in payload.items():
        before = current.get(name)
        if isinstance(after, Mapping) and isinstance(before, Mapping | None):
            yield from _changes(after, before or {}, f"{prefix}{name}.")
        elif before != after:
            yield Change(prefix + name, before, after)
