"""Scripts of a rate limit that all workers share. Times are microseconds by the clock of Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from worker.store.connection.pool import StorePool
from worker.store.keys import HashKey, ListKey
from worker.store.typed_script.lua_script import lua_script


@dataclass(frozen=True)
class ReservedSlot:
    """A slot, and how far away it is."""

    word: ClassVar[str] = "ok"
    wait_us: int
    slot_us: int


@dataclass(frozen=True)
class RefusedSlot:
    """The next slot is further away than the caller wants to wait; it was not reserved."""

    word: ClassVar[str] = "refused"
    wait_us: int


@lua_script("ratelimit/reserve_slot")
async def reserve_slot(
    pool: StorePool,
    *,
    limit: HashKey,
    log: ListKey,
    most: float,
    paced: bool,
    margin: int,
    burst_us: int,
    gap_us: int,
    window_us: int,
    quiet_us: int,
    near_us: int,
    unused_us: int,
    heard: float,
    valid_us: int,
    pause_us: int,
) -> ReservedSlot | RefusedSlot:
    """Reserves the next slot of a rate limit, and notes what the API said of it."""


@lua_script("ratelimit/penalise")
async def penalise(pool: StorePool, *, limit: HashKey, wait_us: int, margin: int, quiet_us: int) -> None:
    """Stops all requests for a while, and widens the margin."""
