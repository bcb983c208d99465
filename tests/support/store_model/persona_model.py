"""What the model needs for personas: their claims and records, and what a sync notes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from worker.models.outcome import PersonaOutcome
from worker.models.sync import SyncState
from worker.store import Claim, ClaimAnswer, LeaseGrant, PersonaRecord

if TYPE_CHECKING:
    from tests.support.store_model.model import Model


class ModelPersonas:
    """The moves of `PersonaStore`. records: reference → record; claims: reference → holder and sync."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.records: dict[str, PersonaRecord] = {}
        self.claims: dict[str, tuple[str, str]] = {}

    def claim(self, lease: LeaseGrant, reference: str, by: str) -> ClaimAnswer:
        self._model.owned(replace(lease, state=SyncState.FINALIZING))
        if reference in self.records:
            return ClaimAnswer("recorded", record=self.records[reference])
        holder = self.claims.setdefault(reference, (by, lease.sync_id))
        return ClaimAnswer("won") if holder[0] == by else ClaimAnswer("held", claim=Claim(*holder, age_s=0))

    def release_claim(self, reference: str, by: str) -> bool:
        mine = self.claims.get(reference, ("", ""))[0] == by
        if mine:
            del self.claims[reference]
        return mine

    def record(self, reference: str, record: PersonaRecord, outcome: PersonaOutcome) -> None:
        self.records[reference] = record
        self.claims.pop(reference, None)
        sync = self._model.syncs[record.sync_id]
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
        sync = self._model.syncs[lease.sync_id]
        if (sync.state, sync.epoch) != (SyncState.COMPLETED, lease.epoch + 1):
            self._model.owned(replace(lease, state=SyncState.FINALIZING))
        if after and self.records.get(reference) == before:
            self.records[reference] = after
        if sync.outcomes.get(outcome.cluster) != outcome:
            sync.outcomes[outcome.cluster] = outcome
            sync.revivals = 0

    def delete_record(self, reference: str, record: PersonaRecord) -> bool:
        if self.records.get(reference) != record:
            return False
        del self.records[reference]
        return True

    def adopt(self, reference: str, record: PersonaRecord, identity: str) -> str:
        if running := self._model.active.get(identity):
            return running[-1]
        if self.records.setdefault(reference, record) != record:
            return "exists"
        self.claims.pop(reference, None)
        return "ok"

    def rename(self, old: str, new: str, before: PersonaRecord, after: PersonaRecord, identity: str) -> str:
        if running := self._model.active.get(identity):
            return running[-1]
        found, there = self.records.get(old), self.records.get(new)
        if not found and there == after:
            return "ok"
        if there and (there != after or old == new):
            return "exists"
        if found != before:
            return "changed"
        if new in self.claims:
            return "doubt"
        self.records[new] = after
        del self.records[old]
        return "ok"
