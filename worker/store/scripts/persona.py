"""Scripts of persona records and claims. Records are compared as encoded bytes. Times are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from worker.store.connection.pool import StorePool
from worker.store.keys import HashKey, SortedSetKey
from worker.store.progress.sync_progress import LeaseGrant
from worker.store.scripts.sync import BusySync
from worker.store.typed_script.lua_script import lua_script


class Change(StrEnum):
    """Answer to a change of a record or claim.

    Attributes:
        CHANGED: Another caller has changed it meanwhile, and nothing was written.
    """

    OK = "ok"
    CHANGED = "changed"


class Adoption(StrEnum):
    """Answer to an adoption.

    Attributes:
        EXISTS: The reference has another persona.
    """

    OK = "ok"
    EXISTS = "exists"


class Renaming(StrEnum):
    """Answer to a renaming.

    Attributes:
        CHANGED: The record has changed meanwhile.
        EXISTS: The new reference has a persona.
        DOUBT: The new reference has a claim.
    """

    OK = "ok"
    CHANGED = "changed"
    EXISTS = "exists"
    DOUBT = "doubt"


class ClaimWon(StrEnum):
    """The caller holds the claim."""

    WON = "won"


@dataclass(frozen=True)
class ClaimHeld:
    """Another attempt holds the claim."""

    word: ClassVar[str] = "held"
    by: str
    sync_id: str
    age_ms: int
    settle_ms: int


@dataclass(frozen=True)
class PersonaRecorded:
    """The reference has a persona already."""

    word: ClassVar[str] = "recorded"
    record: bytes


@lua_script("persona/claim")
async def claim(
    pool: StorePool,
    *,
    claim: HashKey,
    personas: HashKey,
    sync: HashKey,
    lease: LeaseGrant,
    reference: str,
    by: str,
    settle_ms: int,
) -> ClaimWon | ClaimHeld | PersonaRecorded:
    """Takes the right to buy a persona."""


@lua_script("persona/release_claim")
async def release_claim(pool: StorePool, *, claim: HashKey, by: str) -> Change:
    """Ends a claim that bought nothing."""


@lua_script("persona/record")
async def record(
    pool: StorePool,
    *,
    personas: HashKey,
    claim: HashKey,
    sync: HashKey,
    outcomes: HashKey,
    reference: str,
    record: bytes,
    cluster: str,
    outcome: bytes,
    persona_id: str,
    credits: int,
    fetched_at: int | None,
) -> None:
    """Records a persona, ends its claim, and notes the outcome at the sync."""


@lua_script("persona/record_unsent")
async def record_unsent(
    pool: StorePool,
    *,
    personas: HashKey,
    sync: HashKey,
    outcomes: HashKey,
    lease: LeaseGrant,
    reference: str,
    before: bytes,
    after: bytes,
    cluster: str,
    outcome: bytes,
) -> None:
    """Notes the outcome of a cluster for which nothing is sent, and renews its record."""


@lua_script("persona/delete_record")
async def delete_record(pool: StorePool, *, personas: HashKey, reference: str, record: bytes) -> Change:
    """Removes a record."""


@lua_script("persona/adopt")
async def adopt(
    pool: StorePool,
    *,
    personas: HashKey,
    claim: HashKey,
    active: SortedSetKey,
    reference: str,
    record: bytes,
    account: str,
) -> Adoption | BusySync:
    """Records a persona that a user names."""


@lua_script("persona/rename")
async def rename(
    pool: StorePool,
    *,
    personas: HashKey,
    claim: HashKey,
    active: SortedSetKey,
    old: str,
    new: str,
    before: bytes,
    after: bytes,
    account: str,
) -> Renaming | BusySync:
    """Moves a record to another reference."""
