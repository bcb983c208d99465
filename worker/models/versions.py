"""Versions of the data in Redis, and a sync that this version cannot read.

Every stored document has a version; one that names none is of version 1. Within a version only fields are added that
other readers may ignore. A reader that meets a greater version raises NewerVersion. The format of a sync, a field of
its hash, is the greatest version of all that belongs to it: workers leave a sync of a newer format to newer workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from worker.clusters.statistics.serialization import NewerVersion, check_version
from worker.errors import PersonasError

__all__ = [
    "FORMAT",
    "WRITTEN_FORMAT",
    "NewerVersion",
    "SyncUnreadable",
    "UnreadableSync",
    "check_version",
    "describe_unreadable_sync",
    "known_fields",
]

FORMAT = 2
"""The newest format of a sync that this version reads."""

WRITTEN_FORMAT = 1
"""The format of a new sync. A worker that cannot read a document of it raises the format to what that needs."""


def known_fields(document: str, fields: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a stored document that its class has. Raises NewerVersion if its version is not ours.

    Args:
        document: What it is, for messages.
        fields: The document.
        names: The class's fields by their names.
    """
    check_version(document, fields.get("version"), 1)
    return {name: value for name, value in fields.items() if name in names}


@dataclass(frozen=True)
class UnreadableSync:
    """A sync that this version cannot read: as much of it as can be shown in a list.

    Attributes:
        id: Its id.
        space_id: The space that it reads; empty if that is not known.
        created_at: When it was created, Unix seconds; None if that is not known.
        newer: Whether a newer version of the program reads it. Otherwise it is damaged.
        reason: Why it cannot be read, in a sentence.
    """

    id: str
    space_id: str
    created_at: float | None
    newer: bool
    reason: str

    @property
    def code(self) -> str:
        """A short machine-readable name of the reason."""
        return "newer_version" if self.newer else "sync_unreadable"


class SyncUnreadable(PersonasError):
    """A sync cannot be read by this version, so it is shown as `sync` and left alone.

    Attributes:
        code: `newer_version`, or `sync_unreadable` if it is damaged.
        sync: What is known of it.
    """

    def __init__(self, sync: UnreadableSync) -> None:
        super().__init__(sync.reason)
        self.code = sync.code
        self.sync = sync


def describe_unreadable_sync(sync_id: str, fields: Mapping[str, str], error: Exception) -> UnreadableSync:
    """Returns what can be shown of a sync's hash that could not be read because of `error`."""
    space_id, created_at = "", None
    with suppress(ValueError, TypeError, AttributeError):
        space_id = str(orjson.loads(fields.get("request", "")).get("space_id", ""))[:128]
    with suppress(ValueError):
        created_at = int(fields.get("created_at", "")) / 1000
    newer = isinstance(error, NewerVersion)
    if newer:
        reason = (
            f"{sync_id} was written by a newer version of segment-personas ({error}). Upgrade this one to see or "
            "change it; newer workers continue it"
        )
    else:
        reason = (
            f"{sync_id} is damaged in Redis ({type(error).__name__}) and cannot be read. Start a new sync of the space"
        )
    return UnreadableSync(sync_id, space_id, created_at, newer, reason)
