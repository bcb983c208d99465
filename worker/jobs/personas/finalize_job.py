"""The finalize job: gives each cluster its persona, or a reason why it has none. For a preview it plans this instead.

It has a lease and hands over like a fetch job. The outcome of a cluster is recorded once, so the next finalize job goes
on where this one stopped. `ensure_persona` creates each persona exactly once. Clusters in doubt come last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass

from worker.clusters import Aggregate, ClusterSummary, summarise
from worker.clusters.analysis.quality_guards import Alarm, GuardThresholds
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.audit_log import log_end
from worker.jobs.job_payloads import sync_payload
from worker.jobs.lease import Lease
from worker.jobs.personas.account_credits import Account
from worker.jobs.personas.budget import Budget
from worker.jobs.personas.ensure_persona import PersonaEnsurer
from worker.jobs.personas.lookup.persona_finder import PersonaFinder, PersonaInDoubt, RedisUnsettled
from worker.jobs.personas.lookup.persona_list import cluster_reference
from worker.jobs.personas.planner import Planner
from worker.jobs.personas.quality_check import QualityCheck, check_quality
from worker.metrics.worker_metrics import WorkerMetrics
from worker.store import JobSyncStore, LeaseGrant
from worker.store.progress.sync_progress import StartedJob, new_token


@dataclass
class FinalizeJob:
    """Gives the clusters of one sync their personas, or plans them.

    Attributes:
        started: The sync as the job found it.
        lease: The right to work on it.
        caller: Sends the free requests to Mavera.
        finder: What is at Mavera.
        planner: Plans the personas of a preview.
        ensurer: Creates and updates personas.
        budget: Of the sync.
        account: The Mavera account.
        syncs: Where syncs are kept.
        check_personas: Returns an alarm if most recorded personas are gone.
        thresholds: Of the guards that compare the sync with the one before.
        metrics: Counts completed syncs.
    """

    started: StartedJob
    lease: Lease[LeaseGrant]
    _: KW_ONLY
    caller: ApiCaller
    finder: PersonaFinder
    planner: Planner
    ensurer: PersonaEnsurer
    budget: Budget
    account: Account
    syncs: JobSyncStore
    check_personas: Callable[[], Awaitable[Alarm | None]]
    thresholds: GuardThresholds
    metrics: WorkerMetrics

    def __post_init__(self) -> None:
        encoded = self.started.checkpoint.aggregate
        self._aggregate = Aggregate.from_bytes(encoded) if encoded else Aggregate()
        self._clusters = summarise(self._aggregate, self.started.request.rules) if encoded else []

    async def run(self) -> None:
        """Settles every cluster, or plans to, then completes the sync."""
        try:
            await self._plan_or_make()
        except asyncio.CancelledError:  # the worker stops: hand over
            await self.lease.hand_over(lambda: self._hand_over(0.0, ""))
            raise

    async def _plan_or_make(self) -> None:
        try:
            if self.started.request.plan_only:
                await self._plan()
            else:
                await self._make_personas()
        except Defer as wait:
            await self._hand_over(wait.wait_s, wait.note)

    async def _plan(self) -> None:
        quality = await self._check_quality()
        if quality.no_clusters and not quality.unusable:
            quality.raise_alarms()
        quality = quality.with_alarm(await self.check_personas())
        plan = await self.planner.plan(self._clusters)
        alarms = quality.alarms
        plan = plan.model_copy(
            update={
                "alarms": tuple(alarm.text_with_hint() for alarm in alarms),
                "alarm_codes": tuple(alarm.code for alarm in alarms),
            }
        )
        await self.lease.stop()
        await self.syncs.complete(self.lease.grant, new_token(), plan, baseline=quality.before)
        self.metrics.count_completion(preview=True)
        await log_end(self.syncs, self.started.lease.sync_id)

    async def _make_personas(self) -> None:
        settled = {outcome.cluster for outcome in await self.syncs.outcomes(self.started.lease.sync_id)}
        quality = await self._check_quality()
        if not settled:
            quality.raise_alarms(accepted=self.started.accepted)
            if not self.started.accepted:
                quality.with_alarm(await self.check_personas()).raise_alarms()
        left = [summary for summary in self._clusters if summary.key not in settled]
        if self.budget.limit is not None:
            await self.budget.require_credits(await self.planner.creations(left), without=self._references(left))
        self.account.left = left
        await self._ensure_all(left)
        await self.account.compare_bill()
        await self.lease.stop()
        await self.ensurer.restore_lost()
        await self.syncs.complete(
            self.lease.grant,
            new_token(),
            baseline=quality.before,
            snapshot=quality.now if quality.complete else None,
            identity=self.started.request.identity,
        )
        self.metrics.count_completion(preview=False)
        # Again, because Redis may have been restarted just before the last write.
        await self.ensurer.restore_lost()
        await log_end(self.syncs, self.started.lease.sync_id)

    async def _ensure_all(self, clusters: Sequence[ClusterSummary]) -> None:
        """Settles all clusters, those in doubt at the end. Raises what keeps the last of them from being settled."""
        postponed = []
        for summary in clusters:
            try:
                await self.ensurer.ensure_persona(summary)
                self.ensurer.note_progress()
            except (PersonaInDoubt, RedisUnsettled):
                postponed.append(summary)
        doubts: list[PersonaInDoubt] = []
        self.finder.forget_lists()
        for summary in postponed:
            try:
                await self.ensurer.ensure_persona(summary, last=True)
                self.ensurer.note_progress()
            except PersonaInDoubt as doubt:
                doubts.append(doubt)
        if doubts:
            others = f" ({len(doubts) - 1} more of its clusters are in doubt)" if len(doubts) > 1 else ""
            raise PersonaInDoubt(f"{doubts[0]}{others}", hint=doubts[0].hint)

    def _references(self, clusters: Sequence[ClusterSummary]) -> set[str]:
        request, sync_id = self.started.request, self.started.lease.sync_id
        return {str(cluster_reference(request, sync_id, summary.key)) for summary in clusters}

    async def _check_quality(self) -> QualityCheck:
        history = await self.syncs.history(self.started.request.identity) if self.started.checkpoint.complete else []
        return check_quality(self.started, self._aggregate, self._clusters, history, self.thresholds)

    async def _hand_over(self, delay_s: float, note: str) -> None:
        await self.lease.stop()
        await self.ensurer.restore_lost()
        grant = self.started.lease
        await self.syncs.hand_over(
            self.lease.grant,
            sync_payload(grant.sync_id, "finalize", grant.epoch + 1),
            new_token(),
            delay_s=delay_s,
            trouble_ms=max(self.caller.trouble_ms, self.ensurer.trouble_ms),
            note=note,
        )
