"""Decides whether a persona in doubt exists: a claim was taken, and it is not known whether the purchase happened.

Presence at Mavera is believed at once. Absence is believed only after this process has watched the claim for the settle
time by its own monotonic clock, and then from two complete listings. The settle time is the longer one of this worker's
setting and the claimant's. Then the claim is released, and the purchase may begin again.

Two cases remain open: a process that is suspended between its check of the deadline and its POST for longer than the
settle time, and a persona that Mavera lists later than that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass

from worker.jobs.lease import Lease
from worker.jobs.personas.lookup.persona_finder import PersonaFinder, PersonaInDoubt, RedisUnsettled
from worker.jobs.personas.lookup.settle_watch import SettleWatch
from worker.jobs.personas.persona_recorder import PersonaRecorder, PersonaRequest
from worker.store import Claim, LeaseGrant, PersonaRecord, PersonaStore

DOUBT_POLL_S = 0.5
"""Seconds between two checks for a record while a claim is watched."""


@dataclass
class ClaimResolver:
    """Looks up the personas of one sync at Mavera, also those that are in doubt.

    Attributes:
        lease: The job's lease on the sync.
        finder: Finds personas at Mavera.
        personas: Store of records and claims.
        recorder: Records a persona that a claimant could not record.
        settle_watch: Measures how long this process has seen each claim.
        settle_s: Settle time in seconds (`MAVERA_SETTLE_S`).
        sleep: Waits for a number of seconds.
    """

    lease: Lease[LeaseGrant]
    _: KW_ONLY
    finder: PersonaFinder
    personas: PersonaStore
    recorder: PersonaRecorder
    settle_watch: SettleWatch
    settle_s: float
    sleep: Callable[[float], Awaitable[None]]

    def __post_init__(self) -> None:
        self._deleted: set[str] = set()

    def mark_deleted(self, persona_id: str) -> None:
        """Remembers that Mavera no longer has this persona, so that a listing that shows it is a contradiction."""
        self._deleted.add(persona_id)

    async def find_persona(self, wanted: PersonaRequest, claim: Claim | None, *, last: bool) -> PersonaRecord | None:
        """Finds a cluster's persona in Mavera's list.

        Args:
            wanted: The cluster's persona.
            claim: The claim on the persona, None if there is none. A claimed persona may exist before it is listed.
            last: Whether the sync has nothing else to do, so that the caller will wait for a persona in doubt.

        Returns:
            The record of the persona. None if it does not exist, or if it is claimed, not listed, and `last`.

        Raises:
            PersonaInDoubt: It may exist although it is not listed, or it is listed although it was deleted.
            ApiError, Defer: As `PersonaFinder.find`.
        """
        if claim is not None:
            persona_id = await self._find_claimed(wanted, claim)
            if persona_id is None and not last:
                raise _pending_error(wanted)
        else:
            persona_id = await self.finder.find(wanted.payload, wanted.reference)
        if persona_id in self._deleted:
            raise contradiction_error(wanted, str(persona_id))
        return None if persona_id is None else self.recorder.found_record(wanted, persona_id)

    async def resolve(self, wanted: PersonaRequest, claim: Claim, *, last: bool) -> bool:
        """Waits until a claim without a record is no longer in doubt.

        Args:
            wanted: The cluster's persona.
            claim: The claim in doubt.
            last: Whether to wait for the settle time; otherwise the sync's other clusters go first.

        Returns:
            True if this sync bought the persona, which is recorded now. False if the purchase must begin again; a
            persona that another sync bought is recorded by then.

        Raises:
            PersonaInDoubt: It is in doubt and `last` is false, or waiting does not help.
            ApiError, Defer: As `PersonaFinder.find`.
        """
        watch, settle_s = self.settle_watch, max(self.settle_s, claim.settle_s)
        watch.claim_s(claim.by)
        if persona_id := await self._find_claimed(wanted, claim):
            return await self.recorder.record_claimed(wanted, persona_id, claim)
        if not last and watch.claim_s(claim.by) < settle_s:
            raise _pending_error(wanted)
        while (watched_s := watch.claim_s(claim.by)) < settle_s:
            await self.lease.set_note(
                f"{wanted.summary.label}: a purchase may be under way; waiting until its result is known"
            )
            await self.sleep(min(DOUBT_POLL_S, settle_s - watched_s))
            if await self.personas.find_record(wanted.reference_text):
                return False
        for _ in range(2):
            self.finder.forget_lists()
            if persona_id := await self.finder.find(wanted.payload, wanted.reference, claimed=self._is_ours(claim)):
                return await self.recorder.record_claimed(wanted, persona_id, claim)
        await self.personas.release_claim(wanted.reference_text, claim.by)
        return False

    async def _find_claimed(self, wanted: PersonaRequest, claim: Claim) -> str | None:
        """Returns the id of a claimed persona that Mavera lists now; None if it does not, or if that is not known."""
        self.finder.forget_lists()
        with contextlib.suppress(PersonaInDoubt, RedisUnsettled):
            return await self.finder.find(wanted.payload, wanted.reference, claimed=self._is_ours(claim))
        return None

    def _is_ours(self, claim: Claim) -> bool:
        return claim.sync_id == self.recorder.sync_id


def contradiction_error(wanted: PersonaRequest, persona_id: str) -> PersonaInDoubt:
    """Returns the error for a persona that Mavera lists although it answers 404 to its update."""
    return PersonaInDoubt(
        f"Mavera answers 404 to the update of {persona_id}, the persona of {wanted.summary.label}, but still "
        "lists it. None was bought",
        hint="Check MAVERA_BASE_URL and the rights of the key. If the persona was deleted, wait until the list no "
        "longer has it.",
    )


def _pending_error(wanted: PersonaRequest) -> PersonaInDoubt:
    return PersonaInDoubt(f"A persona for {wanted.summary.label} may have been bought; none was bought again")
