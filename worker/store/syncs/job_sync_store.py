"""The store of a job's sync: begin, commit, heartbeat, hand over, complete or fail. Each method is one script.

Every method may be called again after a lost answer. A job that no longer owns its sync gets LeaseLost from every
method, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from worker.clusters.analysis.snapshot import Snapshot
from worker.models.outcome import SyncFailure
from worker.models.plan import AccountBill, Plan
from worker.models.request import SyncRequest
from worker.models.shards import ShardTotals
from worker.models.sync import JobKind, SyncState
from worker.models.versions import FORMAT
from worker.models.warehouse import WarehouseRead
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.progress.batch_work import ListedBatch, NewBatch, NextPayloads
from worker.store.progress.sync_progress import Checkpoint, JobPayload, LeaseGrant, Listing, StartedJob
from worker.store.scripts import sync as sync_scripts
from worker.store.syncs.sync_keys import commit_keys, end_keys, hand_over_keys
from worker.store.syncs.sync_reader import SyncReader, storable_ms

Move = Literal["stay", "walk", "finalize"]

HISTORY = 30
"""Complete syncs of an identity that its history keeps."""


class JobSyncStore(SyncReader):
    """The syncs that a worker's jobs work on.

    Args:
        pool: Redis.
        stall_ms: Milliseconds without a heartbeat after which a job counts as lost.
        retention_ms: Milliseconds for which an ended sync is kept.
        account: The Mavera account of the worker (`account_name`): a job begins only syncs of it. Empty: of any.
    """

    def __init__(self, pool: StorePool, *, stall_ms: int, retention_ms: int, account: str = "") -> None:
        super().__init__(pool)
        self._account = account
        self._stall_ms = stall_ms
        self._retention_ms = storable_ms(retention_ms)

    async def begin(self, sync_id: str, epoch: int, kind: JobKind, holder: str) -> StartedJob:
        """Takes the lease of an epoch.

        Raises:
            LeaseLost: The epoch is over, begun by another job, or for another kind of job.
        """
        found = await sync_scripts.begin(
            self._pool,
            sync=keys.sync(sync_id),
            due=keys.DUE,
            id=sync_id,
            epoch=epoch,
            holder=holder,
            stall_ms=self._stall_ms,
            kind=kind,
            account=self._account,
        )
        fields = found.fields
        return StartedJob(
            lease=LeaseGrant(sync_id, SyncState(fields["state"]), epoch, holder),
            request=SyncRequest.from_stored(fields["request"]),
            checkpoint=Checkpoint(
                seq=int(fields["seq"]),
                cursor=fields["cursor"],
                guard=fields["guard"],
                pages=int(fields["pages"]),
                profiles=int(fields["profiles"]),
                complete=fields["complete"] == "1",
                trouble_ms=int(fields["trouble_ms"]),
                aggregate=fields["aggregate"].encode(),
            ),
            listing=Listing.from_fields(fields),
            started_at=int(fields["started_at"]) / 1000,
            lookup=fields["lookup"],
            plan=fields.get("plan", ""),
            accepted=fields.get("accepted") == "1",
            fetched_at=int(fields["fetched_at"]) / 1000 if fields["fetched_at"] else None,
            note=fields.get("note", ""),
            warehouse_read=WarehouseRead.decode(fields.get("warehouse", "")),
        )

    async def require_format(self, sync_id: str, version: int) -> None:
        """Records that only newer workers can continue a sync: workers of this version leave its jobs to them."""
        await sync_scripts.require_format(self._pool, sync=keys.sync(sync_id), format=max(version, FORMAT + 1))

    async def commit(
        self,
        lease: LeaseGrant,
        checkpoint: Checkpoint,
        token: str,
        *,
        move: Move = "stay",
        payload: JobPayload | None = None,
        delay_s: float = 0.0,
        note: str = "",
    ) -> Checkpoint:
        """Writes the checkpoint that follows the commit `checkpoint.seq`.

        Args:
            lease: Of the job.
            checkpoint: What to write.
            token: Identifies this commit if it is repeated.
            move: `walk` and `finalize` hand the sync to the next job.
            payload: That job; None for `stay`.
            delay_s: Seconds after which it starts.
            note: What the sync waits for.

        Returns:
            The checkpoint with its new seq.
        """
        if (move == "stay") is not (payload is None):
            raise ValueError("a hand-over needs the payload of the next job, and nothing else does")
        await sync_scripts.commit(
            self._pool,
            **commit_keys(lease.sync_id, self._account),
            lease=lease,
            checkpoint=checkpoint,
            token=token,
            note=note,
            follows=move,
            job=payload,
            delay_ms=int(delay_s * 1000),
            stall_ms=self._stall_ms,
        )
        return replace(checkpoint, seq=checkpoint.seq + 1)

    async def commit_listing(
        self,
        lease: LeaseGrant,
        listing: Listing,
        batches: Sequence[NewBatch],
        token: str,
        *,
        following: NextPayloads | None = None,
        delay_s: float = 0.0,
        note: str = "",
    ) -> Listing:
        """Writes how far the listing of a fan-out is, with the batches up to there.

        Args:
            lease: Of the fetch job.
            listing: What to write.
            batches: New batches.
            token: Identifies this commit if it is repeated.
            following: The job leaves. The next fetch job starts if there is room for more batches; the finalizer if all
                is listed and counted; otherwise the batch that changes that starts either.
            delay_s: Seconds after which the next fetch job starts.
            note: What the sync waits for.

        Returns:
            The listing with its new seq and the free slots.
        """
        found = await sync_scripts.commit_listing(
            self._pool,
            **commit_keys(lease.sync_id, self._account),
            lease=lease,
            listing=listing,
            token=token,
            note=note,
            following=following,
            delay_ms=int(delay_s * 1000),
            stall_ms=self._stall_ms,
            batches=tuple(ListedBatch(one.key, one.work.encode(), one.payload) for one in batches),
        )
        return replace(listing, seq=listing.seq + 1, free_slots=found.slots)

    async def heartbeat(self, lease: LeaseGrant, *, note: str = "") -> None:
        """Writes the job's heartbeat, with what the sync waits for."""
        await sync_scripts.heartbeat(
            self._pool,
            sync=keys.sync(lease.sync_id),
            due=keys.DUE,
            lease=lease,
            silent_ms=self._stall_ms,
            note=note,
        )

    async def hand_over(
        self,
        lease: LeaseGrant,
        payload: JobPayload,
        token: str,
        *,
        delay_s: float = 0.0,
        trouble_ms: int = 0,
        note: str = "",
    ) -> None:
        """Hands the sync to the next job of the same state, which starts after `delay_s` seconds."""
        await sync_scripts.hand_over(
            self._pool,
            **hand_over_keys(lease.sync_id, self._account),
            lease=lease,
            token=token,
            trouble_ms=trouble_ms,
            note=note,
            job=payload,
            delay_ms=int(delay_s * 1000),
            stall_ms=self._stall_ms,
        )

    async def store_lookup(self, lease: LeaseGrant, lookup: str) -> None:
        """Keeps what a look-up at Mavera found, for the finalizer."""
        await self._keep(lease, "lookup", lookup)

    async def store_shards(self, lease: LeaseGrant, shards: ShardTotals) -> None:
        """Keeps how many shards the sync reads. Raises LeaseLost."""
        await self._keep(lease, "shards", shards.encode())

    async def store_warehouse_read(self, lease: LeaseGrant, read: WarehouseRead) -> None:
        """Keeps the statement that reads a warehouse. Raises LeaseLost."""
        await self._keep(lease, "warehouse", read.encode())

    async def store_plan(self, lease: LeaseGrant, plan: Plan) -> None:
        """Keeps the beginning of a plan, for the next finalizer."""
        await self._keep(lease, "plan", plan.encode())

    async def store_bill(self, lease: LeaseGrant, bill: AccountBill) -> None:
        """Keeps what the account counted so far."""
        await self._keep(lease, "account", bill.model_dump_json())

    async def complete(
        self,
        lease: LeaseGrant,
        token: str,
        plan: Plan | None = None,
        *,
        baseline: Snapshot | None = None,
        snapshot: Snapshot | None = None,
        identity: str = "",
    ) -> None:
        """Completes the sync: every cluster has its persona or the reason why not, or its plan.

        Args:
            lease: Of the finalizer.
            token: Identifies this call if it is repeated.
            plan: Of a preview.
            baseline: What the space was like before.
            snapshot: What it is like, to be kept in the history of `identity`.
            identity: Of the sync's request.
        """
        await sync_scripts.complete(
            self._pool,
            **end_keys(lease.sync_id, self._account),
            history=keys.history(identity),
            lease=lease,
            token=token,
            retention_ms=self._retention_ms,
            plan=plan.encode() if plan else "",
            baseline=baseline.encode() if baseline else "",
            snapshot=snapshot.encode() if snapshot else "",
            history_length=HISTORY,
        )

    async def fail(self, lease: LeaseGrant, failure: SyncFailure, token: str) -> None:
        """Fails the sync; what was counted and made stays."""
        await sync_scripts.fail(
            self._pool,
            **end_keys(lease.sync_id, self._account),
            lease=lease,
            token=token,
            failure=failure,
            retention_ms=self._retention_ms,
        )

    async def _keep(
        self, lease: LeaseGrant, field: Literal["lookup", "plan", "account", "shards", "warehouse"], text: str
    ) -> None:
        await sync_scripts.set_field(self._pool, sync=keys.sync(lease.sync_id), lease=lease, field=field, text=text)
