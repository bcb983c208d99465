"""`segment-personas personas rename` and `forget`: which persona a cluster has afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer.cli.commands import personas
from producer.persona_catalog import ClusterAddress, PersonaRecordError
from producer.sandbox import Fault
from tests.support.scenarios.personas_by_hand import GROWTH, PersonaCommands, actions, by_hand
from tests.support.scenarios.scenario import Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.clusters import RECIPE, Rules
from worker.clusters.rules.builtin import BUILTIN_RULES
from worker.errors import ConfigurationError
from worker.store import keys


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.parametrize("redis_is_lost", [False, True])
async def test_a_renamed_cluster_keeps_its_persona_also_if_redis_is_lost(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str], redis_is_lost: bool
) -> None:
    document = RECIPE.as_json()
    document["clusters"][1]["key"] = "expansion"
    renamed = Rules.model_validate(document)
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = PersonaCommands(scenario, capsys)
        scenario.worker()
        first = {one.cluster: one.persona_id for one in (await scenario.sync()).outcomes}
        await runner(personas.rename_persona, GROWTH, "expansion")
        assert runner.err.startswith("The persona of growth of spa now belongs to expansion.")
        if redis_is_lost:
            await scenario.pool.delete(keys.personas(scenario.account))
        sync = await scenario.sync(rules=renamed)
        # Its numbers are the same, but its name is another one.
        others = "updated" if redis_is_lost else "unchanged"
        assert actions(sync) == {"high_value": others, "expansion": "updated", "at_risk": others}
        persona = next(one for one in scenario.sandbox.personas if one.id == first["growth"])
        assert persona.fields["name"] == "Segment CDP: Expansion"
        assert {one.persona_id for one in sync.outcomes} == set(first.values())
        assert (len(scenario.sandbox.posts), sync.credits) == (3, 0)


async def test_to_a_sync_that_keeps_the_former_key_its_cluster_has_no_persona(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = PersonaCommands(scenario, capsys)
        scenario.worker()
        first = {one.cluster: one.persona_id for one in (await scenario.sync()).outcomes}
        await runner(personas.rename_persona, GROWTH, "expansion")
        sync = await scenario.sync()
        assert actions(sync) == {"high_value": "unchanged", "growth": "created", "at_risk": "unchanged"}
        records = {record["key"]: record["persona_id"] for record in await runner.records()}
        assert records["expansion"] == first["growth"] != records["growth"]
        with pytest.raises(PersonaRecordError, match="expansion of spa already has a persona"):
            await runner(personas.rename_persona, GROWTH, "expansion")
        await scenario.assert_bought_once(sync, credits_charged=300)


async def test_renaming_a_cluster_warns_if_the_rules_keep_the_old_name(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "clusters.toml"

    def write(key: str, *, name: str = "recipe") -> None:
        text = BUILTIN_RULES["recipe"].replace('key = "growth"', f'key = "{key}"')
        file.write_text(text.replace('name = "recipe"', f'name = "{name}"'))

    async with start_scenario(session_redis, start_worker) as scenario:
        runner = PersonaCommands(scenario, capsys)
        await runner(personas.adopt_persona, GROWTH, by_hand(scenario).id)

        async def warnings(old: str, new: str, file: Path | None) -> list[str]:
            runner.settings = runner.settings.model_copy(update={"clusters_file": file and str(file)})
            await runner(personas.rename_persona, ClusterAddress("spa", old), new)
            sentences = " ".join(runner.err.split()).replace("The rule set", "\nThe rule set")
            return sentences.splitlines()[1:]

        still, lacking = (
            "The rule set recipe still has a cluster growth, ",
            "The rule set recipe has no cluster expansion: ",
        )
        found = await warnings("growth", "expansion", None)
        assert [one.startswith(start) for one, start in zip(found, (still, lacking), strict=True)] == [True, True]
        assert "the next sync buys one, for 300 credits." in found[0]
        assert await warnings("expansion", "growth", None) == []
        write("expansion")
        assert await warnings("growth", "expansion", file) == []
        write("else")
        (alone,) = await warnings("expansion", "growth", file)
        assert alone.startswith("The rule set recipe has no cluster growth: no sync updates the persona")
        # Rules that ship with the program are found by name, even if a sync would use others now.
        write("expansion", name="mine")
        assert len(await warnings("growth", "expansion", file)) == 2
        file.write_text("name = 3")
        with pytest.raises(ConfigurationError, match="cannot be used"):
            await warnings("expansion", "growth", file)
        assert [record["key"] for record in await runner.records()] == ["expansion"]


async def test_a_cluster_that_is_renamed_and_back_is_as_it_was(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = PersonaCommands(scenario, capsys)
        scenario.worker()
        await scenario.sync()
        before = await scenario.persona_store().all_records()
        await runner(personas.rename_persona, GROWTH, "expansion")
        await runner(personas.rename_persona, ClusterAddress("spa", "expansion"), "growth")
        assert await scenario.persona_store().all_records() == before
        assert set(actions(await scenario.sync()).values()) == {"unchanged"}


async def test_what_cannot_be_renamed_is_refused(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = PersonaCommands(scenario, capsys)
        mine = by_hand(scenario)
        await runner(personas.adopt_persona, GROWTH, mine.id)
        with pytest.raises(PersonaRecordError, match="No persona of another of spa is recorded"):
            await runner(personas.rename_persona, ClusterAddress("spa", "another"), "growth")
        with pytest.raises(PersonaRecordError, match="already has a persona"):
            await runner(personas.rename_persona, GROWTH, "growth")
        with pytest.raises(ConfigurationError, match="MAVERA_API_KEY"):
            await runner(personas.rename_persona, GROWTH, "expansion", key=False)
        scenario.sandbox.add_fault(Fault("mavera", "status", route="update", times=9, status=401))
        with pytest.raises(PersonaRecordError, match=r"is recorded.*the next sync changes it.*401"):
            await runner(personas.rename_persona, GROWTH, "expansion")
        assert [record["key"] for record in await runner.records()] == ["expansion"]
        scenario.sandbox.delete_persona(mine.id)
        with pytest.raises(PersonaRecordError, match="lists no persona"):
            await runner(personas.rename_persona, ClusterAddress("spa", "expansion"), "growth")


async def test_a_forgotten_persona_is_found_again_unless_it_is_deleted(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = PersonaCommands(scenario, capsys)
        scenario.worker()
        first = {one.cluster: one.persona_id for one in (await scenario.sync()).outcomes}
        for cluster in ("growth", "at_risk"):
            await runner(personas.forget_persona, ClusterAddress("spa", cluster))
            assert first[cluster] in runner.err
            with pytest.raises(PersonaRecordError, match="is recorded"):
                await runner(personas.forget_persona, ClusterAddress("spa", cluster))
        scenario.sandbox.delete_persona(first["at_risk"])
        sync = await scenario.sync()
        assert actions(sync) == {"high_value": "unchanged", "growth": "updated", "at_risk": "created"}
        await scenario.assert_bought_once(sync, credits_charged=300)
