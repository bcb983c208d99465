"""Scripts of webhooks: taking and settling events, and the alert about credits. Times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from worker.store.connection.pool import StorePool
from worker.store.keys import HashKey, SortedSetKey
from worker.store.typed_script.lua_script import lua_script


@dataclass(frozen=True)
class TakenEvent:
    """An event that was taken.

    Attributes:
        kind: `sync`, or its type.
        document: The event as JSON; empty for a sync.
        attempt: Number of the delivery attempt, from 1.
    """

    id: str
    kind: str
    document: bytes
    at_ms: int
    attempt: int
    first_ms: int


@dataclass(frozen=True)
class TakenEvents:
    """The events that the caller may deliver."""

    word: ClassVar[str] = "ok"
    events: tuple[TakenEvent, ...]


@lua_script("webhook/take_events")
async def take_events(
    pool: StorePool, *, outbox: SortedSetKey, webhooks: HashKey, clock: HashKey, count: int, hold_ms: int
) -> TakenEvents:
    """Takes events that are due."""


@lua_script("webhook/settle_event")
async def settle_event(
    pool: StorePool, *, outbox: SortedSetKey, webhooks: HashKey, id: str, reason: str, lost: bool, delay_ms: int
) -> None:
    """Notes what became of an attempt to deliver an event."""


@lua_script("webhook/note_credits")
async def note_credits(pool: StorePool, *, alerts: HashKey, account: str, low: bool, document: str) -> None:
    """Notes whether the credits of an account are low."""
