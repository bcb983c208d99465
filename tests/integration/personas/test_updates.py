"""Update, not re-create: what is sent to Mavera when a space is synchronised again, and what is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from producer import SyncConflict
from producer.sandbox import Fault, SpaceSpec
from tests.support.scenarios.scenario import RECIPE, Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.clusters import RECIPE as RULES
from worker.clusters import Rules
from worker.documents.sync_document import sync_document
from worker.jobs.personas.lookup.persona_list import cluster_reference
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState
from worker.store import keys

UNGUARDED = {"GUARD_PROFILES": "0"}
"""Half of a space may go without anybody being asked."""

CLUSTERS = ("high_value", "growth", "at_risk")


def actions(sync: Sync) -> dict[str, str]:
    """What became of each cluster; of one that was skipped, why."""
    assert sync.state is SyncState.COMPLETED, sync.error
    return {one.cluster: one.reason if one.skipped else one.action for one in sync.outcomes}


def personas(sync: Sync) -> dict[str, str]:
    return {one.cluster: one.persona_id for one in sync.outcomes}


async def test_an_unchanged_space_sends_mavera_nothing(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        first = await scenario.sync()
        before, asked = await scenario.persona_store().all_records(), scenario.sandbox.journal.count("mavera")
        second = await scenario.sync()
        assert actions(second) == dict.fromkeys(CLUSTERS, "unchanged")
        assert personas(second) == personas(first)
        await scenario.assert_bought_once(second, credits_charged=0)
        assert (len(scenario.sandbox.posts), scenario.sandbox.patches) == (3, [])
        # Two free looks: one for the key, before the pages; and one for what is still there, after them.
        assert scenario.sandbox.journal.count("mavera") - asked == 2
        seen = await scenario.persona_store().all_records()
        assert seen == {name: replace(record, sync_id=second.id) for name, record in before.items()}
        assert all(record.sent and record.complete for record in seen.values())
        await scenario.assert_clean()


async def test_only_what_changed_by_more_than_the_settings_say_is_sent(
    session_redis: RedisServer, start_worker: Start
) -> None:
    # Of 150 profiles every cluster has a third; of 151, high_value has 51, and the shares move by less than 0.5 points.
    spaces = {"spa": SpaceSpec(150, "recipe")}
    async with start_scenario(session_redis, start_worker, spaces, settings=UNGUARDED) as scenario:
        scenario.worker()
        await scenario.sync()
        scenario.sandbox.set_options(spaces={"spa": SpaceSpec(151, "recipe")})
        assert actions(await scenario.sync()) == dict.fromkeys(CLUSTERS, "unchanged")
        scenario.sandbox.set_options(spaces={"spa": SpaceSpec(61, "recipe")})
        sync = await scenario.sync()
        assert actions(sync) == {"high_value": "updated", "growth": "unchanged", "at_risk": "unchanged"}
        (persona_id, body), *others = scenario.sandbox.patches
        assert (persona_id, others) == (personas(sync)["high_value"], [])
        assert "N=21." in body["description"]
        assert (
            next(one.reason for one in sync.outcomes if one.reason) == "its share of the profiles moved by 1.1 points"
        )
        await scenario.assert_bought_once(sync, credits_charged=0)


async def test_after_redis_was_lost_every_persona_is_found_and_sent_once(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        first = await scenario.sync()
        await scenario.pool.delete(keys.personas(scenario.account))
        for action in ("updated", "unchanged"):
            sync = await scenario.sync()
            assert actions(sync) == dict.fromkeys(CLUSTERS, action)
            assert personas(sync) == personas(first)
        assert (len(scenario.sandbox.posts), len(scenario.sandbox.patches)) == (3, 3)


async def test_a_persona_that_is_there_but_not_listed_is_updated_not_bought(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        first = await scenario.sync()
        edited = next(persona for persona in scenario.sandbox.personas if persona.id == personas(first)["growth"])
        edited.fields["description"] = "Somebody has edited this, and lost the reference."
        sync = await scenario.sync()
        assert actions(sync) == {"high_value": "unchanged", "growth": "updated", "at_risk": "unchanged"}
        assert str(_reference("growth")) in str(edited.fields["description"])
        await scenario.assert_bought_once(sync, credits_charged=0)


@pytest.mark.parametrize("redis_is_lost", [False, True])
async def test_a_cluster_that_shrank_below_the_minimum_keeps_its_persona_as_it_was(
    session_redis: RedisServer, start_worker: Start, redis_is_lost: bool
) -> None:
    async with start_scenario(session_redis, start_worker, settings=UNGUARDED) as scenario:
        scenario.worker()
        first = await scenario.sync()
        if redis_is_lost:
            await scenario.pool.delete(keys.personas(scenario.account))
        scenario.sandbox.set_options(spaces={"spa": SpaceSpec(2, "recipe")})
        sync = await scenario.sync()
        assert actions(sync) == {"high_value": "too_small", "growth": "too_small", "at_risk": "empty"}
        assert personas(sync) == personas(first)
        assert (len(scenario.sandbox.posts), scenario.sandbox.patches, sync.credits) == (3, [], 0)
        records = await scenario.persona_store().all_records()
        assert {record.persona_id for record in records.values()} == set(personas(first).values())
        # Back to its size, it continues with the same persona.
        scenario.sandbox.set_options(spaces={"spa": RECIPE})
        sync = await scenario.sync()
        assert actions(sync) == dict.fromkeys(CLUSTERS, "updated" if redis_is_lost else "unchanged")
        await scenario.assert_bought_once(sync, credits_charged=0)


async def test_a_part_of_a_space_replaces_the_whole_only_if_allowed(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        first = await scenario.sync()
        sync = await scenario.sync(max_profiles=28)
        assert actions(sync) == dict.fromkeys(CLUSTERS, "partial")
        assert personas(sync) == personas(first)
        assert scenario.sandbox.patches == []
        assert await _complete(scenario) == {True}

        sync = await scenario.sync(max_profiles=28, allow_partial=True)
        assert actions(sync) == {"high_value": "updated", "growth": "updated", "at_risk": "updated"}
        assert await _complete(scenario) == {False}

        # What comes from a part may be replaced by another part, and is by the whole.
        assert actions(await scenario.sync(max_profiles=28)) == dict.fromkeys(CLUSTERS, "unchanged")
        assert actions(await scenario.sync()) == dict.fromkeys(CLUSTERS, "updated")
        assert await _complete(scenario) == {True}
        assert len(scenario.sandbox.posts) == 3


async def test_a_part_replaces_nothing_that_was_found_after_redis_was_lost(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        first = await scenario.sync()
        await scenario.pool.delete(keys.personas(scenario.account))
        sync = await scenario.sync(max_profiles=30)
        assert actions(sync) == dict.fromkeys(CLUSTERS, "partial")
        assert (len(scenario.sandbox.posts), scenario.sandbox.patches) == (3, [])
        assert personas(sync) == personas(first)


@pytest.mark.parametrize("part", [{"max_profiles": 30}, {"max_profiles": 30, "strategy": "fan-out"}])
async def test_a_part_of_a_space_creates_personas_only_if_it_is_allowed_to(
    session_redis: RedisServer, start_worker: Start, part: dict[str, Any]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        sync = await scenario.sync(**part)
        assert (sync.state, sync.outcomes, scenario.sandbox.posts) == (SyncState.COMPLETED, (), [])
        left_out: Any = sync_document(sync)["skipped"]
        assert [one["reason"] for one in left_out] == ["partial"] * 3 + ["empty"]
        assert actions(await scenario.sync(**part, allow_partial="create")) == dict.fromkeys(CLUSTERS, "created")
        assert await _complete(scenario) == {False}


async def test_a_part_of_a_space_does_not_replace_a_persona_that_was_deleted_by_hand(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        await scenario.sync(max_profiles=30, allow_partial=True)
        for persona in scenario.sandbox.personas:
            scenario.sandbox.delete_persona(persona.id)
        sync = await scenario.sync(max_profiles=30)
        assert (sync.state, len(scenario.sandbox.posts), sync.credits) == (SyncState.COMPLETED, 3, 0)


async def test_the_plan_of_a_part_is_applied_only_with_permission(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        preview = await scenario.sync(max_profiles=30, plan_only=True)
        assert preview.plans_from_part
        with pytest.raises(SyncConflict, match="from a part of the space"):
            await scenario.client.apply(preview.id)
        assert (await scenario.client.get(preview.id)).planned == preview.planned
        applied = await scenario.client.apply(preview.id, allow_partial=True)
        applied = await scenario.client.wait(applied.id)
        assert actions(applied) == dict.fromkeys(CLUSTERS, "created")
        assert (len(scenario.sandbox.posts), applied.credits) == (3, 900)


async def test_mode_create_makes_new_personas_and_touches_no_other(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        first = await scenario.sync()
        second = await scenario.sync(mode="create")
        assert actions(second) == dict.fromkeys(CLUSTERS, "created")
        assert not set(personas(first).values()) & set(personas(second).values())
        assert actions(await scenario.sync()) == dict.fromkeys(CLUSTERS, "unchanged")
        assert (len(scenario.sandbox.posts), scenario.sandbox.patches) == (6, [])


async def test_templates_and_fields_reach_mavera_and_a_new_text_is_sent(
    session_redis: RedisServer, start_worker: Start
) -> None:
    template = "{label}: {n} customers, {share} of all, who spend {ltv}."
    own = _rules(growth={"template": template, "persona": {"type": "B2B", "goals": ["Grow"], "pains": ["Costs"]}})
    dropped = Fault("mavera", "ignore_field", route="update", field="pains", times=9)
    async with start_scenario(session_redis, start_worker, faults=(dropped,)) as scenario:
        scenario.worker()
        await scenario.sync()
        sync = await scenario.sync(rules=own)
        assert actions(sync) == {"high_value": "unchanged", "growth": "updated", "at_risk": "unchanged"}
        ((_, body),) = scenario.sandbox.patches
        assert body["description"] == f"Growth: 20 customers, 33% of all, who spend $450. {_reference('growth')}"
        assert (body["type"], body["goals"], body["pains"]) == ("B2B", ["Grow"], ["Costs"])
        (updated,) = (outcome for outcome in sync.outcomes if outcome.action == "updated")
        assert updated.ignored == ("pains",)
        assert updated.reason == "its name, text or fields have changed"
        assert set(actions(await scenario.sync(rules=own)).values()) == {"unchanged"}


def _rules(**changes: Mapping[str, object]) -> Rules:
    """The recipe's rules with changes to its clusters, by key."""
    document = RULES.as_json()
    for cluster in document["clusters"]:
        cluster |= changes.get(cluster["key"], {})
    return Rules.model_validate(document)


def _reference(cluster: str) -> object:
    return cluster_reference(SyncRequest(space_id="spa"), "", cluster)


async def _complete(scenario: Scenario) -> set[bool]:
    return {record.complete for record in (await scenario.persona_store().all_records()).values()}
