"""An event that a webhook announces: its type, and the document that it carries. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.documents.json_format import iso_time
from worker.documents.sync_document import sync_document
from worker.models.event_type import EVENT_TYPES, EventType
from worker.models.sync import Sync, SyncState
from worker.models.versions import NewerVersion
from worker.printable import json_text


@dataclass(frozen=True)
class Event:
    """One change of state that receivers learn of.

    Attributes:
        id: Names the event, the same in every attempt to deliver it.
        type: What happened.
        at: When it happened, in Unix seconds by the clock of Redis.
        data: The document: of a sync what `status --json` prints, of a schedule what `schedule list --json` prints.
    """

    id: str
    type: EventType
    at: float
    data: Mapping[str, object]

    @classmethod
    def of_sync(cls, event_id: str, at: float, sync: Sync) -> Event:
        """Returns the end of a sync. It has exactly one event, whose type says why it ended."""
        return cls(event_id, _type_of(sync), at, sync_document(sync))

    @classmethod
    def of_document(cls, event_id: str, event_type: str, at: float, data: Mapping[str, object]) -> Event:
        """Returns an event that was recorded with its document. Raises NewerVersion for a type that is not known."""
        if event_type not in EVENT_TYPES:
            raise NewerVersion("an event", 2, 1)
        return cls(event_id, event_type, at, data)

    def body(self) -> bytes:
        """Returns the JSON that is sent."""
        return json_text({"type": self.type, "timestamp": iso_time(self.at), "data": dict(self.data)}).encode()


def _type_of(sync: Sync) -> EventType:
    if sync.state is SyncState.CANCELLED:
        return "sync.cancelled"
    if sync.error is not None:
        return "guard.stopped" if sync.error.code.partition("_")[0] == "guard" else "sync.failed"
    return "plan.ready" if sync.waits_for_apply else "sync.completed"
