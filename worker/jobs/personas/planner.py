"""The plan of a preview: what would become of each cluster's persona, by nothing but free requests.

Decided as `purchase` decides it. Each persona that there is is asked for, to see what would change of it. A plan that
has to wait for Mavera is kept as far as it goes, and the next finalizer goes on with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from worker.clusters import ClusterSummary
from worker.errors import Permanent
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.personas.account import account_credits, read_usage
from worker.jobs.personas.budget import ceiling
from worker.jobs.personas.lookup import cluster_reference, found_record
from worker.jobs.personas.orphans import Owner, find_orphans
from worker.jobs.personas.persona_action import PersonaAction, decide
from worker.jobs.personas.persona_finder import PersonaFinder, PersonaInDoubt, RedisUnsettled
from worker.jobs.services import WorkerContext
from worker.mavera import CREDITS_PER_PERSONA, Persona, PersonaGone, PersonaPayload, build
from worker.mavera.ignored_fields import shown_fields
from worker.models.plan import Orphan, Plan, PlannedPersona
from worker.store import PersonaRecord
from worker.store.syncs import Begun


@dataclass
class _Case:
    """One cluster: what it would send, and the persona that it has.

    doubt: why it is not known whether it has one; empty if it is. gone: those that it had, as Mavera said.
    """

    summary: ClusterSummary
    payload: PersonaPayload
    record: PersonaRecord | None
    listed: str | None
    doubt: str = ""
    gone: list[str] = field(default_factory=list)


class Planner:
    """Plans the personas of one sync. finder: what is at Mavera."""

    def __init__(self, context: WorkerContext, begun: Begun, caller: ApiCaller, finder: PersonaFinder) -> None:
        self._context = context
        self._begun = begun
        self._caller = caller
        self._finder = finder

    async def plan(self, summaries: Sequence[ClusterSummary]) -> Plan:
        """The plan for these clusters, in their order. Raises ApiError, Defer or LeaseLost."""
        before = Plan.decode(self._begun.plan)
        planned = list(before.personas) if before else []
        try:
            for summary in summaries[len(planned) :]:
                planned.append(await self._persona(await self._case(summary)))
                self._caller.made_progress()
        except Defer:
            await self._context.syncs.remember_plan(self._begun.lease, self._made_of(planned))
            raise
        account = account_credits(await read_usage(self._context, self._caller))
        orphans = await self._orphans()
        return self._made_of(planned).model_copy(update={"account": account, "orphans": orphans})

    async def _orphans(self) -> tuple[Orphan, ...]:
        """The personas of this space and these rules whose clusters are not in the rules any more."""
        request = self._begun.request
        if request.mode == "create":
            return ()
        family = cluster_reference(request, self._begun.lease.sync_id, "").family
        return find_orphans(
            await self._context.personas.all(),
            (await self._finder.family()).lookup(family).found,
            Owner(request.space_id, request.collection, request.rules.name),
            request.rules.cluster_keys,
        )

    async def creations(self, summaries: Collection[ClusterSummary]) -> int:
        """How many of these clusters need a new persona. Raises as `plan` does."""
        count = 0
        for summary in summaries:
            decision, _ = await self._decide(await self._case(summary), look=False)
            count += decision.action == "create"
        return count

    async def _case(self, summary: ClusterSummary) -> _Case:
        reference = cluster_reference(self._begun.request, self._begun.lease.sync_id, summary.key)
        payload = build(summary, reference, self._begun.request.rules)
        case = _Case(summary, payload, await self._context.personas.find(str(reference)), None)
        listing = await self._finder.family()
        case.listed = listing.lookup(reference.family).found.get(str(reference))
        if case.record is None and case.listed is None and self._decision(case).action == "create":
            try:
                case.listed = await self._finder.find(payload, reference)
            except PersonaInDoubt as doubt:
                case.doubt = str(doubt)
            except RedisUnsettled:
                pass  # it delays a purchase, and a plan buys nothing
        return case

    async def _persona(self, case: _Case) -> PlannedPersona:
        decision, persona = await self._decide(case, look=True)
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

    async def _decide(self, case: _Case, *, look: bool) -> tuple[PersonaAction, Persona | None]:
        """The decision, and the persona as it is if it was asked for: it is if `look`, or if it is not listed.

        Afterwards `case.record` is of the persona that there is.
        """
        while True:
            case.record = self._known(case)
            decision = self._decision(case)
            if case.record is None or decision.action == "skip":
                return decision, None
            persona_id = case.record.persona_id
            is_listed = await self._finder.is_listed(persona_id)
            if decision.action == "leave" and not is_listed:
                decision = PersonaAction("update", "Mavera does not list it")
            if is_listed and not look:
                return decision, None
            try:
                return decision, await self._caller.call(lambda: self._context.mavera.get(persona_id))  # noqa: B023
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

    def _decision(self, case: _Case) -> PersonaAction:
        return decide(
            self._begun.request,
            self._context.settings,
            case.summary,
            case.payload,
            case.record,
            complete=self._begun.checkpoint.complete,
        )

    def _made_of(self, personas: list[PlannedPersona]) -> Plan:
        return Plan(personas=tuple(personas), max_credits=ceiling(self._begun.request, self._context.settings))


def _why(decision: PersonaAction, case: _Case) -> str:
    """The reason that a decision needs not give, for people."""
    if decision.action == "leave":
        return "nothing that counts has changed"
    if case.doubt:
        return case.doubt
    return f"{', '.join(case.gone)} is no longer at Mavera" if case.gone else "there is none yet"
