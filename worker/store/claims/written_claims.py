"""The persona store of a process without Redis: claims are written to a file before what they permit is done."""

from __future__ import annotations

import asyncio
import logging

from worker.errors import PersonasError, ResumableStop
from worker.models.outcome import PersonaOutcome
from worker.store import keys
from worker.store.claims.claim_file import ClaimFile, StateUnusable
from worker.store.connection.pool import StorePool
from worker.store.personas.persona_record import ClaimAnswer, PersonaRecord
from worker.store.personas.persona_store import PersonaStore
from worker.store.progress.sync_progress import LeaseGrant

log = logging.getLogger("segment_personas.store")


class WrittenClaims(PersonaStore):
    """Records and claims in memory, with what must outlive the process in a file.

    Args:
        pool: In-memory Redis of this process.
        account: Name of the account in keys.
        file: The account's claim file.
        settle_s: Seconds after which absence at Mavera is believed.
    """

    def __init__(self, pool: StorePool, account: str, file: ClaimFile, settle_s: float) -> None:
        super().__init__(pool, account)
        self._file = file
        self._settle_s = settle_s

    async def restore(self) -> None:
        """Puts the claims and recent purchases of earlier processes into memory.

        A claim is as good as new: this process watches Mavera for the whole settle time before it believes that no
        persona was made, whatever the wall clock says about the claim's age.
        """
        seconds, _ = await self._pool.time()
        settle_times = self._file.settle_times
        for reference, claim in self._file.claims.items():
            settle_ms = round(settle_times.get(reference, 0.0) * 1000)
            fields = {"by": claim["by"], "sync": claim["sync"], "at": int(seconds) * 1000, "settle_ms": settle_ms}
            await self._pool.hset(keys.claim(self._account, reference), mapping=fields)  # type: ignore[misc]
        for reference, persona_id in self._file.bought.items():
            record = PersonaRecord(persona_id, space_id="", cluster="", sync_id="", n=0)
            await self._pool.hset(keys.personas(self._account), reference, record.encode())  # type: ignore[misc, arg-type]

    async def claim(self, lease: LeaseGrant, reference: str, by: str, *, settle_s: float = 0.0) -> ClaimAnswer:
        """As `PersonaStore.claim`; a claim that is won is on the disk when this returns.

        Raises:
            ResumableStop: It cannot be written; it is given back, and nothing may be bought.
        """
        answer = await super().claim(lease, reference, by, settle_s=settle_s)
        if answer.kind == "won":
            try:
                await asyncio.to_thread(self._file.open, reference, by, lease.sync_id, self._settle_s)
            except StateUnusable as error:
                await super().release_claim(reference, by)
                raise ResumableStop("state_unwritable", str(error), hint=error.hint) from None
        return answer

    async def release_claim(self, reference: str, by: str) -> bool:
        """As `PersonaStore.release`."""
        released = await super().release_claim(reference, by)
        if released:
            await self._note(self._file.close, reference, by=by)
        return released

    async def record(
        self, reference: str, record: PersonaRecord, outcome: PersonaOutcome, *, fetched_at: float | None = None
    ) -> None:
        """As `PersonaStore.record`."""
        await super().record(reference, record, outcome, fetched_at=fetched_at)
        await self._note(self._file.close, reference, persona_id=record.persona_id)

    async def delete_record(self, reference: str, record: PersonaRecord) -> bool:
        """As `PersonaStore.forget`."""
        forgotten = await super().delete_record(reference, record)
        if forgotten:
            await self._note(self._file.forget, reference)
        return forgotten

    async def _note(self, change: object, *args: object, **kwargs: object) -> None:
        """Changes the file after the fact. If that fails, the next process waits once more before it buys."""
        assert callable(change)
        try:
            await asyncio.to_thread(change, *args, **kwargs)
        except PersonasError as error:
            log.warning("a purchase that has ended stays in the claim file: %s", error)
