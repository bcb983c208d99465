"""Listing syncs: page by page with filters, and which of some syncs have changed. No statistics or plans are read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from worker.models.sync import Sync, sync_version
from worker.models.versions import SyncUnreadable, UnreadableSync
from worker.store import keys
from worker.store.syncs.sync_reader import SyncReader, read_sync

_HEAVY = frozenset({b"aggregate", b"baseline", b"cursor", b"guard", b"lookup", b"plan"})
"""Fields that a list does not show; together they are most of a sync's memory."""

_CHUNK = 100
"""Syncs that are filtered with one request."""

_VERSION_FIELDS = ["state", "epoch", "pages", "profiles", "pages_listed", "revivals", "note"]


class SyncPlace(NamedTuple):
    """The end of a page of the list: the last sync that was looked at. Older syncs are smaller.

    Attributes:
        created_ms: When it was created, in milliseconds by the clock of Redis.
        sync_id: Its id.
    """

    created_ms: int
    sync_id: str


@dataclass(frozen=True)
class SyncPage:
    """A page of the list of syncs.

    Attributes:
        syncs: Newest first, without statistics and plans.
        end: Where the next page begins; None if there is no older sync.
    """

    syncs: tuple[Sync | UnreadableSync, ...]
    end: SyncPlace | None


class SyncListing(SyncReader):
    """The list of all syncs."""

    async def newest(self, limit: int = 100) -> list[Sync | UnreadableSync]:
        """Returns the newest syncs, newest first, without their statistics, plans and outcomes."""
        return list((await self.page(limit)).syncs)

    async def page(
        self,
        limit: int,
        *,
        after: SyncPlace | None = None,
        space_id: str | None = None,
        statuses: Collection[str] = (),
        scan: int = 5000,
    ) -> SyncPage:
        """Returns the syncs after a place.

        Args:
            limit: Most syncs of the page.
            after: Where the page before ended; None: from the newest.
            space_id: Only of this space.
            statuses: Only with one of these (`Sync.status`, or `unreadable`); empty: all.
            scan: Most syncs that are looked at. With filters, a page may hold fewer than `limit` and yet not be the
                last.
        """
        found: list[Sync | UnreadableSync] = []
        filtered = space_id is not None or bool(statuses)
        while scan > 0:
            count = min(_CHUNK if filtered else limit - len(found), scan)
            entries = await self._entries(after, count + 1)
            chosen = entries[:count]
            if filtered:
                chosen = await self._candidates(chosen, space_id, statuses)
            for entry, one in zip(chosen, await self._summaries(chosen), strict=True):
                if one is None or not _matches(one, space_id, statuses):
                    continue
                if len(found) == limit:
                    return SyncPage(tuple(found), after)
                found.append(one)
                after = entry
            if len(entries) <= count:
                return SyncPage(tuple(found), None)
            after = entries[count - 1]
            if len(found) == limit:
                break
            scan -= count
        return SyncPage(tuple(found), after)

    async def versions(self, sync_ids: Sequence[str]) -> dict[str, str]:
        """Returns `Sync.version` of each of these syncs that is known."""
        async with self._pool.pipeline(transaction=True) as pipe:
            for sync_id in sync_ids:
                pipe.hmget(keys.sync(sync_id), _VERSION_FIELDS)
                pipe.hlen(keys.outcomes(sync_id))
            answers = await pipe.execute() if sync_ids else []
        found = {}
        for sync_id, fields, outcomes in zip(sync_ids, answers[::2], answers[1::2], strict=True):
            state, epoch, *counts, note = [(value or b"").decode(errors="replace") for value in fields]
            if state:
                found[sync_id] = sync_version(state, epoch, [int(count or 0) for count in counts], note, outcomes)
        return found

    async def _entries(self, after: SyncPlace | None, count: int) -> list[SyncPlace]:
        """Returns the next entries of the list."""
        found: list[SyncPlace] = []
        skipped = 0
        newest = "+inf" if after is None else after.created_ms
        while len(found) < count:
            rows = await self._pool.zrevrangebyscore(
                keys.SYNCS, newest, "-inf", start=skipped, num=count, withscores=True
            )
            places = [SyncPlace(int(score), raw.decode(errors="replace")) for raw, score in rows]
            found += [place for place in places if after is None or place < after]
            if len(rows) < count:
                break
            skipped += len(rows)
        return found[:count]

    async def _candidates(
        self, entries: Sequence[SyncPlace], space_id: str | None, statuses: Collection[str]
    ) -> list[SyncPlace]:
        """Returns the entries that may match, also those that cannot be read."""
        async with self._pool.pipeline(transaction=False) as pipe:
            for entry in entries:
                pipe.hmget(keys.sync(entry.sync_id), ["state", "request"])
            answers = await pipe.execute() if entries else []
        found = []
        for entry, (state, request) in zip(entries, answers, strict=True):
            with suppress(ValueError, TypeError, AttributeError, KeyError):
                fields = orjson.loads(request)
                status = "planned" if state == b"completed" and fields.get("plan_only") else state.decode()
                if space_id not in (None, fields["space_id"]):
                    continue
                if statuses and status not in statuses and "unreadable" not in statuses:
                    continue
            found.append(entry)
        return found

    async def _summaries(self, entries: Sequence[SyncPlace]) -> list[Sync | UnreadableSync | None]:
        """Returns the syncs without their heavy fields; None for one that is not known any more."""
        if not entries:
            return []
        async with self._pool.pipeline(transaction=False) as pipe:
            for entry in entries:
                pipe.hkeys(keys.sync(entry.sync_id))
            names = [[name for name in found if name not in _HEAVY] for found in await pipe.execute()]
            for entry, wanted in zip(entries, names, strict=True):
                pipe.hmget(keys.sync(entry.sync_id), wanted or ["state"])
            values = await pipe.execute()
        found: list[Sync | UnreadableSync | None] = []
        for entry, wanted, texts in zip(entries, names, values, strict=True):
            fields = {name: text for name, text in zip(wanted, texts, strict=False) if text is not None}
            try:
                found.append(read_sync(entry.sync_id, fields) if fields else None)
            except SyncUnreadable as error:
                found.append(error.sync)
        return found


def _matches(sync: Sync | UnreadableSync, space_id: str | None, statuses: Collection[str]) -> bool:
    status = "unreadable" if isinstance(sync, UnreadableSync) else sync.status
    return space_id in (None, sync.space_id) and (not statuses or status in statuses)
