"""The front door of segment-personas: ask for a sync, follow it, stop it.

    async with SyncClient("redis://localhost") as client:
        sync = await client.enqueue(SyncRequest(space_id="spa_123"))
        sync = await client.wait(sync.id)

The names are imported on first use: the command line is in this package too, and its `--help` must not wait for Redis'
and Mavera's libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from producer.client import SyncClient, SyncConflict, SyncNotFound
    from worker.clusters.rules.toml_file import parse_rules
    from worker.models.sync import Sync, SyncRequest, SyncState

__all__ = ["Sync", "SyncClient", "SyncConflict", "SyncNotFound", "SyncRequest", "SyncState", "parse_rules"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in {"SyncClient", "SyncConflict", "SyncNotFound"}:
        return getattr(import_module("producer.client"), name)
    if name == "parse_rules":
        return import_module("worker.clusters.rules.toml_file").parse_rules
    if name in __all__:
        return getattr(import_module("worker.models.sync"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
