"""`segment-personas personas …`: what people do by hand, and what the next sync makes of it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from producer.cli.commands import personas
from producer.cli.commands.doctor.checks import run_checks
from producer.cli.terminal import Screen, stderr
from producer.persona_catalog import ClusterAddress, PersonaRecordError
from producer.rules_file import load_chosen_rules
from producer.sandbox import Fault, Persona
from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.clusters import RECIPE, Rules
from worker.clusters.rules.builtin import BUILTIN_RULES
from worker.errors import ConfigurationError
from worker.mavera import find_reference
from worker.models.sync import Sync, SyncState
from worker.settings import Settings, load_settings
from worker.store import keys

GROWTH = ClusterAddress("spa", "growth")
BY_HAND = {"name": "Our growth customers", "description": "Written by hand.", "category": "mine"}


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


class CommandRunner:
    """Runs the commands against a scenario and keeps their output: `out` for programs, `err` for people."""

    def __init__(self, scenario: Scenario, capsys: pytest.CaptureFixture[str]) -> None:
        names = ("REDIS_URL", "MAVERA_BASE_URL", "MAVERA_API_KEY")
        self.settings = load_settings(**{name.lower(): scenario.environment()[name] for name in names})
        self._capsys = capsys
        self.out = self.err = ""

    async def __call__(
        self, command: Callable[..., Awaitable[int]], *arguments: Any, key: bool = True, **options: Any
    ) -> None:
        settings = self.settings if key else self.settings.model_copy(update={"mavera_api_key": None})
        assert await command(settings, stderr(), *arguments, **options) == 0
        self.out, self.err = self._capsys.readouterr()

    async def records(self, space_id: str | None = None) -> list[dict[str, Any]]:
        """What `personas list --json` prints."""
        await self(personas.list_personas, space_id, json=True)
        found = json.loads(self.out)
        assert isinstance(found, list)
        return found


def actions(sync: Sync) -> dict[str, str]:
    assert sync.state is SyncState.COMPLETED, sync.error
    return {one.cluster: one.action for one in sync.outcomes}


def by_hand(scenario: Scenario, **fields: object) -> Persona:
    """A persona that somebody has made at Mavera."""
    return scenario.sandbox.add_persona({**BY_HAND, **fields})


async def test_the_list_shows_each_persona_its_last_sync_and_when_it_was_updated(
    session_redis: RedisServer,
    start_worker: Start,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = CommandRunner(scenario, capsys)
        await runner(personas.list_personas, None, json=False)
        assert (runner.out, runner.err.count("No persona is recorded for this account")) == ("", 1)
        scenario.worker()
        sync = await scenario.sync()
        found = await runner.records("spa")
        assert [record["key"] for record in found] == ["at_risk", "growth", "high_value"]
        growth = found[1]
        assert {name: growth[name] for name in ("space_id", "collection", "rules", "n", "complete", "sync_id")} == {
            "space_id": "spa",
            "collection": "users",
            "rules": "recipe",
            "n": 20,
            "complete": True,
            "sync_id": sync.id,
        }
        assert growth["persona_id"] in {one.persona_id for one in sync.outcomes}
        assert datetime.fromisoformat(growth["updated_at"]).tzinfo
        assert growth["reference"] == str(GROWTH.reference)
        assert (growth["cluster"], growth["key"]) == ("Growth", "growth")
        assert await runner.records("another") == []
        await runner(personas.list_personas, None, json=False)
        assert all(word in runner.out for word in (growth["persona_id"], sync.id, " 20 "))
        monkeypatch.setenv("COLUMNS", "70")
        await runner(personas.list_personas, None, json=False)
        assert growth["persona_id"] in runner.out
        assert sync.id not in runner.out


async def test_a_persona_made_by_hand_is_adopted_updated_and_not_bought(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = CommandRunner(scenario, capsys)
        mine = by_hand(scenario)
        await runner(personas.adopt_persona, GROWTH, mine.id)
        assert runner.err == f"{mine.id} is the persona of growth of spa. The next sync updates it.\n"
        assert mine.fields["description"] == f"Written by hand. {GROWTH.reference}"
        await runner(personas.list_personas, None, json=False)
        assert all(word in runner.out for word in ("none yet", "unknown", "adopted"))
        monkeypatch.setenv("COLUMNS", "80")
        await runner(personas.list_personas, None, json=False)
        assert all(word in runner.out for word in (mine.id, "unknown", "adopted"))
        monkeypatch.delenv("COLUMNS")
        # Redis may be lost now: the reference is at Mavera.
        await scenario.pool.delete(keys.personas(scenario.account))
        await runner(personas.adopt_persona, GROWTH, mine.id)
        await runner(personas.adopt_persona, GROWTH, mine.id)
        assert len(scenario.sandbox.patches) == 1
        scenario.worker()
        sync = await scenario.sync()
        assert actions(sync) == {"high_value": "created", "growth": "updated", "at_risk": "created"}
        assert (mine.fields["name"], sync.credits) == ("Segment CDP: Growth", 600)
        assert "complete" in (await runner.records())[1]


async def test_personas_that_carry_one_reference_and_those_left_behind_are_named(
    session_redis: RedisServer,
    start_worker: Start,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = CommandRunner(scenario, capsys)
        scenario.worker()
        sync = await scenario.sync()
        (growth,) = [one.persona_id for one in sync.outcomes if one.cluster == "growth"]
        await runner(personas.list_personas, "spa", json=False)
        assert runner.err == ""
        twin = by_hand(scenario, description=f"Bought twice. {GROWTH.reference}")
        by_hand(scenario, description="Of nobody. [segment-personas 0000000000 00000000]")
        by_hand(scenario, description="Of nobody. [segment-personas 0000000000 00000000]")
        await runner(personas.list_personas, "spa", json=False)
        assert f"{growth}, {twin.id} carry the same reference" in runner.err.replace("\n", " ")
        assert "0000000000" not in runner.err
        assert {row["key"]: row["twins"] for row in await runner.records("spa")} == {
            "at_risk": [],
            "growth": [twin.id],
            "high_value": [],
        }
        await runner(personas.list_personas, None, json=False)
        assert "0000000000" in runner.err

        # The rules call it by another key now.
        renamed = tmp_path / "clusters.toml"
        renamed.write_text(BUILTIN_RULES["recipe"].replace('key = "growth"', 'key = "expansion"'))
        runner.settings = runner.settings.model_copy(update={"clusters_file": str(renamed)})
        rows = {row["key"]: row["orphan"] for row in await runner.records()}
        assert rows == {"at_risk": False, "growth": True, "high_value": False}
        assert f"have no cluster growth any more, so no sync updates {growth}" in runner.err.replace("\n", " ")

        findings = [
            finding async for finding in run_checks(runner.settings, "spa", load_chosen_rules(runner.settings, None))
        ]
        found_texts = [finding.found for finding in findings if finding.subject == "Personas"]
        assert {finding.verdict for finding in findings if finding.subject == "Personas"} == {"warn"}
        assert any(f"{growth}, {twin.id} carry" in text for text in found_texts)
        assert any(f"no sync updates {growth}" in text for text in found_texts)


async def test_the_list_of_records_needs_no_mavera(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = CommandRunner(scenario, capsys)
        scenario.worker()
        await scenario.sync()
        scenario.sandbox.add_fault(Fault("mavera", "status", status=503))
        assert len(await runner.records()) == 3
        assert "duplicate" in runner.err


async def test_a_persona_adopted_without_a_key_gets_its_reference_later(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = CommandRunner(scenario, capsys)
        mine = by_hand(scenario)
        # Without a key, the account is that of the live keys; the worker's is too.
        await runner(personas.adopt_persona, GROWTH, mine.id, key=False)
        assert "until then only Redis knows its cluster" in runner.err
        assert scenario.sandbox.patches == []
        await runner(personas.list_personas, None, json=True, key=False)
        assert [record["persona_id"] for record in json.loads(runner.out)] == [mine.id]
        live = "mvra_live_sandbox"
        scenario.sandbox.set_options(mavera_key=live)
        scenario.worker(MAVERA_API_KEY=live)
        assert actions(await scenario.sync())["growth"] == "updated"
        assert find_reference(str(mine.fields["description"])) == GROWTH.reference


async def test_what_cannot_be_adopted_is_refused_and_nothing_changes(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker, stock_personas=1) as scenario:
        runner = CommandRunner(scenario, capsys)
        scenario.worker()
        await scenario.sync()
        mine, before = by_hand(scenario), await scenario.persona_store().all_records()
        growth = next(record.persona_id for record in before.values() if record.cluster == "growth")
        other = ClusterAddress("spa", "new")
        for place, persona_id, why in (
            (GROWTH, mine.id, f"already has {growth}"),
            (other, growth, "is the persona of growth of spa"),
            (other, "per_none", "Mavera lists no persona per_none"),
            (other, "per_stock_0", "cannot be changed"),
        ):
            with pytest.raises(PersonaRecordError, match=why):
                await runner(personas.adopt_persona, place, persona_id)
        for place in (("no space", "new"), ("spa", "High Value"), ("spa", "")):
            with pytest.raises(ConfigurationError):
                ClusterAddress(*place)
        assert await scenario.persona_store().all_records() == before
        assert scenario.sandbox.patches == []


async def test_nothing_is_adopted_or_renamed_while_a_sync_of_the_space_runs(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = CommandRunner(scenario, capsys)
        mine = by_hand(scenario)
        await runner(personas.adopt_persona, GROWTH, mine.id)
        sync = await scenario.enqueue()  # which waits for a worker
        with pytest.raises(PersonaRecordError, match=f"{sync.id} is running"):
            await runner(personas.adopt_persona, ClusterAddress("spa", "new"), by_hand(scenario).id)
        with pytest.raises(PersonaRecordError, match=f"{sync.id} is running"):
            await runner(personas.rename_persona, GROWTH, "expansion")
        await runner(personas.adopt_persona, ClusterAddress("spa", "new", collection="accounts"), by_hand(scenario).id)


@pytest.mark.parametrize("redis_is_lost", [False, True])
async def test_a_renamed_cluster_keeps_its_persona_also_if_redis_is_lost(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str], redis_is_lost: bool
) -> None:
    document = RECIPE.as_json()
    document["clusters"][1]["key"] = "expansion"
    renamed = Rules.model_validate(document)
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = CommandRunner(scenario, capsys)
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
        runner = CommandRunner(scenario, capsys)
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


async def test_commands_ask_mavera_within_the_limit_that_the_workers_keep(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = CommandRunner(scenario, capsys)
        await runner(personas.adopt_persona, GROWTH, by_hand(scenario).id)
        limits = keys.limit(f"mavera:{scenario.account}")
        by_commands = await scenario.pool.hash_fields(limits)
        assert by_commands
        scenario.worker()
        await scenario.sync()
        assert await scenario.pool.hash_fields(limits) != by_commands
        mavera = [key async for key in scenario.pool.scan_iter(keys.limit("mavera:*")) if not key.endswith(b":log")]
        assert mavera == [limits.encode()]


async def test_renaming_a_cluster_warns_if_the_rules_keep_the_old_name(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "clusters.toml"

    def write(key: str, *, name: str = "recipe") -> None:
        text = BUILTIN_RULES["recipe"].replace('key = "growth"', f'key = "{key}"')
        file.write_text(text.replace('name = "recipe"', f'name = "{name}"'))

    async with start_scenario(session_redis, start_worker) as scenario:
        runner = CommandRunner(scenario, capsys)
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
        runner = CommandRunner(scenario, capsys)
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
        runner = CommandRunner(scenario, capsys)
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
        runner = CommandRunner(scenario, capsys)
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


def test_the_options_of_the_command_line_reach_the_commands(
    session_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer.testing

    from producer.cli import app

    asked: list[tuple[object, ...]] = []

    def noted(name: str) -> Callable[..., Awaitable[int]]:
        async def command(settings: Settings, err: Screen, *arguments: object, **options: object) -> int:
            asked.append((name, *arguments, *options.values()))
            return 0

        return command

    for name in ("list_personas", "adopt_persona", "forget_persona", "rename_persona"):
        monkeypatch.setattr(personas, name, noted(name))
    for line in (
        "list --json",
        "list spa",
        "adopt spa growth per_1 --collection accounts --rules saas",
        "forget spa growth --rules saas",
        "rename spa growth expansion",
    ):
        assert typer.testing.CliRunner().invoke(app.app, ["personas", *line.split()]).exit_code == 0
    assert asked == [
        ("list_personas", None, True),
        ("list_personas", "spa", False),
        ("adopt_persona", ClusterAddress("spa", "growth", "accounts", "saas"), "per_1"),
        ("forget_persona", ClusterAddress("spa", "growth", rules="saas")),
        ("rename_persona", GROWTH, "expansion"),
    ]
