"""The inbox: a list into which other programs put requests for syncs, and the answers that they find."""

from __future__ import annotations

from worker.models.inbox import InboxAnswer
from worker.store import keys
from worker.store.connection.pool import StorePool


class InboxStore:
    """The inbox of a Redis.

    Args:
        pool: Client of Redis.
        retention_ms: Milliseconds for which an answer is kept.
    """

    def __init__(self, pool: StorePool, *, retention_ms: int) -> None:
        self._pool = pool
        self._retention_ms = retention_ms

    async def first(self) -> bytes | None:
        """Returns the oldest document without taking it; None if there is none."""
        found: bytes | None = await self._pool.lindex(keys.INBOX, 0)  # type: ignore[misc]
        return found

    async def answer(self, document: bytes, document_id: str, answer: InboxAnswer) -> None:
        """Writes the answer to a document and takes it out of the inbox, both or neither.

        Args:
            document: As `first` returned it.
            document_id: Its id; if empty, no answer is written, because it could not be found.
            answer: What became of it.
        """
        async with self._pool.pipeline(transaction=True) as pipe:
            if document_id:
                text = answer.model_dump_json(exclude_none=True)
                pipe.set(keys.answer(document_id), text, px=self._retention_ms)
            pipe.lrem(keys.INBOX, 1, document)  # type: ignore[arg-type]
            await pipe.execute()
