"""A job's hold on its sync: it says every few seconds that it lives, and learns when its epoch is over.

Used as a block. When the epoch is over (cancelled, taken over, ended) the block is interrupted and LeaseLost is raised.
Before a job's last move it calls `stop`, or its own move would look like somebody else's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from worker.concurrency import give_up, to_its_end
from worker.errors import LeaseLost

log = logging.getLogger("segment_personas.jobs")

HAND_OVER_S = 3.0
"""How long a job that is told to stop may take for its last move: to commit what it has, and to hand over."""


class Grant(Protocol):
    """A job's right to work on a sync, or on a part of it."""

    @property
    def sync_id(self) -> str: ...


G = TypeVar("G", bound=Grant)
AnyGrant = TypeVar("AnyGrant", bound=Grant, contravariant=True)


class HeartbeatStore(Protocol[AnyGrant]):
    """Where a grant shows that it lives."""

    async def heartbeat(self, grant: AnyGrant, *, note: str = "") -> None:
        """Raises LeaseLost if the grant is over."""


class Lease(Generic[G]):
    """A grant that is kept alive. note: what the job waits for, shown to those who follow the sync."""

    def __init__(self, heart: HeartbeatStore[G], grant: G, heartbeat_s: float, note: str = "") -> None:
        self.grant = grant
        self.note = note
        self.lost = False
        self._heart = heart
        self._heartbeat_s = heartbeat_s
        self._beating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._beating = asyncio.create_task(self._beat(_this_task()), name=f"heartbeat {self.grant.sync_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await to_its_end(self.stop())  # a cancellation now must not take the place of the job's own error
        if self.lost and kind is asyncio.CancelledError and _this_task().uncancel() == 0:
            raise LeaseLost("the sync was cancelled, ended or taken over")

    async def stop(self) -> None:
        """No further sign of life: the job is about to make its last move."""
        while self._beating and not self._beating.done():
            self._beating.cancel()
            # Again if need be: until Python 3.12, `asyncio.wait_for` may swallow a cancellation.
            await asyncio.wait({self._beating}, timeout=1)

    async def hand_over(self, move: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """The worker is told to stop: makes a move, within a bound, whatever else is asked of this task. Nothing if the
        epoch is over already."""
        if self.lost:
            return
        last = asyncio.create_task(move())
        await asyncio.wait({last}, timeout=HAND_OVER_S)
        if last.done() and not last.cancelled() and isinstance(last.exception(), LeaseLost):
            log.info("%s: it ended or was taken over before the last move", self.grant.sync_id)
        await give_up({last})  # by now somebody else may own the sync

    async def set_note(self, note: str) -> None:
        """Tells whoever follows what the job waits for, at once."""
        if note != self.note:
            self.note = note
            await self._heart.heartbeat(self.grant, note=note)

    async def _beat(self, owner: asyncio.Task[object]) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            try:
                await self._heart.heartbeat(self.grant, note=self.note)
            except LeaseLost:
                self.lost = True
                owner.cancel()
                return
            except Exception as error:  # noqa: BLE001 - if this went silent, nobody would tell the job when it is over
                log.warning("%s: no sign of life could be given: %s", self.grant.sync_id, error)


def _this_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task
