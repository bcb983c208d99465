"""The types of the events that webhooks announce. Pure."""

from __future__ import annotations

from typing import Literal, cast, get_args

EventType = Literal[
    "sync.completed", "sync.failed", "sync.cancelled", "plan.ready", "guard.stopped", "sync.overdue", "credits.low"
]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)


def read_event_types(text: str) -> frozenset[EventType]:
    """Returns the types of a list such as `sync.failed, guard.stopped`. Raises ValueError if it has none or another
    word.
    """
    names = text.replace(",", " ").split()
    if not names or not set(names) <= set(EVENT_TYPES):
        raise ValueError(f"must be one or several of {', '.join(EVENT_TYPES)}, separated by commas")
    return frozenset(cast("list[EventType]", names))
