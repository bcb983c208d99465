"""Ensures that a cluster has one persona that is up to date and recorded.

    known (record) or found (reference at Mavera)?  ── yes → decide ┬ update → PATCH → record
      │ no, and it does not exist                                   └ leave, skip → record the outcome
    create (see `create_persona`) ── found meanwhile → decide, as above

`decide_action` decides what is done with a known persona, and `persona_finder` what proves that there is none. A
persona that would be left unchanged must be in Mavera's list: one that is not may have been deleted by hand, so it is
updated, which is free and shows whether it exists.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from worker.clusters import ClusterSummary
from worker.clusters.analysis.change_detection import ChangeThreshold
from worker.jobs.api_caller import ApiCaller
from worker.jobs.personas.claim_resolver import ClaimResolver
from worker.jobs.personas.create_persona import PersonaCreator
from worker.jobs.personas.decide_persona_action import PersonaAction, decide_action
from worker.jobs.personas.lookup.persona_finder import PersonaFinder
from worker.jobs.personas.lookup.persona_list import Lookup, cluster_reference
from worker.jobs.personas.persona_recorder import PersonaRecorder, PersonaRequest
from worker.jobs.personas.update_persona import PersonaUpdater
from worker.mavera import build_payload
from worker.store import PersonaRecord, PersonaStore
from worker.store.progress.sync_progress import StartedJob


@dataclass
class PersonaEnsurer:
    """Ensures that the clusters of one sync have their personas, one cluster at a time.

    Attributes:
        started: The sync.
        caller: Sends the free requests to Mavera.
        post_caller: Counts the failures of POSTs, with a retry budget of its own.
        finder: Finds personas at Mavera.
        personas: Store of records and claims.
        recorder: Records outcomes.
        resolver: Finds personas that may be in doubt.
        creator: Buys personas.
        updater: Updates personas.
        threshold: How far a share or a mean must have moved for an update.
    """

    started: StartedJob
    _: KW_ONLY
    caller: ApiCaller
    post_caller: ApiCaller
    finder: PersonaFinder
    personas: PersonaStore
    recorder: PersonaRecorder
    resolver: ClaimResolver
    creator: PersonaCreator
    updater: PersonaUpdater
    threshold: ChangeThreshold

    def __post_init__(self) -> None:
        self._lookup = Lookup.decode(self.started.lookup)

    @property
    def trouble_ms(self) -> int:
        """Milliseconds for which Mavera has failed to create a persona."""
        return self.post_caller.trouble_ms

    def note_progress(self) -> None:
        """Resets the retry budgets, because a cluster is settled."""
        self.caller.note_progress()
        self.post_caller.note_progress()

    async def restore_lost(self) -> None:
        """Records again what this job recorded and Redis lost in a restart."""
        await self.recorder.restore_lost()

    async def ensure_persona(self, summary: ClusterSummary, *, last: bool = False) -> None:
        """Ensures that a large enough cluster has one persona, up to date and recorded.

        For any other cluster it records why its persona, if it has one, is not changed.

        Args:
            summary: Figures of the cluster.
            last: Whether the sync has nothing else to do, so that this call waits for a persona in doubt.

        Raises:
            PersonaInDoubt: It is not known, or not yet, whether the cluster has a persona.
            ApiError, Defer, LeaseLost: The sync cannot continue now.
        """
        reference = cluster_reference(self.started.request, self.started.lease.sync_id, summary.key)
        wanted = PersonaRequest(summary, reference, build_payload(summary, reference, self.started.request.rules))
        if last and await self.recorder.is_settled(wanted):
            return
        known = record = await self.personas.find_record(wanted.reference_text)
        if record is None and self._decide(wanted, None).action == "skip":
            record = self._looked_up(wanted)
            if record is None:
                return
        elif record is None:
            claim = await self.personas.find_claim(wanted.reference_text)
            record = await self.resolver.find_persona(wanted, claim, last=last)
            if record and claim and await self.recorder.record_claimed(wanted, record.persona_id, claim):
                return
        while True:
            if record is None:
                if self._decide(wanted, None).action == "skip":
                    return  # the persona was deleted by hand, and a part of a space creates none
                known = record = await self.creator.create(wanted, last=last)
                if record and await self.recorder.is_settled(wanted):
                    return  # another sync has found what this one had bought
            if record is None or await self._bring_up_to_date(wanted, known, record):
                return
            # The persona was deleted by hand: create a new one, unless another one is found.
            self.resolver.mark_deleted(record.persona_id)
            known, record = None, await self.resolver.find_persona(wanted, None, last=last)

    async def _bring_up_to_date(
        self, wanted: PersonaRequest, known: PersonaRecord | None, record: PersonaRecord
    ) -> bool:
        """Updates a persona or leaves it, and records which.

        Args:
            wanted: The cluster's persona.
            known: Its record in Redis; None if the persona was only found at Mavera.
            record: The same record, or one for the persona that was found.

        Returns:
            False if Mavera no longer has the persona.
        """
        decision = self._decide(wanted, record)
        if decision.action == "leave" and not await self.finder.is_listed(record.persona_id):
            decision = PersonaAction("update", "Mavera does not list it")
        if decision.action == "update":
            return await self.updater.update(wanted, record, decision.reason)
        await self.recorder.record_unsent(wanted, known, record, decision)
        return True

    def _decide(self, wanted: PersonaRequest, record: PersonaRecord | None) -> PersonaAction:
        return decide_action(
            self.started.request,
            wanted.summary,
            wanted.payload,
            record,
            threshold=self.threshold,
            complete=self.started.checkpoint.complete,
        )

    def _looked_up(self, wanted: PersonaRequest) -> PersonaRecord | None:
        """Returns the persona that the fetch job's look-up found, for a cluster that is skipped."""
        persona_id = self._lookup.found.get(wanted.reference_text) if self._lookup else None
        return None if persona_id is None else self.recorder.found_record(wanted, persona_id)
