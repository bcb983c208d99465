"""`SyncClient`: starts, follows and stops syncs from other Python programs.

Enqueueing needs only Redis: no token is read, and a request contains none.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from producer.errors import (
    SyncConflict,
    SyncFailed,
    SyncNotFound,
    key_used_error,
    plan_to_apply,
    require_resumable,
    space_busy_error,
    sync_running_error,
)
from worker.clusters.analysis.snapshot import Snapshot
from worker.jobs.job_payloads import batch_payload, sync_payload
from worker.jobs.store_factories import client_sync_store, mavera_account, persona_store, worker_registry
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState, job_kind, new_sync_id
from worker.models.versions import UnreadableSync
from worker.settings import ClientConfig, load_client_config
from worker.store import PersonaRecord, StorePool, SyncPage, SyncPlace, WorkerPresence, redis_pool

if TYPE_CHECKING:
    from producer.schedules import ScheduleClient
    from worker.jobs.space_directory import SpaceDirectory
    from worker.store.report import StoreReport


class SyncClient:
    """Starts, follows and stops syncs. Use it as an async context manager.

    Args:
        redis_url: As in `REDIS_URL`.
        settings: Of the client; None: those of the environment.
        max_wait_s: Seconds that one call waits for a Redis that does not answer before it raises StoreUnavailable.
        pool: Connections to share, which the client does not close; None: its own, to `redis_url`.

    Raises:
        ConfigurationError: The URL is malformed, or `SPACES_FILE` cannot be used.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        settings: ClientConfig | None = None,
        max_wait_s: float = 5.0,
        pool: StorePool | None = None,
    ) -> None:
        self._settings = settings = settings or load_client_config()
        self._pool = pool or redis_pool(redis_url, max_wait_s=max_wait_s, prefix=settings.redis_prefix)
        self._owns_pool = pool is None
        self._spaces = _open_spaces(settings)
        accounts, account_of = (self._spaces.accounts, self._spaces.account_of) if self._spaces else (None, None)
        self._syncs = client_sync_store(self._pool, settings, account_of)
        self._workers = worker_registry(self._pool, settings, accounts)
        self._account = mavera_account(settings)
        self._account_of = account_of

    @cached_property
    def schedules(self) -> ScheduleClient:
        """The schedules: syncs that workers start at the ticks of a cron expression."""
        from producer.schedules import ScheduleClient  # most programs have no schedules, and do not load them

        return ScheduleClient(self._pool, self._account, self._account_of)

    @classmethod
    def from_pool(cls, pool: StorePool, settings: ClientConfig) -> Self:
        """A client that shares a pool, which it does not close."""
        return cls("", settings=settings, pool=pool)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        if self._owns_pool:
            await self._pool.aclose()

    async def enqueue(
        self,
        request: SyncRequest,
        *,
        force: bool = False,
        idempotency_key: str | None = None,
        sync_id: str | None = None,
    ) -> Sync:
        """Starts a sync, or returns the running one of the same request.

        While a sync of the same space, collection and rules is under way, the same request returns that one, and one
        with other options raises SyncConflict; `force` starts another. The same `idempotency_key` never starts a second
        sync; with another request it raises SyncConflict `idempotency_key_used`.

        Args:
            request: What to sync.
            force: Whether to start a sync although one of the same space, collection and rules is under way.
            idempotency_key: A key of the caller's choice that identifies this request.
            sync_id: Id of the new sync (from `new_sync_id`), so that the caller sees whether a new one was started.

        Raises:
            SyncConflict: A sync with other options is under way, or the key belongs to another request.
        """
        sync_id = sync_id or new_sync_id()
        chosen = await self._syncs.create(
            sync_id, request, sync_payload(sync_id, "walk", 1), force=force, idempotency_key=idempotency_key
        )
        sync = await self.get(chosen)
        if chosen == sync_id or not (differences := request.differences(sync.request)):
            return sync
        first = await self._syncs.asked_request(sync, idempotency_key) if idempotency_key else None
        if first is None:
            raise sync_running_error(sync, differences)
        if differences := request.differences(first):
            raise key_used_error(sync, differences)
        return sync

    async def get(self, sync_id: str) -> Sync:
        """Returns the sync in its present state. Raises SyncNotFound; SyncUnreadable if this version cannot read it."""
        sync = await self._syncs.get(sync_id)
        if sync is None:
            raise SyncNotFound(f"No sync {sync_id} is known; ended syncs are kept for RETENTION_DAYS")
        return sync

    async def list(self, limit: int = 100) -> list[Sync]:
        """Returns the newest syncs, newest first, without their statistics. Those that cannot be read are left out."""
        return [sync for sync in await self._syncs.newest(limit) if isinstance(sync, Sync)]

    async def list_all(self, limit: int = 100) -> Sequence[Sync | UnreadableSync]:
        """Returns the newest syncs, newest first, also those that this version cannot read."""
        return await self._syncs.newest(limit)

    async def page(
        self,
        limit: int = 100,
        *,
        after: SyncPlace | None = None,
        space_id: str | None = None,
        statuses: Collection[str] = (),
    ) -> SyncPage:
        """Returns one page of the list of syncs, newest first, without their statistics and plans.

        Args:
            limit: Most syncs in the page.
            after: `SyncPage.end` of the previous page; None: from the newest.
            space_id: List only the syncs of this space.
            statuses: Only with one of these: values of `Sync.status`, or `unreadable`. Empty: all.
        """
        return await self._syncs.page(limit, after=after, space_id=space_id, statuses=statuses)

    async def versions(self, sync_ids: Sequence[str]) -> Mapping[str, str]:
        """`Sync.version` of each of these syncs that is known, in one round trip."""
        return await self._syncs.versions(sync_ids)

    async def persona_records(self, space_id: str) -> Mapping[str, PersonaRecord]:
        """Returns the records of a space's personas by reference, ordered by collection, rules and cluster.

        The records are those of the space's account in `SPACES_FILE`, or of the account of `MAVERA_API_KEY`; without a
        key, those of the account of live keys.
        """
        settings = self._spaces.settings_of(space_id) if self._spaces else self._settings
        records = (await persona_store(self._pool, settings).all_records()).items()
        found = [(name, record) for name, record in records if record.space_id == space_id]
        return dict(sorted(found, key=lambda item: (item[1].collection, item[1].rules, item[1].cluster, item[0])))

    async def history(self, identity: str) -> Sequence[Snapshot]:
        """Returns what the last complete syncs of an identity (`SyncRequest.identity`) read, newest first."""
        return await self._syncs.history(identity)

    async def follow(self, sync_id: str, *, every_s: float = 0.2, timeout_s: float = math.inf) -> AsyncIterator[Sync]:
        """Yields the sync every `every_s` seconds, the last time when it has ended.

        Raises SyncNotFound, and TimeoutError after `timeout_s` seconds; the sync continues.
        """
        ends_at = asyncio.get_running_loop().time() + timeout_s
        while True:
            sync = await self.get(sync_id)
            yield sync
            if sync.state.is_final:
                return
            left_s = ends_at - asyncio.get_running_loop().time()
            if left_s <= 0:
                raise TimeoutError(f"{sync_id} is still {sync.state} after {timeout_s:g} s")
            await asyncio.sleep(min(every_s, left_s))

    async def wait(self, sync_id: str, *, timeout_s: float = math.inf, check: bool = False) -> Sync:
        """Returns the sync once it has ended.

        Args:
            sync_id: Which sync.
            timeout_s: How long to wait, in seconds.
            check: Whether a sync that failed or was cancelled raises SyncFailed instead of being returned.

        Raises:
            SyncFailed: The sync failed or was cancelled, and `check` is set.
            SyncNotFound: No sync of that id is known.
            TimeoutError: The sync has not ended in time; it continues.
        """
        async for sync in self.follow(sync_id, timeout_s=timeout_s):
            last = sync
        if check and last.state is not SyncState.COMPLETED:
            raise SyncFailed(last)
        return last

    async def cancel(self, sync_id: str) -> Sync:
        """Stops a sync. A sync that is cancelled already stays cancelled.

        Raises SyncNotFound; SyncConflict if it has completed or failed; SyncUnreadable if this version cannot read it.
        """
        await self.get(sync_id)
        state = await self._syncs.cancel(sync_id)
        if state is None:
            raise SyncNotFound(f"No sync {sync_id} is known; ended syncs are kept for RETENTION_DAYS")
        if state in {SyncState.COMPLETED, SyncState.FAILED}:
            raise SyncConflict(f"{sync_id} is already {state}; there is nothing to cancel", code="already_ended")
        return await self.get(sync_id)

    async def resume(
        self, sync_id: str, *, restart: bool = False, accept: bool = False, max_credits: int | None = None
    ) -> Sync:
        """Continues a failed sync where it stopped. A sync that is under way is not changed.

        Args:
            sync_id: Which sync.
            restart: Whether to read the space from the first page, with new statistics.
            accept: Whether to override the safety check that stopped the sync.
            max_credits: Its budget from now on; None: the budget of its request.

        Raises:
            SyncNotFound: No sync of that id is known.
            SyncConflict: The sync was cancelled or completed, it can only continue with `restart`, or another sync of
                the same space, collection and rules is running.
        """
        sync = await self.get(sync_id)
        require_resumable(sync, restart=restart)
        if sync.error is None or sync.failed_in is None:
            return sync
        kind = "walk" if restart else job_kind(sync.failed_in)
        request = sync.request if max_credits is None else sync.request.with_budget(max_credits)
        batches = () if restart else [batch_payload(key.next_attempt()) for key in sync.outstanding]
        following = sync_payload(sync_id, kind, sync.epoch + 1)
        answer = await self._syncs.resume(sync, following, batches, restart=restart, request=request, accept=accept)
        return await self._after(answer, sync_id)

    async def apply(
        self, sync_id: str, *, accept: bool = False, max_credits: int | None = None, allow_partial: bool = False
    ) -> Sync:
        """Makes the personas that a preview planned, without reading the space again.

        A sync whose plan is being applied is not changed.

        Args:
            sync_id: The preview.
            accept: As in `resume`.
            max_credits: Its budget; None: the cost of the plan, or the preview's own budget if that is less.
            allow_partial: Whether to create personas although the preview read only a part of the space.

        Raises:
            SyncNotFound: No sync of that id is known.
            SyncConflict: The sync has no plan, or its plan was applied already; it needs `allow_partial`; or another
                sync of the same space, collection and rules is running.
        """
        sync = await self.get(sync_id)
        if sync.applied_at is not None and not sync.state.is_final:
            return sync
        plan = plan_to_apply(sync, allow_partial=allow_partial)
        if max_credits is None:
            budget = sync.request.max_credits
            max_credits = plan.credits if budget is None else min(plan.credits, budget)
        request = sync.request.applied_within(max_credits, allow_partial=allow_partial)
        following = sync_payload(sync_id, "finalize", sync.epoch + 1)
        answer = await self._syncs.apply(sync, following, request, accept=accept)
        return await self._after(answer, sync_id)

    async def _after(self, answer: str, sync_id: str) -> Sync:
        """Returns the sync after a change of its state. Raises SyncConflict if another sync prevented the change."""
        if answer not in {"ok", "changed", "gone"}:
            raise space_busy_error(answer)
        return await self.get(sync_id)

    async def now(self) -> float:
        """Returns the time by the clock of Redis, as all times of a sync: Unix seconds."""
        return await self._pool.now()

    async def workers(self) -> Sequence[WorkerPresence]:
        """Returns the workers that are alive."""
        return await self._workers.living_workers()

    async def report(self) -> StoreReport:
        """Returns what metrics show of Redis: its syncs, its workers and its configuration."""
        from worker.store.report import read_report

        return await read_report(self._pool, self._workers)


def _open_spaces(settings: ClientConfig) -> SpaceDirectory[ClientConfig] | None:
    if settings.spaces_file is None:
        return None
    from worker.jobs.space_directory import open_spaces  # most programs have no such file

    return open_spaces(settings, needs_secrets=False)
