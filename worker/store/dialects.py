"""Remembers which dialect of Segment answers for a space, as the first sync with `auto` found out."""

from __future__ import annotations

import hashlib

from worker.store import keys
from worker.store.connection.pool import StorePool


class DialectStore:
    """The dialect of one space. It never expires, because detecting it again would cost requests.

    Args:
        pool: Client of Redis.
        space_id: Id of the space.
        urls: URLs of the dialects; other URLs are another key.
    """

    def __init__(self, pool: StorePool, space_id: str, urls: tuple[str, ...]) -> None:
        digest = hashlib.blake2b("\0".join((space_id, *urls)).encode(), digest_size=12).hexdigest()
        self._pool = pool
        self._key = keys.dialect(digest)

    async def find_dialect(self) -> str | None:
        """Returns the text of the dialect that answered before (`DialectVariant`); None if none did."""
        found = await self._pool.get(self._key)
        return found.decode() if isinstance(found, bytes) else found

    async def store_dialect(self, dialect: str) -> None:
        """Stores the text of the dialect that answered."""
        await self._pool.set(self._key, dialect)
