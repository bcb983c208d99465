"""Who is buying which persona at the moment, and the record of what was bought.

A claim is taken before a `POST` and ends with the record or with a definite refusal. It never expires, because a claim
without a record means that a persona may have been bought.
"""

from __future__ import annotations

import math

import orjson

from worker.models.outcome import PersonaOutcome
from worker.store import keys
from worker.store.connection.run_watch import WATCHED_PREFIX
from worker.store.documents.sync_progress import LeaseGrant
from worker.store.personas.persona_record import Claim, ClaimAnswer, PersonaRecord
from worker.store.personas.persona_records import PersonaRecords
from worker.store.scripts import connection as connection_scripts
from worker.store.scripts import persona as persona_scripts


class PersonaStore(PersonaRecords):
    """Records and claims of one Mavera account. A claim under the account's former name counts too."""

    async def find_claim(self, reference: str) -> Claim | None:
        """The claim on a persona: somebody buys it, or may have bought it. None if nobody does."""
        for account in filter(None, (self._account, self._former)):
            if held := await self._pool.hash_fields(keys.claim(account, reference)):
                age_s = await self.now() - int(held[b"at"]) / 1000
                settle_s = int(held.get(b"settle_ms", b"0")) / 1000
                return Claim(held[b"by"].decode(), held[b"sync"].decode(), age_s, settle_s)
        return None

    async def claim(self, lease: LeaseGrant, reference: str, by: str, *, settle_s: float = 0.0) -> ClaimAnswer:
        """Asks for the right to buy.

        Args:
            lease: Of the job that asks.
            reference: Of the persona.
            by: Names this attempt.
            settle_s: Seconds after which the caller's settings take a POST for lost; kept with the claim.

        Raises:
            LeaseLost: The job no longer owns its sync.
        """
        if self._former and (earlier := await self._former_answer(reference)):
            return earlier
        answer = await persona_scripts.claim(
            self._pool,
            claim=keys.claim(self._account, reference),
            personas=keys.personas(self._account),
            sync=keys.sync(lease.sync_id),
            lease=lease,
            reference=reference,
            by=by,
            settle_ms=round(settle_s * 1000),
        )
        match answer:
            case persona_scripts.ClaimHeld(holder, sync_id, age_ms, settle_ms):
                return ClaimAnswer("held", claim=Claim(holder, sync_id, age_ms / 1000, settle_ms / 1000))
            case persona_scripts.PersonaRecorded(record):
                return ClaimAnswer("recorded", record=PersonaRecord.decode(record))
            case _:
                return ClaimAnswer("won")

    async def release_claim(self, reference: str, by: str) -> bool:
        """Ends a claim that bought nothing. False if it was no longer the claim of `by`."""
        accounts = filter(None, (self._account, self._former))
        answers = [
            await persona_scripts.release_claim(self._pool, claim=keys.claim(account, reference), by=by)
            for account in accounts
        ]
        return persona_scripts.Change.OK in answers

    async def record(
        self, reference: str, record: PersonaRecord, outcome: PersonaOutcome, *, fetched_at: float | None = None
    ) -> None:
        """Keeps the persona, ends its claim, and notes the outcome at the sync, in whatever state that is.

        fetched_at: of the statistics that it was made from (`StartedJob`); if the sync has others by now, its outcome
        is not noted. None: it does not depend on them. The sync's credits count a persona once, however often and by
        whichever of its jobs it is recorded.
        """
        await persona_scripts.record(
            self._pool,
            personas=keys.personas(self._account),
            claim=keys.claim(self._account, reference),
            sync=keys.sync(record.sync_id),
            outcomes=keys.outcomes(record.sync_id),
            reference=reference,
            record=record.encode(),
            cluster=outcome.cluster,
            outcome=orjson.dumps(outcome.as_json()),
            persona_id=outcome.persona_id,
            credits=outcome.credits,
            fetched_at=None if fetched_at is None else round(fetched_at * 1000),
        )
        if self._former:
            await self._pool.delete(keys.claim(self._former, reference))

    async def redis_run(self) -> tuple[str, float]:
        """Redis' run, and for how many seconds nothing can have been lost: since it started, or took over.

        A power cut can take a claim and its record with it, and the very memory that there was one before; a replica
        that takes over may lack both, and so does a Redis that was emptied, which gets another run here. So for a while
        after any of these, absence proves nothing. The seconds are by the clock of Redis' host: see `SettleWatch`.
        """
        run, age_s = await self._pool.server_run()
        if run.startswith(WATCHED_PREFIX):
            return run, age_s
        seen = await connection_scripts.note_restart(
            self._pool, noted=keys.RUN, run_id=run, permanent=math.isinf(age_s)
        )
        since_change_s = seen.since_ms / 1000
        name = f"{run}@{seen.mark}" if seen.mark else run
        return name, age_s if since_change_s < 0 else min(age_s, since_change_s)

    async def _former_answer(self, reference: str) -> ClaimAnswer | None:
        """What stands under the account's former name in the way of a purchase."""
        await self.find_record(reference)  # moves a record to where the script sees it
        if await self._pool.exists(keys.claim(self._former, reference)):
            return ClaimAnswer("held", claim=await self.find_claim(reference))
        return None
