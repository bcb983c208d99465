"""The claims on personas: which job may buy which persona.

A claim is taken before a `POST` and ends with the record or with a definite refusal. It never expires, because a claim
without a record means that a persona may have been bought.
"""

from __future__ import annotations

import math

import orjson

from worker.models.outcome import PersonaOutcome
from worker.store import keys
from worker.store.connection.run_watch import WATCHED_PREFIX
from worker.store.personas.persona_record import Claim, ClaimAnswer, PersonaRecord
from worker.store.personas.record_store import RecordStore
from worker.store.progress.sync_progress import LeaseGrant
from worker.store.scripts import connection as connection_scripts
from worker.store.scripts import persona as persona_scripts


class PersonaStore(RecordStore):
    """The records and claims of one Mavera account. A claim under a former name of the account counts, too."""

    async def find_claim(self, reference: str) -> Claim | None:
        """Returns the claim on a persona, which is being bought or may have been bought; None if there is none."""
        for account in (self._account, *self._formers):
            if held := await self._pool.hash_fields(keys.claim(account, reference)):
                age_s = await self.now() - int(held[b"at"]) / 1000
                settle_s = int(held.get(b"settle_ms", b"0")) / 1000
                return Claim(held[b"by"].decode(), held[b"sync"].decode(), age_s, settle_s)
        return None

    async def claim(self, lease: LeaseGrant, reference: str, by: str, *, settle_s: float = 0.0) -> ClaimAnswer:
        """Takes the claim on a persona, which permits one `POST`.

        Args:
            lease: Of the job that asks.
            reference: Of the persona.
            by: Token of this attempt.
            settle_s: The worker's settle time in seconds (`MAVERA_SETTLE_S`), stored with the claim.

        Returns:
            Whether the claim was won, or what prevents it.

        Raises:
            LeaseLost: The job no longer owns its sync.
        """
        if self._formers and (earlier := await self._former_answer(reference)):
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
        """Ends a claim that bought nothing.

        Returns:
            Whether the claim was that of the attempt `by`, and has ended.
        """
        accounts = (self._account, *self._formers)
        answers = [
            await persona_scripts.release_claim(self._pool, claim=keys.claim(account, reference), by=by)
            for account in accounts
        ]
        return persona_scripts.Change.OK in answers

    async def record(
        self, reference: str, record: PersonaRecord, outcome: PersonaOutcome, *, fetched_at: float | None = None
    ) -> None:
        """Stores the record of a persona, ends its claim, and stores the outcome with the sync, in any state.

        The sync's credits count a persona once, however often it is recorded.

        Args:
            reference: Of the persona.
            record: The record to store.
            outcome: What the sync did for the cluster.
            fetched_at: When the statistics were complete from which the persona was made (`StartedJob`), Unix seconds.
                If the sync has other statistics now, the outcome is not stored. None: it does not depend on them.
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
        for former in self._formers:
            await self._pool.delete(keys.claim(former, reference))

    async def redis_run(self) -> tuple[str, float]:
        """Returns the current run of Redis, and its age in seconds, by the clock of Redis' host (see `SettleWatch`).

        A new run begins when Redis starts, when a replica takes over, and when Redis was emptied. Each of these can
        lose a claim together with its record, so in the first seconds of a run the absence of a claim proves nothing.
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
        """Returns the answer to a claim if a former name has a claim or record; None if none has."""
        await self.find_record(reference)  # moves a record to where the script sees it
        if await self._pool.exists(*(keys.claim(former, reference) for former in self._formers)):
            return ClaimAnswer("held", claim=await self.find_claim(reference))
        return None
