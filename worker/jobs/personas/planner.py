"""Makes the plan of a preview: what a sync would do with each cluster's persona. Sends only free requests.

The decision is that of `ensure_persona`. Each existing persona is read, to show which fields would change. If Mavera
makes the plan wait, its first part is stored, and the next finalizer continues it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import KW_ONLY, dataclass, field

from worker.clusters import ClusterSummary
from worker.clusters.analysis.change_detection import ChangeThreshold
from worker.errors import Permanent
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.personas.account_credits import UsageReader, account_credits
from worker.jobs.personas.decide_persona_action import PersonaAction, decide_action
from worker.jobs.personas.lookup.orphans import Owner, find_orphans
from worker.jobs.personas.lookup.persona_finder import PersonaFinder, PersonaInDoubt, RedisUnsettled
from worker.jobs.personas.lookup.persona_list import cluster_reference, found_record
from worker.mavera import CREDITS_PER_PERSONA, MaveraClient, Persona, PersonaGone, PersonaPayload, build_payload
from worker.mavera.ignored_fields import returned_fields
from worker.models.plan import Orphan, Plan, PlannedPersona
from worker.store import JobSyncStore, PersonaRecord, PersonaStore
from worker.store.progress.sync_progress import StartedJob


@dataclass
class _Case:
    """One cluster with its payload and its persona.

    Attributes:
        summary: Figures of the cluster.
        payload: The fields that would be sent.
        record: The record of its persona; None if none is known.
        listed: Id of its persona in Mavera's list; None if none is listed.
        doubt: Why it is not known whether it has a persona; empty if it is known.
        gone: Ids of personas that Mavera no longer has.
    """

    summary: ClusterSummary
    payload: PersonaPayload
    record: PersonaRecord | None
    listed: str | None
    doubt: str = ""
    gone: list[str] = field(default_factory=list)


@dataclass
class Planner:
    """Plans the personas of one sync.

    Attributes:
        started: The sync.
        caller: Sends the job's requests to Mavera.
        finder: Finds personas at Mavera.
        usage: Reads the credits that the account has left.
        mavera: Client of the account.
        personas: Store of records and claims.
        syncs: Store of syncs.
        threshold: How far a share or a mean must have moved for an update.
        credit_limit: The most credits that the sync may cost; None: unlimited.
    """

    started: StartedJob
    _: KW_ONLY
    caller: ApiCaller
    finder: PersonaFinder
    usage: UsageReader
    mavera: MaveraClient
    personas: PersonaStore
    syncs: JobSyncStore
    threshold: ChangeThreshold
    credit_limit: int | None

    async def plan(self, summaries: Sequence[ClusterSummary]) -> Plan:
        """Returns the plan for these clusters, in their order. Raises ApiError, Defer or LeaseLost."""
        before = Plan.decode(self.started.plan)
        planned = list(before.personas) if before else []
        try:
            for summary in summaries[len(planned) :]:
                planned.append(await self._persona(await self._case(summary)))
                self.caller.note_progress()
        except Defer:
            await self.syncs.store_plan(self.started.lease, self._plan_of(planned))
            raise
        account = account_credits(await self.usage.read())
        orphans = await self._orphans()
        return self._plan_of(planned).model_copy(update={"account": account, "orphans": orphans})

    async def _orphans(self) -> tuple[Orphan, ...]:
        """Returns the personas of this space and these rules whose clusters are no longer in the rules."""
        request = self.started.request
        if request.mode == "create":
            return ()
        family = cluster_reference(request, self.started.lease.sync_id, "").family
        return find_orphans(
            await self.personas.all_records(),
            (await self.finder.list_family()).lookup(family).found,
            Owner(request.space_id, request.collection, request.rules.name),
            request.rules.cluster_keys,
        )

    async def creations(self, summaries: Collection[ClusterSummary]) -> int:
        """Returns how many of these clusters need a new persona. Raises as `plan`."""
        count = 0
        for summary in summaries:
            decision, _ = await self._decide(await self._case(summary), look=False)
            count += decision.action == "create"
        return count

    async def _case(self, summary: ClusterSummary) -> _Case:
        reference = cluster_reference(self.started.request, self.started.lease.sync_id, summary.key)
        payload = build_payload(summary, reference, self.started.request.rules)
        case = _Case(summary, payload, await self.personas.find_record(str(reference)), None)
        listing = await self.finder.list_family()
        case.listed = listing.lookup(reference.family).found.get(str(reference))
        if case.record is None and case.listed is None and self._decision(case).action == "create":
            try:
                case.listed = await self.finder.find(payload, reference)
            except PersonaInDoubt as doubt:
                case.doubt = f"{doubt}. {doubt.hint}" if doubt.hint else str(doubt)
            except RedisUnsettled:
                pass  # it only delays purchases, and a plan buys nothing
        return case

    async def _persona(self, case: _Case) -> PlannedPersona:
        decision, persona = await self._decide(case, look=True)
        payload, shown = case.payload.as_json(), returned_fields(persona) if persona else {}
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
        """Decides what would be done for a cluster, and sets `case.record` to the record of its existing persona.

        Args:
            case: The cluster.
            look: Whether to read the persona also if it is listed.

        Returns:
            The decision, and the persona as Mavera returned it; None if it was not read.
        """
        while True:
            case.record = self._known(case)
            decision = self._decision(case)
            if case.record is None or decision.action == "skip":
                return decision, None
            persona_id = case.record.persona_id
            is_listed = await self.finder.is_listed(persona_id)
            if decision.action == "leave" and not is_listed:
                decision = PersonaAction("update", "Mavera does not list it")
            if is_listed and not look:
                return decision, None
            try:
                return decision, await self.caller.call(lambda: self.mavera.get(persona_id))  # noqa: B023
            except PersonaGone:
                if is_listed:
                    return decision, None  # it exists, although it cannot be read by its id
                case.gone.append(persona_id)
            except Permanent:
                return decision, None  # it cannot be read by its id, so its changes are not known

    def _known(self, case: _Case) -> PersonaRecord | None:
        if case.record and case.record.persona_id not in case.gone:
            return case.record
        if case.listed is None or case.listed in case.gone:
            return None
        return found_record(self.started.request, self.started.lease.sync_id, case.summary, case.listed)

    def _decision(self, case: _Case) -> PersonaAction:
        return decide_action(
            self.started.request,
            case.summary,
            case.payload,
            case.record,
            threshold=self.threshold,
            complete=self.started.checkpoint.complete,
        )

    def _plan_of(self, personas: list[PlannedPersona]) -> Plan:
        return Plan(personas=tuple(personas), max_credits=self.credit_limit)


def _why(decision: PersonaAction, case: _Case) -> str:
    """Returns the reason of a decision that has none, for display."""
    if decision.action == "leave":
        return "no change is large enough"
    if case.doubt:
        return case.doubt
    return f"{', '.join(case.gone)} is no longer at Mavera" if case.gone else "no persona yet"
