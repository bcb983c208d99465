"""The finalizer: takes the clusters in order and gives each its persona, or a reason why it has none; or, of a preview,
plans what it would do.

Leased and handed over like a walk. A cluster that is settled is settled for good, so a next finalizer goes on where
this one stopped; how a persona is bought exactly once is `purchase`. A cluster that is in doubt is settled last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from worker.clusters import Aggregate, ClusterSummary, summarise
from worker.clusters.analysis.quality_guards import Alarm
from worker.jobs import job_runner
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.audit_log import log_end
from worker.jobs.job_payloads import sync_payload
from worker.jobs.lease import Lease
from worker.jobs.personas.account import Account
from worker.jobs.personas.budget import Budget
from worker.jobs.personas.ensure_persona import PersonaEnsurer
from worker.jobs.personas.lookup import cluster_reference
from worker.jobs.personas.persona_finder import PersonaFinder, PersonaInDoubt, RedisUnsettled
from worker.jobs.personas.persona_guard import missing_personas
from worker.jobs.personas.planner import Planner
from worker.jobs.personas.quality_check import QualityCheck, compare
from worker.jobs.services import WorkerContext
from worker.store import LeaseGrant
from worker.store.syncs import Begun, new_token


async def finalize(ctx: dict[str, WorkerContext], sync_id: str, epoch: int) -> None:
    """The arq job. Its sync is completed, failed, or has a next finalizer."""
    await job_runner.run_epoch(ctx["worker"], sync_id, epoch, "finalize", lambda *given: FinalizeJob(*given).run())


class FinalizeJob:
    """One finalizer."""

    def __init__(self, context: WorkerContext, begun: Begun, lease: Lease[LeaseGrant]) -> None:
        self._context = context
        self._begun = begun
        self._lease = lease
        self._caller = ApiCaller(context, context.mavera_limiter, "Mavera", begun.checkpoint.trouble_ms, lease=lease)
        encoded = begun.checkpoint.aggregate
        self._aggregate = Aggregate.from_bytes(encoded) if encoded else Aggregate()
        self._clusters = summarise(self._aggregate, begun.request.rules) if encoded else []
        self._finder = PersonaFinder(context, self._caller, begun.request, begun.lease.sync_id)
        self._planner = Planner(context, begun, self._caller, self._finder)
        self._budget = Budget(context, begun)
        self._account = Account(
            context, begun, lease.grant, ApiCaller(context, context.mavera_limiter, "Mavera"), self._planner.creations
        )
        self._ensurer = PersonaEnsurer(context, begun, lease, self._caller, self._budget, self._account, self._finder)

    async def run(self) -> None:
        """Settles every cluster, or plans to, then completes the sync."""
        try:
            await self._plan_or_buy()
        except asyncio.CancelledError:  # whatever it was about to do, it hands over now
            await self._lease.hand_over(lambda: self._hand_over(0.0, ""))
            raise

    async def _plan_or_buy(self) -> None:
        try:
            if self._begun.request.plan_only:
                await self._plan()
            else:
                await self._buy()
        except Defer as wait:
            await self._hand_over(wait.wait_s, wait.note)

    async def _plan(self) -> None:
        comparison = await self._compare()
        if comparison.nobody and not comparison.unusable:
            comparison.stop()
        comparison = comparison.joined_by(await self._missing_personas())
        plan = await self._planner.plan(self._clusters)
        alarms = comparison.alarms
        plan = plan.model_copy(
            update={
                "alarms": tuple(alarm.sentence for alarm in alarms),
                "alarm_codes": tuple(alarm.code for alarm in alarms),
            }
        )
        await self._lease.stop()
        await self._context.syncs.complete(self._lease.grant, new_token(), plan, baseline=comparison.before)
        await log_end(self._context, self._begun.lease.sync_id)

    async def _buy(self) -> None:
        settled = {outcome.cluster for outcome in await self._context.syncs.outcomes(self._begun.lease.sync_id)}
        comparison = await self._compare()
        if not settled:
            comparison.stop(accepted=self._begun.accepted)
            if not self._begun.accepted:
                comparison.joined_by(await self._missing_personas()).stop()
        left = [summary for summary in self._clusters if summary.key not in settled]
        if self._budget.limit is not None:
            await self._budget.permit(await self._planner.creations(left), without=self._references(left))
        self._account.left = left
        await self._settle(left)
        await self._account.compare()
        await self._lease.stop()
        await self._ensurer.confirm()
        await self._context.syncs.complete(
            self._lease.grant,
            new_token(),
            baseline=comparison.before,
            snapshot=comparison.now if comparison.complete else None,
            identity=self._begun.request.identity,
        )
        # Again, for Redis may have been restarted just before the last move.
        await self._ensurer.confirm()
        await log_end(self._context, self._begun.lease.sync_id)

    async def _settle(self, clusters: Sequence[ClusterSummary]) -> None:
        """Settles all clusters, those in doubt at the end. Raises what keeps the last of them from being settled."""
        postponed = []
        for summary in clusters:
            try:
                await self._ensurer.ensure_persona(summary)
                self._ensurer.made_progress()
            except (PersonaInDoubt, RedisUnsettled):
                postponed.append(summary)
        doubts: list[PersonaInDoubt] = []
        self._finder.forget_lists()
        for summary in postponed:
            try:
                await self._ensurer.ensure_persona(summary, last=True)
                self._ensurer.made_progress()
            except PersonaInDoubt as doubt:
                doubts.append(doubt)
        if doubts:
            others = f" ({len(doubts) - 1} more of its clusters are in doubt)" if len(doubts) > 1 else ""
            raise PersonaInDoubt(f"{doubts[0]}{others}")

    def _references(self, clusters: Sequence[ClusterSummary]) -> set[str]:
        request, sync_id = self._begun.request, self._begun.lease.sync_id
        return {str(cluster_reference(request, sync_id, summary.key)) for summary in clusters}

    async def _compare(self) -> QualityCheck:
        return await compare(self._context, self._begun, self._aggregate, self._clusters)

    async def _missing_personas(self) -> Alarm | None:
        return await missing_personas(self._context, self._begun, self._finder)

    async def _hand_over(self, delay_s: float, note: str) -> None:
        await self._lease.stop()
        await self._ensurer.confirm()
        begun = self._begun.lease
        await self._context.syncs.hand_over(
            self._lease.grant,
            sync_payload(begun.sync_id, "finalize", begun.epoch + 1),
            new_token(),
            delay_s=delay_s,
            trouble_ms=max(self._caller.trouble_ms, self._ensurer.trouble_ms),
            note=note,
        )
