"""Builds the jobs that give clusters their personas, or plan them."""

from __future__ import annotations

from functools import partial

from worker.clusters.analysis.change_detection import ChangeThreshold
from worker.clusters.analysis.quality_guards import GuardThresholds
from worker.jobs.api_caller import ApiCaller
from worker.jobs.lease import Lease
from worker.jobs.personas.account_credits import Account, UsageReader, note_credits
from worker.jobs.personas.budget import Budget, credit_limit
from worker.jobs.personas.claim_resolver import ClaimResolver
from worker.jobs.personas.create_persona import PersonaCreator
from worker.jobs.personas.ensure_persona import PersonaEnsurer
from worker.jobs.personas.finalize_job import FinalizeJob
from worker.jobs.personas.lookup.persona_finder import PersonaFinder
from worker.jobs.personas.lookup.persona_guard import check_missing_personas
from worker.jobs.personas.lookup.persona_list import PersonaLister
from worker.jobs.personas.persona_recorder import PersonaRecorder
from worker.jobs.personas.planner import Planner
from worker.jobs.personas.update_persona import PersonaUpdater
from worker.jobs.services import WorkerServices
from worker.models.request import SyncRequest
from worker.settings import Settings
from worker.store import LeaseGrant
from worker.store.progress.sync_progress import StartedJob


def build_finalize_job(services: WorkerServices, started: StartedJob, lease: Lease[LeaseGrant]) -> FinalizeJob:
    """Builds a job that gives the clusters of one sync their personas, or plans them. Raises as `build_fetch_job`."""
    services = services.for_request(started.request)
    settings, trouble_ms = services.settings, started.checkpoint.trouble_ms
    caller = services.mavera_caller(trouble_ms, lease=lease)
    finder = persona_finder(services, caller, started.request, started.lease.sync_id)
    planner = persona_planner(services, started, caller, finder)
    budget = Budget(started, credit_limit(started.request, settings.max_credits), services.syncs, services.personas)
    account = Account(
        started,
        lease.grant,
        usage_reader(services, services.mavera_caller()),
        services.syncs,
        services.personas,
        planner.creations,
    )
    ensurer = persona_ensurer(services, started, lease, caller=caller, finder=finder, budget=budget, account=account)
    return FinalizeJob(
        started,
        lease,
        caller=caller,
        finder=finder,
        planner=planner,
        ensurer=ensurer,
        budget=budget,
        account=account,
        syncs=services.syncs,
        check_personas=partial(
            check_missing_personas,
            started,
            finder,
            services.personas,
            min_share=settings.guard_personas,
            settle_s=settings.mavera_settle_s,
        ),
        thresholds=GuardThresholds(
            settings.guard_profiles,
            settings.guard_coverage,
            settings.guard_trait_errors,
            settings.guard_profile_errors,
        ),
        metrics=services.metrics,
    )


def persona_lister(services: WorkerServices, caller: ApiCaller) -> PersonaLister:
    """Builds the reader of Mavera's list for one job."""
    return PersonaLister(
        services.mavera, caller, services.personas, services.settle_watch, services.settings.mavera_settle_s
    )


def persona_finder(services: WorkerServices, caller: ApiCaller, request: SyncRequest, sync_id: str) -> PersonaFinder:
    """Builds the finder of the personas of one sync at Mavera."""
    return PersonaFinder(
        request,
        sync_id,
        mavera=services.mavera,
        caller=caller,
        lister=persona_lister(services, caller),
        shared=services.shared_list,
        personas=services.personas,
        settle_s=services.settings.mavera_settle_s,
    )


def persona_planner(services: WorkerServices, started: StartedJob, caller: ApiCaller, finder: PersonaFinder) -> Planner:
    """Builds the planner of the personas of one sync."""
    return Planner(
        started,
        caller=caller,
        finder=finder,
        usage=usage_reader(services, caller),
        mavera=services.mavera,
        personas=services.personas,
        syncs=services.syncs,
        threshold=_update_threshold(services.settings),
        credit_limit=credit_limit(started.request, services.settings.max_credits),
    )


def persona_ensurer(
    services: WorkerServices,
    started: StartedJob,
    lease: Lease[LeaseGrant],
    *,
    caller: ApiCaller,
    finder: PersonaFinder,
    budget: Budget,
    account: Account,
) -> PersonaEnsurer:
    """Builds the object that creates and updates the personas of one sync."""
    settle_s = services.settings.mavera_settle_s
    mavera, personas = services.mavera, services.personas
    post_caller = services.mavera_caller(started.checkpoint.trouble_ms, lease=lease)
    recorder = PersonaRecorder(
        started,
        lease,
        finder=finder,
        personas=personas,
        syncs=services.syncs,
        on_recorded=post_caller.note_success,
        metrics=services.metrics,
    )
    resolver = ClaimResolver(
        lease,
        finder=finder,
        personas=personas,
        recorder=recorder,
        settle_watch=services.settle_watch,
        settle_s=settle_s,
        sleep=post_caller.policy.sleep,
    )
    return PersonaEnsurer(
        started,
        caller=caller,
        post_caller=post_caller,
        finder=finder,
        personas=personas,
        recorder=recorder,
        resolver=resolver,
        creator=PersonaCreator(
            started,
            lease,
            mavera=mavera,
            caller=caller,
            post_caller=post_caller,
            finder=finder,
            personas=personas,
            recorder=recorder,
            resolver=resolver,
            budget=budget,
            account=account,
            settle_s=settle_s,
        ),
        updater=PersonaUpdater(
            mavera=mavera, caller=caller, finder=finder, personas=personas, recorder=recorder, account=account
        ),
        threshold=_update_threshold(services.settings),
    )


def usage_reader(services: WorkerServices, caller: ApiCaller) -> UsageReader:
    """Builds the reader of the account's usage for one job."""
    may_raise_rate = "mavera_rate" not in services.settings.model_fields_set
    on_usage = partial(note_credits, services.outbox, services.settings.credits_low)
    named = services.settings.named_account
    return UsageReader(
        services.mavera,
        caller,
        may_raise_rate=may_raise_rate,
        on_usage=on_usage,
        account=named.name if named else "",
    )


def _update_threshold(settings: Settings) -> ChangeThreshold:
    return ChangeThreshold(settings.persona_share_points, settings.persona_mean_percent)
