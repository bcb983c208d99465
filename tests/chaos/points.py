"""The named moments of the protocol, and how a worker, or a client's process, comes to its end at one of them.

A plan is text, `point:n:how`, or several with commas: at the n-th passage of a point the process kills itself
(`kill`) or freezes (`stop`) as if from outside, with nothing flushed and nothing said.
"""

from __future__ import annotations

import functools
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from worker.mavera import MaveraClient
from worker.segment import InlineApi
from worker.segment.file_shards import ShardEngine
from worker.store import BatchStore, JobSyncStore, PersonaStore
from worker.store.schedules.schedule_store import TickStore
from worker.store.syncs.client_sync_store import ClientSyncStore
from worker.store.webhooks.outbox_store import OutboxStore

_METHODS: dict[str, tuple[type, Callable[..., Awaitable[Any]]]] = {
    "create": (ClientSyncStore, ClientSyncStore.create),
    "begin": (JobSyncStore, JobSyncStore.begin),
    "lookup": (MaveraClient, MaveraClient.list_page),
    "fetch": (InlineApi, InlineApi.fetch_page),
    "aggregate": (ShardEngine, ShardEngine.aggregate),
    "commit": (JobSyncStore, JobSyncStore.commit),
    "commit_listing": (JobSyncStore, JobSyncStore.commit_listing),
    "begin_batch": (BatchStore, BatchStore.begin),
    "count_batch": (BatchStore, BatchStore.count),
    "retry_batch": (BatchStore, BatchStore.retry),
    "claim": (PersonaStore, PersonaStore.claim),
    "post": (MaveraClient, MaveraClient.create),
    "record": (PersonaStore, PersonaStore.record),
    "record_unsent": (PersonaStore, PersonaStore.record_unsent),
    "keep_statement": (JobSyncStore, JobSyncStore.store_warehouse_read),
    "hand_over": (JobSyncStore, JobSyncStore.hand_over),
    "complete": (JobSyncStore, JobSyncStore.complete),
    "fire": (TickStore, TickStore.fire),
    "take_events": (OutboxStore, OutboxStore.take),
    "deliver": (OutboxStore, OutboxStore.delivered),
}
POINTS = [
    f"{when}_{what}" for what in _METHODS if what not in ("create", "keep_statement") for when in ("before", "after")
]
"""The points that a worker passes which reads a space."""
HOW = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def arm(plan: str) -> None:
    """Makes this process end as planned. Changes the classes; for worker processes of the chaos suite only."""
    plans = [entry.split(":") for entry in plan.split(",") if entry]
    passages: Counter[str] = Counter()

    def passed(point: str) -> None:
        passages[point] += 1
        for name, number, how in plans:
            if name == point and int(number) == passages[point]:
                os.kill(os.getpid(), HOW[how])

    for what, (owner, method) in _METHODS.items():
        setattr(owner, method.__name__, _watched(method, what, passed))


def _watched(
    original: Callable[..., Awaitable[Any]], what: str, passed: Callable[[str], None]
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(original)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        passed(f"before_{what}")
        result = await original(*args, **kwargs)
        passed(f"after_{what}")
        return result

    return watched
