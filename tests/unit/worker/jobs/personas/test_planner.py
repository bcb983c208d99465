"""What a preview finds that it would do, whatever Mavera says and however it says it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec, profiles
from tests.support.clocks.fake_time import FakeTime, services_for
from tests.support.syncs.syncs import Syncs
from worker.clusters import RECIPE, Aggregate, ClusterSummary, fold, summarise
from worker.errors import ResumableStop
from worker.http.client import new_session
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.composition.finalize_jobs import persona_finder, persona_planner
from worker.jobs.job_payloads import sync_payload
from worker.jobs.personas.lookup.persona_list import cluster_reference
from worker.jobs.personas.planner import Planner
from worker.jobs.services import WorkerServices
from worker.mavera import build_payload
from worker.models.outcome import PersonaOutcome
from worker.models.plan import Plan, PlannedPersona
from worker.models.request import SyncRequest
from worker.store import PersonaRecord, SentPersona, StorePool
from worker.store.progress.sync_progress import StartedJob, new_token

REQUEST = SyncRequest(space_id="spa", plan_only=True)


def clusters() -> list[ClusterSummary]:
    """The recipe's: three of twenty, and an empty one."""
    aggregate = Aggregate()
    fold(aggregate, list(profiles(SpaceSpec(60, "recipe"))))
    return summarise(aggregate)


@dataclass
class Planning:
    """A preview that is being finalized."""

    box: Sandbox
    services: WorkerServices
    begun: StartedJob
    syncs: Syncs

    async def plan(self) -> tuple[PlannedPersona, ...]:
        return (await self.planner().plan(clusters())).personas

    def planner(self, caller: ApiCaller | None = None) -> Planner:
        caller = caller or self.services.mavera_caller()
        finder = persona_finder(self.services, caller, REQUEST, self.begun.lease.sync_id)
        return persona_planner(self.services, self.begun, caller, finder)

    async def make(self, cluster: int = 0) -> str:
        """A persona at Mavera, as a sync of the same space would make it; not recorded."""
        summary = clusters()[cluster]
        payload = build_payload(summary, cluster_reference(REQUEST, "", summary.key), RECIPE)
        return (await self.services.mavera.create(payload, lambda: True)).id

    async def record(self, persona_id: str, cluster: int = 0, *, sent: bool = False) -> None:
        """sent: whether it is known what the persona says."""
        summary = clusters()[cluster]
        reference = cluster_reference(REQUEST, "", summary.key)
        payload = build_payload(summary, reference, RECIPE)
        said = SentPersona(payload.wording, payload.figures, at=1.0) if sent else None
        record = PersonaRecord(persona_id, "spa", summary.key, "s0", n=20, sent=said)
        await self.services.personas.record(
            str(reference), record, PersonaOutcome(summary.key, persona_id, "created", 300)
        )

    async def hand_over(self) -> None:
        """To the next finalizer, which begins."""
        lease = self.begun.lease
        await self.syncs.jobs.hand_over(lease, sync_payload("s1", "finalize", lease.epoch + 1), new_token())
        self.begun = await self.syncs.begin()


@asynccontextmanager
async def planning(pool: StorePool, *faults: Fault) -> AsyncIterator[Planning]:
    syncs = Syncs(pool)
    await syncs.create("s1", REQUEST)
    begun = await syncs.begin()
    following = sync_payload("s1", "finalize", begun.lease.epoch + 1)
    read = replace(begun.checkpoint, complete=True)
    await syncs.jobs.commit(begun.lease, read, new_token(), move="finalize", payload=following)
    async with Sandbox(SandboxOptions({}, faults=faults)) as box, new_session() as session:
        services = services_for(pool, session, FakeTime(pool), box.url)
        yield Planning(box, services, await syncs.begin(), syncs)


def read(kind: str, **options: object) -> Fault:
    """A fault of asking for one persona."""
    return Fault("mavera", kind, route="read", **options)  # type: ignore[arg-type]


async def test_a_cluster_without_a_persona_would_get_one(fake_pool: StorePool) -> None:
    async with planning(fake_pool) as preview:
        for persona, summary in zip(await preview.plan(), clusters(), strict=True):
            expected = ("create", 300, "no persona yet") if summary.n else ("skip", 0, "empty")
            assert (persona.cluster, persona.action, persona.credits, persona.reason) == (summary.key, *expected)
            assert (persona.persona_id, persona.current) == (None, None)
            reference = cluster_reference(REQUEST, "", summary.key)
            assert persona.payload == build_payload(summary, reference, RECIPE).as_json()


@pytest.mark.parametrize("recorded", [True, False])
async def test_a_persona_that_is_known_or_found_would_be_updated(fake_pool: StorePool, recorded: bool) -> None:
    async with planning(fake_pool) as preview:
        persona_id = await preview.make()
        if recorded:
            await preview.record(persona_id)
        fields = preview.box.personas[0].fields
        fields["psychographic"] = {**fields["psychographic"], "avg_ltv": 7, "engagement_tier": None}
        first, *_ = await preview.plan()
        assert (first.action, first.persona_id, first.credits) == ("update", persona_id, 0)
        changed = {change.field: change.before for change in first.changes}
        assert changed == {"psychographic.avg_ltv": 7, "psychographic.engagement_tier": None}


async def test_a_recorded_persona_that_was_deleted_would_be_created_again(fake_pool: StorePool) -> None:
    async with planning(fake_pool) as preview:
        await preview.record("per_gone")
        first, *_ = await preview.plan()
        assert (first.action, first.persona_id, first.credits) == ("create", None, 300)
        assert "per_gone" in first.reason


async def test_instead_of_a_deleted_persona_a_listed_one_would_be_updated(fake_pool: StorePool) -> None:
    async with planning(fake_pool) as preview:
        listed = await preview.make()
        await preview.record("per_gone")
        first, *_ = await preview.plan()
        assert (first.action, first.persona_id) == ("update", listed)
        assert await preview.planner().creations(clusters()) == 2


@pytest.mark.parametrize("fault", [read("status", status=404), read("status", status=405), read("html")])
async def test_a_listed_persona_that_cannot_be_read_counts_as_existing(fake_pool: StorePool, fault: Fault) -> None:
    async with planning(fake_pool, fault) as preview:
        persona_id = await preview.make()
        first, *_ = await preview.plan()
        assert (first.action, first.persona_id, first.current) == ("update", persona_id, None)


async def test_a_plan_that_has_to_wait_continues_where_it_stopped(fake_pool: StorePool) -> None:
    async with planning(fake_pool, read("status", at=3, status=429, retry_after="60")) as preview:
        for cluster in range(3):
            await preview.make(cluster)
        with pytest.raises(Defer):
            await preview.plan()
        await preview.hand_over()
        kept = Plan.decode(preview.begun.plan)
        assert kept
        assert [persona.cluster for persona in kept.personas] == ["high_value", "growth"]
        await preview.services.sleep(60)
        assert [persona.action for persona in await preview.plan()] == ["update"] * 3 + ["skip"]
        assert preview.box.journal.count("mavera.read") == 3 + 1


async def test_unchanged_personas_are_left_and_unlisted_ones_are_sent(fake_pool: StorePool) -> None:
    async with planning(fake_pool) as preview:
        for cluster in (0, 1):
            await preview.record(await preview.make(cluster), cluster, sent=True)
        preview.box.personas[1].fields["description"] = "Mine, without the reference."
        first, second, *_ = await preview.plan()
        assert (first.action, first.reason) == ("leave", "no change is large enough")
        assert (second.action, second.reason) == ("update", "Mavera does not list it")
        assert [change.field for change in second.changes] == ["description"]


async def test_a_part_of_a_space_would_leave_a_persona_made_from_all_of_it(fake_pool: StorePool) -> None:
    async with planning(fake_pool) as preview:
        persona_id = await preview.make()
        await preview.record(persona_id)
        preview.begun = replace(preview.begun, checkpoint=replace(preview.begun.checkpoint, complete=False))
        first, *_ = await preview.plan()
        assert (first.action, first.reason, first.persona_id) == ("skip", "partial", persona_id)
        assert await preview.planner().creations(clusters()) == 2


async def test_what_is_listed_need_not_be_asked_for_to_count_what_is_missing(fake_pool: StorePool) -> None:
    async with planning(fake_pool) as preview:
        await preview.record(await preview.make(0), 0)
        await preview.make(1)
        assert await preview.planner().creations(clusters()) == 1
        assert preview.box.journal.count("mavera.read") == 0


async def test_planning_sends_nothing_but_questions(fake_pool: StorePool) -> None:
    async with planning(fake_pool) as preview:
        await preview.record(await preview.make())
        await preview.plan()
        assert {route for route in preview.box.journal.arrived if route != "mavera.create"} == {
            "mavera.list",
            "mavera.read",
            "mavera.usage",
        }
        assert preview.box.journal.count("mavera.create") == 1


async def test_a_persona_read_that_never_answers_ends_the_preview(
    fake_pool: StorePool,
) -> None:
    async with planning(fake_pool) as preview:
        await preview.record(await preview.make())
        preview.box.add_fault(read("status", status=503))
        trouble_ms, waits, stop = 0, 0, None
        while stop is None and waits < 100:
            caller = preview.services.mavera_caller(trouble_ms)
            try:
                await preview.planner(caller).plan(clusters())
            except Defer as wait:
                waits, trouble_ms = waits + 1, caller.trouble_ms
                await preview.services.sleep(wait.wait_s)
                await preview.hand_over()
            except ResumableStop as error:
                stop = error
        assert stop
        assert (stop.code, waits > 1) == ("mavera_unavailable", True)
        assert preview.box.journal.answered["mavera.list", 200] > 1
