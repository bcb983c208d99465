"""A job's lease on its sync: sends a heartbeat every few seconds, and notices when the epoch is over.

`job_runner` takes the lease. The job gives it up with its last write: it completes or fails the sync, or hands it over.

Used as an async context manager. When the epoch is over (the sync was cancelled, taken over or has ended), the block is
interrupted and LeaseLost is raised. Before its last write a job calls `stop`, because that write ends the epoch, and a
heartbeat that comes after it would be treated as a lost lease.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from worker.concurrency import cancel_and_wait, run_to_completion
from worker.errors import LeaseLost

log = logging.getLogger("segment_personas.jobs")

HAND_OVER_S = 3.0
"""How long the hand-over of a job may take when its worker stops, in seconds: commit what it has, enqueue the next."""


class Grant(Protocol):
    """A job's right to work on a sync, or on a part of it."""

    @property
    def sync_id(self) -> str:
        """The id of the sync."""


G = TypeVar("G", bound=Grant)
AnyGrant = TypeVar("AnyGrant", bound=Grant, contravariant=True)


class HeartbeatStore(Protocol[AnyGrant]):
    """The store of the heartbeats of a grant."""

    async def heartbeat(self, grant: AnyGrant, *, note: str = "") -> None:
        """Records a heartbeat. Raises LeaseLost if the grant is over."""


class Lease(Generic[G]):
    """A grant that is kept alive by heartbeats.

    Args:
        store: Where heartbeats are kept.
        grant: The job's right to work.
        heartbeat_s: Seconds between two heartbeats.
        note: What the job waits for, shown to those who follow the sync.

    Attributes:
        lost: Whether a heartbeat found that the grant is over.
    """

    def __init__(self, store: HeartbeatStore[G], grant: G, heartbeat_s: float, note: str = "") -> None:
        self.grant = grant
        self.note = note
        self.lost = False
        self._store = store
        self._heartbeat_s = heartbeat_s
        self._heartbeats: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._heartbeats = asyncio.create_task(
            self._send_heartbeats(_this_task()), name=f"heartbeat {self.grant.sync_id}"
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await run_to_completion(self.stop())  # a cancellation at this point must not replace the job's own error
        if self.lost and kind is asyncio.CancelledError and _this_task().uncancel() == 0:
            raise LeaseLost("the sync was cancelled, ended or taken over")

    async def stop(self) -> None:
        """Stops the heartbeats: the job is about to make its last write."""
        while self._heartbeats and not self._heartbeats.done():
            self._heartbeats.cancel()
            # Repeated, because up to Python 3.12 `asyncio.wait_for` may swallow a cancellation.
            await asyncio.wait({self._heartbeats}, timeout=1)

    async def hand_over(self, write: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Hands the sync over when the worker stops. Does nothing if the epoch is over already.

        Args:
            write: Commits what the job has and enqueues the next job. It is given `HAND_OVER_S` seconds, and further
                cancellations of this task do not interrupt it.
        """
        if self.lost:
            return
        writing = asyncio.create_task(write())
        await asyncio.wait({writing}, timeout=HAND_OVER_S)
        if writing.done() and not writing.cancelled() and isinstance(writing.exception(), LeaseLost):
            log.info("%s: the sync ended or was taken over before the hand-over", self.grant.sync_id)
        await cancel_and_wait({writing})  # after that time another job may own the sync

    async def set_note(self, note: str) -> None:
        """Shows those who follow the sync at once what the job waits for."""
        if note != self.note:
            self.note = note
            await self._store.heartbeat(self.grant, note=note)

    async def _send_heartbeats(self, owner: asyncio.Task[object]) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            try:
                await self._store.heartbeat(self.grant, note=self.note)
            except LeaseLost:
                self.lost = True
                owner.cancel()
                return
            except Exception as error:  # noqa: BLE001 - if this task ended, the job would not notice a lost lease
                log.warning("%s: heartbeat failed: %s", self.grant.sync_id, error)


def _this_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task
