"""Reading syncs, without changing them."""

from __future__ import annotations

import contextlib

import orjson
from pydantic import ValidationError

from worker.clusters.analysis.snapshot import Snapshot
from worker.errors import StoreUnusable
from worker.models.outcome import PersonaOutcome
from worker.models.sync import Sync
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
        """Returns a sync with its statistics and outcomes; None if it is not known, or no longer."""
        async with self._pool.pipeline(transaction=True) as pipe:
            pipe.hgetall(keys.sync(sync_id))
            pipe.hvals(keys.outcomes(sync_id))
            fields, outcomes = await pipe.execute()
        if b"state" not in fields:  # no such key, or the key of another entity, such as `<id>:outcomes`
            return None
        return Sync.from_fields(_text(fields), tuple(map(_outcome, outcomes)))

    async def newest(self, limit: int = 100) -> list[Sync]:
        """Returns the newest syncs, newest first, without their outcomes."""
        ids = [raw.decode() for raw in await self._pool.zrevrange(keys.SYNCS, 0, limit - 1)]
        async with self._pool.pipeline(transaction=False) as pipe:
            for sync_id in ids:
                pipe.hgetall(keys.sync(sync_id))
            found = await pipe.execute() if ids else []
        return [Sync.from_fields(_text(fields)) for fields in found if fields]

    async def history(self, identity: str) -> list[Snapshot]:
        """Returns the snapshots of the last complete syncs of an identity, newest first."""
        snapshots = []
        with contextlib.suppress(StoreUnusable):  # the key holds another type: there is no history
            for entry in await self._pool.list_entries(keys.history(identity)):
                with contextlib.suppress(ValidationError):
                    snapshots.append(Snapshot.model_validate_json(entry))
        return snapshots

    async def outcomes(self, sync_id: str) -> tuple[PersonaOutcome, ...]:
        """Returns what has become of the sync's clusters so far."""
        return tuple(map(_outcome, await self._pool.hash_values(keys.outcomes(sync_id))))


def _text(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}


def _outcome(raw: bytes) -> PersonaOutcome:
    fields = orjson.loads(raw)
    return PersonaOutcome(**{**fields, "ignored": tuple(fields["ignored"]), "twins": tuple(fields.get("twins", ()))})
