"""The copy of a Redis' records, claims and history, and how it is merged with what another Redis holds. Pure.

A merge never makes a purchase possible that was not possible before:

- A record that the target has is kept unless the caller replaces it.
- A claim is never removed. If both sides have a claim on one persona, the copy's claimant and the longer settle time
  are kept, so that workers of the target watch it from now on for the settle time of both.
- A claim is left out only where the target has, or gets, the record of the persona.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from worker.store.syncs.job_sync_store import HISTORY

Place = tuple[str, str]
"""A Mavera account's name in keys, and the reference of a persona."""


@dataclass(frozen=True)
class StateCopy:
    """The copied records, claims and histories. Texts are as Redis holds them.

    Attributes:
        records: The record of each persona, as JSON.
        claims: The fields of each claim.
        histories: The snapshots of each identity's last complete syncs, as JSON, newest first.
    """

    records: Mapping[Place, str] = field(default_factory=dict)
    claims: Mapping[Place, Mapping[str, str]] = field(default_factory=dict)
    histories: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.records or self.claims or self.histories)


@dataclass(frozen=True)
class Conflict:
    """A persona whose record is not that of the copy.

    Attributes:
        account: The account's name in keys.
        reference: The reference of the persona.
        present: The record that the target has.
        copied: The record of the copy.
    """

    account: str
    reference: str
    present: str
    copied: str


@dataclass(frozen=True)
class Merge:
    """The rows to write, and the rows that are not written with the reason.

    Attributes:
        changes: Records, claims and whole histories to write.
        conflicts: Records that differ. Their copies are in `changes` only if they replace those of the target.
        settled_claims: Claims of the copy on personas that have a record.
    """

    changes: StateCopy
    conflicts: tuple[Conflict, ...] = ()
    settled_claims: int = 0


def merge(present: StateCopy, copy: StateCopy, *, replace: bool = False) -> Merge:
    """Merges a copy into what a Redis holds.

    Args:
        present: What it holds at the copy's places. More does not matter.
        copy: The copy.
        replace: Whether records of the copy replace records that differ.
    """
    conflicts = tuple(
        Conflict(*place, present.records[place], record)
        for place, record in copy.records.items()
        if place in present.records and present.records[place] != record
    )
    records = {
        place: record
        for place, record in copy.records.items()
        if place not in present.records or (replace and present.records[place] != record)
    }
    recorded = present.records.keys() | copy.records.keys()
    claims = {}
    for place, claim in copy.claims.items():
        if place not in recorded and (merged := _merge_claims(present.claims.get(place), claim)):
            claims[place] = merged
    histories = {}
    for identity, entries in copy.histories.items():
        before = present.histories.get(identity, ())
        after = _merge_histories(before, entries)
        if list(after) != list(before):
            histories[identity] = after
    return Merge(StateCopy(records, claims, histories), conflicts, len(copy.claims.keys() & recorded))


def _merge_claims(present: Mapping[str, str] | None, copied: Mapping[str, str]) -> Mapping[str, str] | None:
    """Returns the claim to write; None if the present one says the same."""
    if present is None:
        return copied
    settle_ms = max(int(present.get("settle_ms", "0")), int(copied.get("settle_ms", "0")))
    merged = {**copied, "settle_ms": str(settle_ms)}
    if present.get("by") == copied.get("by") and int(present.get("settle_ms", "0")) == settle_ms:
        return None
    return merged


def _merge_histories(present: Sequence[str], copied: Sequence[str]) -> Sequence[str]:
    """Returns the newest snapshots of both, each sync once. Entries of the present history win."""
    if not present:
        return copied[:HISTORY]
    by_sync: dict[object, str] = {}
    for entry in (*present, *copied):
        by_sync.setdefault(_field(entry, "sync_id") or entry, entry)
    if len(by_sync) == len(present):
        return present
    return sorted(by_sync.values(), key=_read_to, reverse=True)[:HISTORY]


def _read_to(entry: str) -> float:
    found = _field(entry, "read_to")
    return float(found) if isinstance(found, int | float) else 0.0


def _field(entry: str, name: str) -> object:
    try:
        found = orjson.loads(entry)
    except ValueError:
        return None
    return found.get(name) if isinstance(found, dict) else None
