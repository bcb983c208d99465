"""The plan of a preview: what would become of each cluster's persona, by nothing but free requests.

Decided as `purchase` decides it. Each persona that there is is asked for, to see what would change of it. A plan that
has to wait for Mavera is kept as far as it goes, and the next finalizer goes on with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from worker.clusters import ClusterSummary
from worker.errors import Permanent
from worker.jobs.account import account_credits, read_usage
from worker.jobs.attempts import Defer, Patience
from worker.jobs.budget import ceiling
from worker.jobs.context import WorkerContext
from worker.jobs.decision import Decision, decide
from worker.jobs.lookup import Lookup, cluster_reference, found_record, look_up
from worker.jobs.orphans import Owner, find_orphans
from worker.mavera import CREDITS_PER_PERSONA, Persona, PersonaGone, PersonaPayload, build
from worker.mavera.echo import shown_fields
from worker.plan import Orphan, Plan, PlannedPersona
from worker.store import PersonaRecord
from worker.store.syncs import Begun


@dataclass
class _Case:
    """One cluster: what it would send, and the persona that it has. gone: those that it had, as Mavera said."""

    summary: ClusterSummary
    payload: PersonaPayload
    record: PersonaRecord | None
    listed: str | None
    gone: list[str] = field(default_factory=list)


class Planner:
    """Plans the personas of one sync."""

    def __init__(self, context: WorkerContext, begun: Begun, patience: Patience) -> None:
        self._context = context
        self._begun = begun
        self._patience = patience

    async def plan(self, summaries: Sequence[ClusterSummary]) -> Plan:
        """The plan for these clusters, in their order. Raises ApiError, Defer or LeaseLost."""
        before = Plan.decode(self._begun.plan)
        planned = list(before.personas) if before else []
        try:
            lookup = await self._look_up()
            for summary in summaries[len(planned) :]:
                planned.append(await self._persona(await self._case(summary, lookup), lookup))
                self._patience.made_progress()
        except Defer:
            await self._context.syncs.remember_plan(self._begun.lease, self._made_of(planned))
            raise
        account = account_credits(await read_usage(self._context, self._patience))
        orphans = await self._orphans(lookup)
        return self._made_of(planned).model_copy(update={"account": account, "orphans": orphans})

    async def _orphans(self, lookup: Lookup) -> tuple[Orphan, ...]:
        """The personas of this space and these rules whose clusters are not in the rules any more."""
        request = self._begun.request
        if request.mode == "create":
            return ()
        return find_orphans(
            await self._context.personas.all(),
            lookup.found,
            Owner(request.space_id, request.collection, request.rules.name),
            request.rules.cluster_keys,
        )

    async def creations(self, summaries: Collection[ClusterSummary]) -> int:
        """How many of these clusters need a new persona. Raises as `plan` does."""
        lookup = await self._look_up()
        count = 0
        for summary in summaries:
            decision, _ = await self._decide(await self._case(summary, lookup), lookup, look=False)
            count += decision.action == "create"
        return count

    async def _case(self, summary: ClusterSummary, lookup: Lookup) -> _Case:
        reference = cluster_reference(self._begun.request, self._begun.lease.sync_id, summary.key)
        record = await self._context.personas.find(str(reference))
        payload = build(summary, reference, self._begun.request.rules)
        return _Case(summary, payload, record, lookup.found.get(str(reference)))

    async def _persona(self, case: _Case, lookup: Lookup) -> PlannedPersona:
        decision, persona = await self._decide(case, lookup, look=True)
        payload, shown = case.payload.as_json(), shown_fields(persona) if persona else {}
        return PlannedPersona(
            cluster=case.summary.key,
            action=decision.action,
            reason=decision.reason or _why(decision, case),
            persona_id=case.record.persona_id if case.record else None,
            credits=CREDITS_PER_PERSONA if decision.action == "create" else 0,
            payload=payload,
            current={name: shown.get(name) for name in payload} if persona else None,
        )

    async def _decide(self, case: _Case, lookup: Lookup, *, look: bool) -> tuple[Decision, Persona | None]:
        """The decision, and the persona as it is if it was asked for: it is if `look`, or if it is not listed.

        Afterwards `case.record` is of the persona that there is.
        """
        while True:
            case.record = self._known(case)
            decision = decide(
                self._begun.request,
                self._context.settings,
                case.summary,
                case.payload,
                case.record,
                complete=self._begun.checkpoint.complete,
            )
            if case.record is None or decision.action == "skip":
                return decision, None
            persona_id, is_listed = case.record.persona_id, case.record.persona_id in lookup.listed
            if decision.action == "leave" and not is_listed:
                decision = Decision("update", "Mavera does not list it")
            if is_listed and not look:
                return decision, None
            try:
                return decision, await self._patience.call(lambda: self._context.mavera.get(persona_id))  # noqa: B023
            except PersonaGone:
                if is_listed:
                    return decision, None  # so it is there, whether or not it can be asked for on its own
                case.gone.append(persona_id)
            except Permanent:
                return decision, None  # it cannot be asked for on its own, so what would change is not known

    def _known(self, case: _Case) -> PersonaRecord | None:
        if case.record and case.record.persona_id not in case.gone:
            return case.record
        if case.listed is None or case.listed in case.gone:
            return None
        return found_record(self._begun.request, self._begun.lease.sync_id, case.summary, case.listed)

    async def _look_up(self) -> Lookup:
        family = cluster_reference(self._begun.request, self._begun.lease.sync_id, "").family
        return await look_up(self._context, self._patience, family)

    def _made_of(self, personas: list[PlannedPersona]) -> Plan:
        return Plan(personas=tuple(personas), max_credits=ceiling(self._begun.request, self._context.settings))


def _why(decision: Decision, case: _Case) -> str:
    """The reason that a decision needs not give, for people."""
    if decision.action == "leave":
        return "nothing that counts has changed"
    return f"{', '.join(case.gone)} is no longer at Mavera" if case.gone else "there is none yet"
