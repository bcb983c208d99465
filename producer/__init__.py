"""The front door of segment-personas: ask for a sync, follow it, stop it.

    async with SyncClient("redis://localhost") as client:
        sync = await client.enqueue(SyncRequest(space_id="spa_123"))
        sync = await client.wait(sync.id)
"""

from producer.client import SyncClient, SyncConflict, SyncNotFound
from worker.sync import Sync, SyncRequest, SyncState

__all__ = ["Sync", "SyncClient", "SyncConflict", "SyncNotFound", "SyncRequest", "SyncState"]
