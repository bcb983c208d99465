"""Records what a sync did for each cluster, and records it again if Redis loses it.

A record says which persona belongs to a cluster and what was last sent. An outcome says what the sync did for the
cluster and what it cost. Both are written by one script, which also ends the claim on the persona.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial

from worker.clusters import ClusterSummary
from worker.jobs.audit_log import log_outcome
from worker.jobs.lease import Lease
from worker.jobs.personas.decide_persona_action import PersonaAction
from worker.jobs.personas.lookup.persona_finder import PersonaFinder
from worker.jobs.personas.lookup.persona_list import found_record
from worker.mavera import CREDITS_PER_PERSONA, Persona, PersonaPayload, Reference
from worker.mavera.ignored_fields import find_ignored_fields
from worker.metrics.worker_metrics import WorkerMetrics
from worker.models.outcome import PersonaOutcome
from worker.store import Claim, JobSyncStore, LeaseGrant, PersonaRecord, PersonaStore, SentPersona
from worker.store.progress.sync_progress import StartedJob

log = logging.getLogger("segment_personas.jobs")


@dataclass(frozen=True)
class PersonaRequest:
    """The persona that a cluster should have.

    Attributes:
        summary: Figures of the cluster.
        reference: The reference by which the persona is found again.
        payload: The fields that are sent to Mavera.
    """

    summary: ClusterSummary
    reference: Reference
    payload: PersonaPayload

    @property
    def reference_text(self) -> str:
        """The reference, as written in the description and in Redis."""
        return str(self.reference)


@dataclass
class PersonaRecorder:
    """Records the personas and outcomes of one sync.

    Attributes:
        started: The sync.
        lease: The job's lease on the sync.
        finder: Finds personas at Mavera, and their twins.
        personas: Store of records and claims.
        syncs: Store of syncs and their outcomes.
        on_recorded: Called after a created or updated persona is recorded.
        metrics: Counts personas and credits.
    """

    started: StartedJob
    lease: Lease[LeaseGrant]
    _: KW_ONLY
    finder: PersonaFinder
    personas: PersonaStore
    syncs: JobSyncStore
    on_recorded: Callable[[], None]
    metrics: WorkerMetrics

    def __post_init__(self) -> None:
        self._twins_logged: set[str] = set()
        self._written: dict[str, Callable[[], Awaitable[None]]] = {}

    @property
    def sync_id(self) -> str:
        """Id of the sync."""
        return self.started.lease.sync_id

    async def restore_lost(self) -> None:
        """Records again what this job recorded and Redis lost in a restart."""
        known = {outcome.cluster for outcome in await self.syncs.outcomes(self.sync_id)}
        for cluster, write in self._written.items():
            if cluster not in known:
                await write()

    async def is_settled(self, wanted: PersonaRequest) -> bool:
        """Returns whether the sync has an outcome for this cluster."""
        outcomes = await self.syncs.outcomes(self.sync_id)
        return any(one.cluster == wanted.summary.key for one in outcomes)

    def found_record(self, wanted: PersonaRequest, persona_id: str) -> PersonaRecord:
        """Returns the record of a persona of which only the id is known."""
        return found_record(self.started.request, self.sync_id, wanted.summary, persona_id)

    async def record_sent(
        self,
        wanted: PersonaRequest,
        persona_id: str,
        action: str,
        credits_charged: int,
        answer: Persona | None,
        reason: str = "",
    ) -> None:
        """Records a persona that was just created or updated.

        Args:
            wanted: The cluster's persona.
            persona_id: Its id at Mavera.
            action: `created` or `updated`.
            credits_charged: Credits that it cost.
            answer: The persona as Mavera returned it; None if the answer was not readable.
            reason: Why it was updated; empty for a new persona.
        """
        ignored = find_ignored_fields(wanted.payload.as_json(), answer)
        outcome = await self._with_twins(
            wanted, PersonaOutcome(wanted.summary.key, persona_id, action, credits_charged, ignored, reason)
        )
        sent = SentPersona(wanted.payload.wording, wanted.payload.figures, await self.personas.now())
        record = replace(self.found_record(wanted, persona_id), complete=self.started.checkpoint.complete, sent=sent)
        await self._record(wanted, record, outcome)

    async def record_claimed(self, wanted: PersonaRequest, persona_id: str, claim: Claim) -> bool:
        """Records a persona for the sync that claimed it and could not record it.

        Returns:
            Whether that is this sync, so that the cluster is settled.
        """
        sync_id = claim.sync_id
        # The payload of that POST is not known for certain: the sync may have been restarted since.
        complete = sync_id != self.sync_id or self.started.checkpoint.complete
        record = replace(self.found_record(wanted, persona_id), sync_id=sync_id, complete=complete)
        outcome = PersonaOutcome(wanted.summary.key, persona_id, "created", CREDITS_PER_PERSONA)
        if sync_id == self.sync_id:
            await self._record(wanted, record, outcome)
            return True
        await self.personas.record(wanted.reference_text, record, outcome)
        return False

    async def record_unsent(
        self, wanted: PersonaRequest, known: PersonaRecord | None, record: PersonaRecord, decision: PersonaAction
    ) -> None:
        """Records that nothing was sent for a cluster that has a persona.

        Args:
            wanted: The cluster's persona.
            known: Its record in Redis; None if the persona was only found at Mavera.
            record: The record to keep.
            decision: Why nothing was sent: `leave` or `skip`.
        """
        seen, action = record, "skipped"
        if decision.action == "leave":
            seen, action = replace(record, sync_id=self.sync_id, n=wanted.summary.n), "unchanged"
        outcome = await self._with_twins(
            wanted, PersonaOutcome(wanted.summary.key, record.persona_id, action, 0, reason=decision.reason)
        )
        write = partial(self.personas.record_unsent, self.lease.grant, wanted.reference_text, known, seen, outcome)
        self._written[wanted.summary.key] = write
        await write()

    async def _record(self, wanted: PersonaRequest, record: PersonaRecord, outcome: PersonaOutcome) -> None:
        write = partial(
            self.personas.record, wanted.reference_text, record, outcome, fetched_at=self.started.fetched_at
        )
        self._written[wanted.summary.key] = write
        await write()
        log_outcome(self.started, outcome)
        self.metrics.count_persona(outcome.action, outcome.credits)
        self.on_recorded()

    async def _with_twins(self, wanted: PersonaRequest, outcome: PersonaOutcome) -> PersonaOutcome:
        """Returns the outcome with the other personas that have the same reference."""
        twins = tuple(one for one in await self.finder.find_twins(wanted.reference) if one != outcome.persona_id)
        if twins and wanted.reference_text not in self._twins_logged:
            self._twins_logged.add(wanted.reference_text)
            log.warning(
                "%s: %s has several personas at Mavera; %s is updated, %s are not",
                *(self.sync_id, wanted.summary.key, outcome.persona_id, ", ".join(twins)),
            )
        return replace(outcome, twins=twins)
