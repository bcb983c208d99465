"""Which dialect of Segment answers for a space, as the first sync in `auto` has found out."""

from __future__ import annotations

import hashlib

from worker.store import keys
from worker.store.connection.pool import StorePool


class DialectStore:
    """The dialect of one space, at the URLs where it is asked. It never expires; asking again would cost requests."""

    def __init__(self, pool: StorePool, space_id: str, urls: tuple[str, ...]) -> None:
        digest = hashlib.blake2b("\0".join((space_id, *urls)).encode(), digest_size=12).hexdigest()
        self._pool = pool
        self._key = keys.dialect(digest)

    async def find(self) -> str | None:
        """The dialect that has answered before, with what belongs to it; None if none has."""
        found = await self._pool.get(self._key)
        return found.decode() if isinstance(found, bytes) else found

    async def keep(self, dialect: str) -> None:
        """Remembers the dialect that has answered."""
        await self._pool.set(self._key, dialect)
