"""Syncs in any state, brought there by their own moves, and the moves that a job can make."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from tests.support.store_model.redis_contents import Key, read
from worker.jobs.job_payloads import sync_payload
from worker.models.outcome import SyncFailure
from worker.models.plan import Plan
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState, job_kind
from worker.store import (
    Checkpoint,
    ClientSyncStore,
    JobPayload,
    JobQueue,
    JobSyncStore,
    LeaseGrant,
    PersonaStore,
    StorePool,
    WatchdogStore,
)
from worker.store.progress.sync_progress import StartedJob, new_token

STALL_MS = 3_600_000
RETENTION_MS = 86_400_000
REQUEST = SyncRequest(space_id="space")
FAILURE = SyncFailure("code", "A sentence.", resumable=True)

STATES = list(SyncState)
ENDED = [SyncState.COMPLETED, SyncState.FAILED, SyncState.CANCELLED]
UNDER_WAY = [state for state in STATES if state not in ENDED]

Move = Callable[["Syncs", LeaseGrant, str], Awaitable[object]]

#: What a job can do with its lease and a token, and the state of its sync in which it can.
MOVES: dict[str, tuple[SyncState, Move]] = {
    "commit": (SyncState.FETCHING, lambda syncs, lease, token: syncs.jobs.commit(lease, PAGE, token)),
    "commit and walk on": (
        SyncState.FETCHING,
        lambda syncs, lease, token: syncs.jobs.commit(lease, PAGE, token, move="walk", payload=after(lease)),
    ),
    "commit and finalize": (
        SyncState.FETCHING,
        lambda syncs, lease, token: syncs.jobs.commit(
            lease, PAGE, token, move="finalize", payload=sync_payload(lease.sync_id, "finalize", lease.epoch + 1)
        ),
    ),
    "heartbeat": (SyncState.FETCHING, lambda syncs, lease, token: syncs.jobs.heartbeat(lease, note="lives")),
    "remember": (SyncState.FETCHING, lambda syncs, lease, token: syncs.jobs.store_lookup(lease, "found")),
    "remember a plan": (
        SyncState.FINALIZING,
        lambda syncs, lease, token: syncs.jobs.store_plan(lease, Plan(max_credits=1)),
    ),
    "hand over": (SyncState.FETCHING, lambda syncs, lease, token: syncs.jobs.hand_over(lease, after(lease), token)),
    "hand over the personas": (
        SyncState.FINALIZING,
        lambda syncs, lease, token: syncs.jobs.hand_over(lease, after(lease), token, delay_s=9, trouble_ms=7),
    ),
    "fail": (SyncState.FETCHING, lambda syncs, lease, token: syncs.jobs.fail(lease, FAILURE, token)),
    "complete": (SyncState.FINALIZING, lambda syncs, lease, token: syncs.jobs.complete(lease, token)),
    "complete a preview": (
        SyncState.FINALIZING,
        lambda syncs, lease, token: syncs.jobs.complete(lease, token, Plan(max_credits=2)),
    ),
    "claim": (SyncState.FINALIZING, lambda syncs, lease, token: syncs.personas.claim(lease, "reference", token)),
}
PAGE = Checkpoint(
    seq=1, cursor="c2", guard="g2", pages=2, profiles=400, complete=True, trouble_ms=5, aggregate=b"statistics of 2"
)


def after(lease: LeaseGrant) -> JobPayload:
    """The payload of the job that follows in the same state."""
    return sync_payload(lease.sync_id, job_kind(lease.state), lease.epoch + 1)


class Syncs:
    """A store, and short ways to bring syncs somewhere."""

    def __init__(
        self, pool: StorePool, *, stall_ms: int = STALL_MS, retention_ms: int = RETENTION_MS, account: str = ""
    ) -> None:
        self.pool = pool
        self.client = ClientSyncStore(pool, stall_ms=stall_ms, retention_ms=retention_ms, account=account)
        self.jobs = JobSyncStore(pool, stall_ms=stall_ms, retention_ms=retention_ms, account=account)
        self.watchdog = WatchdogStore(pool, stall_ms=stall_ms, retention_ms=retention_ms, accounts=lambda: (account,))
        self.personas = PersonaStore(pool, "account")
        self.queue = JobQueue(pool, account, stall_ms=stall_ms)

    async def create(self, sync_id: str = "s1", request: SyncRequest = REQUEST, **options: object) -> str:
        return await self.client.create(sync_id, request, sync_payload(sync_id, "walk", 1), **options)

    async def begin(self, sync_id: str = "s1") -> StartedJob:
        """A job takes the lease of the present epoch."""
        sync = await self.get(sync_id)
        return await self.jobs.begin(sync_id, sync.epoch, job_kind(sync.state), f"holder-{new_token()}")

    async def get(self, sync_id: str = "s1") -> Sync:
        sync = await self.client.get(sync_id)
        assert sync is not None
        return sync

    async def lease(self, state: SyncState, sync_id: str = "s1") -> LeaseGrant:
        """A new sync in `fetching` (one page is counted) or `finalizing`, and the lease of the job that works on it."""
        await self.create(sync_id, REQUEST.model_copy(update={"space_id": sync_id}))
        lease = (await self.begin(sync_id)).lease
        first = replace(PAGE, seq=0, cursor="c1", pages=1, profiles=200, complete=False, aggregate=b"statistics of 1")
        if state is SyncState.FETCHING:
            await self.jobs.commit(lease, first, new_token())
            return lease
        following = sync_payload(sync_id, "finalize", lease.epoch + 1)
        await self.jobs.commit(lease, first, new_token(), move="finalize", payload=following)
        return (await self.begin(sync_id)).lease

    async def bring(self, state: SyncState, sync_id: str = "s1", failed_in: SyncState = SyncState.FETCHING) -> None:
        """A new sync in any state."""
        match state:
            case SyncState.QUEUED:
                await self.create(sync_id, REQUEST.model_copy(update={"space_id": sync_id}))
            case SyncState.FETCHING | SyncState.FINALIZING:
                await self.lease(state, sync_id)
            case SyncState.COMPLETED:
                await self.jobs.complete(await self.lease(SyncState.FINALIZING, sync_id), new_token())
            case SyncState.FAILED:
                await self.jobs.fail(await self.lease(failed_in, sync_id), FAILURE, new_token())
            case SyncState.CANCELLED:
                await self.lease(SyncState.FETCHING, sync_id)
                await self.client.cancel(sync_id)

    async def dump(self) -> dict[str, Key]:
        """The contents of Redis."""
        return await read(self.pool)

    async def names(self) -> set[str]:
        """All keys."""
        return set(await self.dump())
