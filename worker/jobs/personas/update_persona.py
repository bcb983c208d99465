"""Updates a cluster's persona with one PATCH, which is free, and records it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from worker.errors import ResumableStop
from worker.jobs.api_caller import ApiCaller
from worker.jobs.personas.account_credits import Account
from worker.jobs.personas.claim_resolver import contradiction_error
from worker.jobs.personas.lookup.persona_finder import PersonaFinder
from worker.jobs.personas.persona_recorder import PersonaRecorder, PersonaRequest
from worker.mavera import MaveraClient, PersonaGone
from worker.store import PersonaRecord, PersonaStore


@dataclass
class PersonaUpdater:
    """Updates the personas of one sync.

    Attributes:
        mavera: Client of the account.
        caller: Sends the free requests to Mavera.
        finder: Finds personas at Mavera.
        personas: Store of records and claims.
        recorder: Records the updated persona.
        account: The Mavera account, whose usage is noted before the first change.
    """

    _: KW_ONLY
    mavera: MaveraClient
    caller: ApiCaller
    finder: PersonaFinder
    personas: PersonaStore
    recorder: PersonaRecorder
    account: Account

    async def update(self, wanted: PersonaRequest, record: PersonaRecord, reason: str) -> bool:
        """Updates a persona and records it.

        A 404 counts only if Mavera's list does not have the persona either. Then its record is removed.

        Args:
            wanted: The cluster's persona.
            record: The record of the persona.
            reason: Why it is updated, for the outcome.

        Returns:
            Whether it was updated; False if Mavera no longer has it.

        Raises:
            PersonaInDoubt: Mavera answers 404 and lists the persona, or its list is not complete.
            ApiError, Defer: The update failed, or has to wait.
        """
        await self.account.note_usage()
        try:
            persona = await self.caller.call(lambda: self.mavera.update(record.persona_id, wanted.payload))
        except PersonaGone:
            if await self.finder.is_still_listed(record.persona_id):
                raise contradiction_error(wanted, record.persona_id) from None
            await self.personas.delete_record(wanted.reference_text, record)
            return False
        except ResumableStop as refusal:
            if refusal.code != "mavera_forbidden":
                raise
            raise ResumableStop(
                refusal.code,
                str(refusal),
                hint=f"{refusal.hint} If this persona cannot be changed any more, run "
                f"`segment-personas personas forget {record.space_id} {record.cluster}`; the next sync then creates a "
                "new one unless it finds it again.",
            ) from None
        await self.recorder.record_sent(wanted, record.persona_id, "updated", 0, persona, reason)
        return True
