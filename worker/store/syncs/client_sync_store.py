"""The store of syncs for clients: create, cancel, resume and apply. Each method is one script.

Every method may be called again after a lost answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.progress.sync_progress import JobPayload
from worker.store.scripts import sync as sync_scripts
from worker.store.syncs.sync_keys import commit_keys, end_keys, hand_over_keys
from worker.store.syncs.sync_listing import SyncListing
from worker.store.syncs.sync_reader import storable_ms


class ClientSyncStore(SyncListing):
    """The syncs of a client.

    Args:
        pool: Redis.
        stall_ms: Milliseconds without a heartbeat after which a job counts as lost.
        retention_ms: Milliseconds for which an ended sync is kept.
        account: The Mavera account of the client (`account_name`), to which new syncs belong. Empty: they belong to the
            account of the worker that takes their first job.
        account_of: Returns the account of a space, if the client knows that of each; `account` is then not used.
    """

    def __init__(
        self,
        pool: StorePool,
        *,
        stall_ms: int,
        retention_ms: int,
        account: str = "",
        account_of: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(pool)
        self._account_of = account_of or (lambda _: account)
        self._stall_ms = stall_ms
        self._retention_ms = storable_ms(retention_ms)

    async def create(
        self,
        sync_id: str,
        request: SyncRequest,
        payload: JobPayload,
        *,
        force: bool = False,
        idempotency_key: str | None = None,
    ) -> str:
        """Creates a sync and its first job.

        Args:
            sync_id: Of the new sync.
            request: What it is asked for.
            payload: Its first job.
            force: Also if another sync of the same identity runs.
            idempotency_key: Names this request; the same key means the same sync.

        Returns:
            The id of the new sync, or of the sync that the request means: of the same idempotency key, or the running
            sync of the same identity unless `force`.
        """
        account = self._account_of(request.space_id)
        owners = (account, "") if idempotency_key else ()
        answer = await sync_scripts.create(
            self._pool,
            **hand_over_keys(sync_id, account),
            syncs=keys.SYNCS,
            active=keys.active(request.identity),
            requests=tuple(keys.request(idempotency_key or "", owner) for owner in owners),
            id=sync_id,
            request=request.model_dump_json(),
            identity=request.identity,
            job=payload,
            stall_ms=self._stall_ms,
            force=force,
            retention_ms=self._retention_ms,
            account=account,
        )
        return answer.sync_id if isinstance(answer, sync_scripts.ExistingSync) else sync_id

    async def asked_request(self, sync: Sync, idempotency_key: str) -> SyncRequest | None:
        """Returns the request with which an idempotency key started a sync; None if another or no key started it.

        Of a sync that an earlier version started, it is the request as it is now: `resume` and `apply` may have changed
        it.
        """
        async with self._pool.pipeline(transaction=True) as pipe:
            for owner in dict.fromkeys((self._account_of(sync.request.space_id), sync.owner, "")):
                pipe.get(keys.request(idempotency_key, owner))
            pipe.hget(keys.sync(sync.id), "asked_request")
            *started, asked = await pipe.execute()
        if sync.id.encode() not in started:
            return None
        return SyncRequest.from_stored(asked.decode()) if asked else sync.request

    async def cancel(self, sync_id: str) -> SyncState | None:
        """Cancels a running sync.

        Returns:
            The state in which the sync is now; None if it is not known.
        """
        answer = await sync_scripts.cancel(
            self._pool,
            **end_keys(sync_id, ""),  # the script knows the queue of the sync's account
            id=sync_id,
            retention_ms=self._retention_ms,
        )
        if isinstance(answer, sync_scripts.EndedSync):
            return SyncState(answer.state)
        return SyncState.CANCELLED if answer is sync_scripts.Cancellation.OK else None

    async def resume(
        self,
        sync: Sync,
        payload: JobPayload,
        batches: Sequence[JobPayload] = (),
        *,
        restart: bool = False,
        request: SyncRequest | None = None,
        accept: bool = False,
    ) -> str:
        """Continues a failed sync in the state in which it failed.

        Args:
            sync: As it was read.
            payload: Its next job.
            batches: The job of the next attempt at each of `sync.outstanding`; none with `restart`.
            restart: Fetch again from the first page, with empty statistics.
            request: What is asked for from now on, if that changes.
            accept: No guard stops the sync any more.

        Returns:
            `ok`, `changed` (another call moved the sync meanwhile), `gone`, or the id of another sync of the same
            identity that runs.
        """
        answer = await sync_scripts.resume(
            self._pool,
            **commit_keys(sync.id, sync.owner),
            active=keys.active(sync.request.identity),
            id=sync.id,
            epoch=sync.epoch,
            restart=restart,
            stall_ms=self._stall_ms,
            job=payload,
            request=(request or sync.request).model_dump_json(),
            accept=accept,
            account=sync.owner,
            attempts=tuple(batches),
        )
        return _continuation(answer)

    async def apply(self, sync: Sync, payload: JobPayload, request: SyncRequest, *, accept: bool = False) -> str:
        """Continues a completed preview to its personas, as `request` says. Arguments and answer: as of `resume`."""
        answer = await sync_scripts.apply(
            self._pool,
            **commit_keys(sync.id, sync.owner),
            active=keys.active(request.identity),
            id=sync.id,
            epoch=sync.epoch,
            request=request.model_dump_json(),
            accept=accept,
            stall_ms=self._stall_ms,
            job=payload,
            account=sync.owner,
        )
        return _continuation(answer)


def _continuation(answer: sync_scripts.Continuation | sync_scripts.BusySync) -> str:
    return answer.sync_id if isinstance(answer, sync_scripts.BusySync) else answer.value
