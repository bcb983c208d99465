"""The Python interface of segment-personas: start syncs, follow them and stop them.

    async with SyncClient("redis://localhost") as client:
        sync = await client.enqueue(SyncRequest(space_id="spa_123"))
        sync = await client.wait(sync.id, check=True)

The names are imported on first use: the command line is in this package too, and its `--help` must not wait for Redis'
and Mavera's libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from producer.blocking import run_sync
    from producer.client import SyncClient
    from producer.errors import SyncConflict, SyncFailed, SyncNotFound
    from worker.clusters.rules.toml_file import parse_rules
    from worker.errors import ConfigurationError, InvalidRequest, PersonasError, StoreUnavailable
    from worker.models.request import SyncRequest
    from worker.models.sync import Sync, SyncState

__all__ = [
    "ConfigurationError",
    "InvalidRequest",
    "PersonasError",
    "StoreUnavailable",
    "Sync",
    "SyncClient",
    "SyncConflict",
    "SyncFailed",
    "SyncNotFound",
    "SyncRequest",
    "SyncState",
    "parse_rules",
    "run_sync",
]

_MODULES = {
    "producer.blocking": ("run_sync",),
    "producer.client": ("SyncClient",),
    "producer.errors": ("SyncConflict", "SyncFailed", "SyncNotFound"),
    "worker.clusters.rules.toml_file": ("parse_rules",),
    "worker.errors": ("ConfigurationError", "InvalidRequest", "PersonasError", "StoreUnavailable"),
    "worker.models.request": ("SyncRequest",),
    "worker.models.sync": ("Sync", "SyncState"),
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for module, names in _MODULES.items():
        if name in names:
            if problem := describe_foreign_worker():
                raise ImportError(problem, name="worker")
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def describe_foreign_worker() -> str:
    """Returns one sentence if `import worker` finds another package than the one beside this; else empty."""
    import sys
    from importlib.util import find_spec
    from pathlib import Path

    ours = Path(__file__).resolve().parents[1] / "worker"
    loaded = sys.modules.get("worker")
    places: list[str | None] = []
    if loaded is not None:
        places += getattr(loaded, "__path__", None) or [getattr(loaded, "__file__", None)]
    elif spec := find_spec("worker"):
        places += spec.submodule_search_locations or [spec.origin]
    found = [str(place) for place in places if place]
    if any(Path(place).resolve() == ours for place in found):
        return ""
    return (
        f"segment-personas needs its own package `worker` ({ours}), but `import worker` finds "
        f"{found[0] if found else 'none'}. Rename that package, or run in a directory and with a PYTHONPATH without it."
    )
