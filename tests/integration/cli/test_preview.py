"""Plan, then apply: a preview changes nothing; its plan is carried out once, without reading again, within a budget."""

from __future__ import annotations

import asyncio

import pytest

from producer import SyncConflict
from producer.sandbox import Fault
from tests.support.scenarios.scenario import RECIPE, SOON_SETTLED, Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.models.sync import Sync, SyncState

WRITES = ("mavera.create", "mavera.update", "mavera.delete", "mavera.unknown")


async def previewed(scenario: Scenario, **request: object) -> Sync:
    sync = await scenario.sync(plan_only=True, **request)
    assert sync.state is SyncState.COMPLETED, sync.error
    assert sync.planned
    return sync


def writes(scenario: Scenario) -> int:
    return sum(scenario.sandbox.journal.count(route) for route in WRITES)


async def test_a_preview_sends_nothing_and_shows_all_that_would_be(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        sync = await previewed(scenario)
        assert writes(scenario) == 0
        assert scenario.sandbox.personas == []
        assert sync.planned
        assert [(one.cluster, one.action, one.credits) for one in sync.planned.personas] == [
            ("high_value", "create", 300),
            ("growth", "create", 300),
            ("at_risk", "create", 300),
            ("new", "skip", 0),
        ]
        assert (sync.outcomes, sync.credits, sync.planned.credits) == ((), 0, 900)
        planned = [dict(one.payload) for one in sync.planned.personas if one.credits]
        await scenario.assert_clean()

        made = await scenario.sync()
        assert [persona.body for persona in scenario.sandbox.personas] == planned
        await scenario.assert_bought_once(made)

        scenario.sandbox.personas[0].fields["description"] = "Mine"
        again = (await previewed(scenario)).planned
        assert again
        assert again.credits == 0
        assert [one.action for one in again.personas] == ["update", "leave", "leave", "skip"]
        assert [one.persona_id for one in again.personas[:3]] == [persona.id for persona in scenario.sandbox.personas]
        (change,) = again.personas[0].changes
        assert (change.field, change.before, change.after) == ("description", "Mine", planned[0]["description"])
        assert scenario.sandbox.journal.count("mavera.update") == 0


async def test_a_plan_is_applied_without_reading_the_space_again(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        sync = await previewed(scenario)
        pages = scenario.sandbox.journal.count("segment")
        applied = await scenario.client.apply(sync.id)
        assert (applied.id, applied.request.max_credits) == (sync.id, 900)
        done = await scenario.ended(applied)
        await scenario.assert_bought_once(done)
        assert scenario.sandbox.journal.count("segment") == pages
        assert scenario.sandbox.journal.count("mavera.create") == 3
        assert done.plan == sync.plan
        await scenario.assert_clean()
        with pytest.raises(SyncConflict, match="applied already, and the sync is completed"):
            await scenario.client.apply(sync.id)


async def test_a_plan_is_applied_once_however_often_and_by_whom_it_is_asked(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        worker = scenario.worker()
        sync = await previewed(scenario)
        assert worker.terminate() == 0
        applied = await asyncio.gather(*(scenario.client.apply(sync.id) for _ in range(20)))
        assert {(one.state, one.epoch) for one in applied} == {(SyncState.FINALIZING, sync.epoch + 1)}
        assert await scenario.pool.zcard(scenario.queue) == 1
        scenario.worker()
        await scenario.assert_bought_once(await scenario.ended(sync))
        assert scenario.sandbox.journal.count("mavera.create") == 3


async def test_workers_killed_while_they_apply_plans_leave_one_persona_each(
    session_redis: RedisServer, start_worker: Start
) -> None:
    points = ["after_begin:1", "after_claim:1", "after_post:2", "before_complete:1"]
    spaces = {f"spa_{i}": RECIPE for i in range(len(points))}
    async with start_scenario(session_redis, start_worker, spaces, settings=SOON_SETTLED) as scenario:
        planner = scenario.worker()
        syncs = [await scenario.enqueue(space, plan_only=True) for space in spaces]
        for sync in syncs:
            assert (await scenario.ended(sync)).planned
        assert planner.terminate() == 0
        read = scenario.sandbox.journal.count("segment")
        # Each dies in the middle of the first plan that it applies.
        dying = [scenario.worker(f"{point}:kill", ready=False, WORKER_SLOTS="1") for point in points]
        for sync in syncs:
            await scenario.client.apply(sync.id)
        for worker in dying:
            assert await asyncio.to_thread(worker.process.wait) < 0
        scenario.worker()
        for sync in syncs:
            await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert len(scenario.sandbox.personas) == 3 * 4
        assert scenario.sandbox.journal.count("segment") == read


async def test_a_worker_killed_while_it_plans_costs_nothing_but_time(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        dying = scenario.worker("after_lookup:2:kill", ready=False)
        sync = await scenario.enqueue(plan_only=True)
        assert await asyncio.to_thread(dying.process.wait) < 0
        scenario.worker()
        done = await scenario.ended(sync)
        assert done.planned
        assert done.planned.credits == 900
        assert writes(scenario) == 0


async def test_what_makes_no_sense_is_not_applied(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker, {"spa": RECIPE, "spa_other": RECIPE}) as scenario:
        queued = await scenario.enqueue("spa_other", plan_only=True)
        with pytest.raises(SyncConflict, match="queued, and has no plan"):
            await scenario.client.apply(queued.id)
        await scenario.client.cancel(queued.id)
        with pytest.raises(SyncConflict, match="cancelled, and has no plan"):
            await scenario.client.apply(queued.id)
        scenario.worker()
        sync = await previewed(scenario)
        plain = await scenario.sync(force=True)
        with pytest.raises(SyncConflict, match="not a preview"):
            await scenario.client.apply(plain.id)
        scenario.sandbox.add_fault(Fault("segment", "hold"))
        other = await scenario.enqueue()
        with pytest.raises(SyncConflict, match=other.id):
            await scenario.client.apply(sync.id)
        await scenario.client.cancel(other.id)
        scenario.sandbox.clear_faults()


async def test_a_preview_and_a_sync_of_one_space_are_not_the_same(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        await scenario.enqueue(plan_only=True)
        with pytest.raises(SyncConflict, match="this request changes personas, the other only plans"):
            await scenario.enqueue()


# The budget


async def test_a_plan_beyond_the_budget_is_refused_before_any_post_and_resumable(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        sync = await scenario.sync(max_credits=899)
        assert (sync.state, sync.failed_in) == (SyncState.FAILED, SyncState.FINALIZING)
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("over_budget", True)
        assert "3 more personas would cost 900 credits" in sync.error.message
        assert writes(scenario) == 0

        await scenario.client.resume(sync.id, max_credits=900)
        done = await scenario.ended(sync)
        await scenario.assert_bought_once(done)
        assert done.request.max_credits == 900
        assert scenario.sandbox.journal.count("segment.page") == 1


async def test_the_workers_ceiling_holds_whatever_a_sync_asks_for(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, settings={"MAX_CREDITS": "600"}) as scenario:
        scenario.worker()
        sync = await scenario.sync(max_credits=5000)
        assert sync.error
        assert "budget of 600" in sync.error.message
        assert writes(scenario) == 0
        plan = (await previewed(scenario)).planned
        assert plan
        assert (plan.max_credits, plan.over_budget) == (600, True)


async def test_updates_are_within_any_budget(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        await scenario.sync()
        sync = await scenario.sync(max_credits=0)
        await scenario.assert_bought_once(sync, credits_charged=0)


async def test_what_an_interrupted_sync_has_paid_counts_after_its_resume(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, credits=600, usage_route=False) as scenario:
        scenario.worker()
        sync = await scenario.sync(max_credits=900)
        assert sync.error
        assert (sync.error.code, sync.credits) == ("insufficient_credits", 600)
        scenario.sandbox.set_options(credits=5000)
        # One of the two that it has bought is deleted: now it takes two more, and only one is within the budget.
        first = next(outcome for outcome in sync.outcomes)
        assert scenario.sandbox.delete_persona(first.persona_id)
        await scenario.client.resume(sync.id, restart=True)
        sync = await scenario.ended(sync)
        assert sync.error
        assert sync.error.code == "over_budget"
        assert "2 more personas would cost 600 credits" in sync.error.message
        assert (sync.credits, len(scenario.sandbox.personas)) == (600, 1)


async def test_applying_a_plan_costs_no_more_than_the_plan(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        await scenario.sync()
        sync = await previewed(scenario)
        assert sync.planned
        assert sync.planned.credits == 0
        assert scenario.sandbox.delete_persona(scenario.sandbox.personas[0].id)
        await scenario.client.apply(sync.id)
        sync = await scenario.ended(sync)
        assert sync.error
        assert sync.error.code == "over_budget"
        assert scenario.sandbox.journal.count("mavera.create") == 3
        with pytest.raises(SyncConflict, match="applied already"):
            await scenario.client.apply(sync.id)
        await scenario.client.resume(sync.id, max_credits=300)
        await scenario.assert_bought_once(await scenario.ended(sync), credits_charged=300)
