"""Reading syncs, without changing them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import orjson

from worker.clusters.analysis.snapshot import Snapshot
from worker.errors import StoreUnusable
from worker.models.outcome import PersonaOutcome
from worker.models.sync import Sync
from worker.models.versions import SyncUnreadable, describe_unreadable_sync, known_fields
from worker.store import keys
from worker.store.connection.pool import StorePool

_LONGEST_MS = 100 * 365 * 86_400_000
"""Redis refuses a time to live that is not positive or too large; a script must not find that out half-way."""


def storable_ms(time_ms: int) -> int:
    """Returns the nearest time to live, in milliseconds, that Redis accepts and that does not delete at once."""
    return min(max(1, time_ms), _LONGEST_MS)


class SyncReader:
    """Syncs as they are at the moment."""

    def __init__(self, pool: StorePool) -> None:
        self._pool = pool

    async def get(self, sync_id: str) -> Sync | None:
        """Returns a sync with its statistics and outcomes; None if it is not known, or no longer.

        Raises SyncUnreadable if a newer version has written it, or if it is damaged.
        """
        async with self._pool.pipeline(transaction=True) as pipe:
            pipe.hgetall(keys.sync(sync_id))
            pipe.hvals(keys.outcomes(sync_id))
            fields, outcomes = await pipe.execute()
        if b"state" not in fields:  # no such key, or the key of another entity, such as `<id>:outcomes`
            return None
        return read_sync(sync_id, fields, outcomes)

    async def history(self, identity: str) -> list[Snapshot]:
        """Returns the snapshots of the last complete syncs of an identity, newest first."""
        snapshots = []
        with contextlib.suppress(StoreUnusable):  # the key holds another type: there is no history
            for entry in await self._pool.list_entries(keys.history(identity)):
                with contextlib.suppress(ValueError):
                    snapshot = Snapshot.decode(entry)
                    snapshots += [snapshot] if snapshot else []
        return snapshots

    async def outcomes(self, sync_id: str) -> tuple[PersonaOutcome, ...]:
        """Returns what has become of the sync's clusters so far."""
        return tuple(map(_outcome, await self._pool.hash_values(keys.outcomes(sync_id))))


def read_sync(sync_id: str, fields: dict[bytes, bytes], outcomes: Sequence[bytes] = ()) -> Sync:
    """Reads a sync from its hash. Raises SyncUnreadable, whatever is wrong with it."""
    text = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
    try:
        return Sync.from_fields(text, tuple(map(_outcome, outcomes)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SyncUnreadable(describe_unreadable_sync(sync_id, text, error)) from error


def _outcome(raw: bytes) -> PersonaOutcome:
    fields = known_fields("a cluster's outcome", orjson.loads(raw), PersonaOutcome.__dataclass_fields__)
    return PersonaOutcome(**{**fields, "ignored": tuple(fields["ignored"]), "twins": tuple(fields.get("twins", ()))})
