"""The records and claims of personas as they should be, in plain Python: a part of `Model`."""

from __future__ import annotations

from dataclasses import replace

from tests.support.syncs.batch_model import stale
from tests.support.syncs.model_queue import ModelQueue
from tests.support.syncs.model_sync import ModelSync
from worker.models.outcome import PersonaOutcome
from worker.models.sync import SyncState
from worker.store import (
    Claim,
    ClaimAnswer,
    LeaseGrant,
    PersonaRecord,
)


class ModelPersonas(ModelQueue):
    """Records and claims by reference. active: identity → its running syncs."""

    def __init__(self) -> None:
        super().__init__()
        self.active: dict[str, list[str]] = {}
        self.personas: dict[str, PersonaRecord] = {}
        self.claims: dict[str, tuple[str, str]] = {}

    def claim(self, lease: LeaseGrant, reference: str, by: str) -> ClaimAnswer:
        self._owned(replace(lease, state=SyncState.FINALIZING))
        if reference in self.personas:
            return ClaimAnswer("recorded", record=self.personas[reference])
        holder = self.claims.setdefault(reference, (by, lease.sync_id))
        return ClaimAnswer("won") if holder[0] == by else ClaimAnswer("held", claim=Claim(*holder, age_s=0))

    def release_claim(self, reference: str, by: str) -> bool:
        mine = self.claims.get(reference, ("", ""))[0] == by
        if mine:
            del self.claims[reference]
        return mine

    def record(self, reference: str, record: PersonaRecord, outcome: PersonaOutcome) -> None:
        self.personas[reference] = record
        self.claims.pop(reference, None)
        sync = self.syncs[record.sync_id]
        if sync.outcomes.get(outcome.cluster) != outcome:
            sync.outcomes[outcome.cluster] = outcome
            sync.revivals = 0
        if outcome.credits and outcome.persona_id not in sync.paid:
            sync.paid[outcome.persona_id] = outcome.credits

    def record_unsent(
        self,
        lease: LeaseGrant,
        reference: str,
        before: PersonaRecord | None,
        after: PersonaRecord | None,
        outcome: PersonaOutcome,
    ) -> None:
        sync = self.syncs[lease.sync_id]
        if (sync.state, sync.epoch) != (SyncState.COMPLETED, lease.epoch + 1):
            self._owned(replace(lease, state=SyncState.FINALIZING))
        if after and self.personas.get(reference) == before:
            self.personas[reference] = after
        if sync.outcomes.get(outcome.cluster) != outcome:
            sync.outcomes[outcome.cluster] = outcome
            sync.revivals = 0

    def delete_record(self, reference: str, record: PersonaRecord) -> bool:
        if self.personas.get(reference) != record:
            return False
        del self.personas[reference]
        return True

    def adopt(self, reference: str, record: PersonaRecord, identity: str) -> str:
        if running := self.active.get(identity):
            return running[-1]
        if self.personas.setdefault(reference, record) != record:
            return "exists"
        self.claims.pop(reference, None)
        return "ok"

    def rename(self, old: str, new: str, before: PersonaRecord, after: PersonaRecord, identity: str) -> str:
        if running := self.active.get(identity):
            return running[-1]
        found, there = self.personas.get(old), self.personas.get(new)
        if not found and there == after:
            return "ok"
        if there and (there != after or old == new):
            return "exists"
        if found != before:
            return "changed"
        if new in self.claims:
            return "doubt"
        self.personas[new] = after
        del self.personas[old]
        return "ok"

    def owns(self, lease: LeaseGrant) -> bool:
        """Whether the job of this lease may still move its sync."""
        sync = self.syncs[lease.sync_id]
        return (sync.state, sync.epoch, sync.holder) == (lease.state, lease.epoch, lease.holder)

    def _owned(self, lease: LeaseGrant) -> ModelSync:
        if not self.owns(lease):
            raise stale(self.syncs[lease.sync_id])
        return self.syncs[lease.sync_id]
