"""`segment-personas personas list` and `adopt`: what people do by hand, and what the next sync makes of it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import pytest

from producer.cli.commands import personas
from producer.cli.commands.doctor.checks import run_checks
from producer.cli.terminal import Screen
from producer.persona_catalog import ClusterAddress, PersonaRecordError
from producer.rules_file import load_chosen_rules
from producer.sandbox import Fault
from tests.support.scenarios.personas_by_hand import GROWTH, PersonaCommands, actions, by_hand
from tests.support.scenarios.scenario import Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.clusters.rules.builtin import BUILTIN_RULES
from worker.errors import ConfigurationError
from worker.mavera import find_reference
from worker.settings import Settings
from worker.store import keys


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


async def test_the_list_shows_each_persona_its_last_sync_and_when_it_was_updated(
    session_redis: RedisServer,
    start_worker: Start,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = PersonaCommands(scenario, capsys)
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
        runner = PersonaCommands(scenario, capsys)
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
        runner = PersonaCommands(scenario, capsys)
        scenario.worker()
        sync = await scenario.sync()
        (growth,) = [one.persona_id for one in sync.outcomes if one.cluster == "growth"]
        await runner(personas.list_personas, "spa", json=False)
        assert runner.err == ""
        twin = by_hand(scenario, description=f"Bought twice. {GROWTH.reference}")
        by_hand(scenario, description="Of nobody. [segment-personas 0000000000 00000000]")
        by_hand(scenario, description="Of nobody. [segment-personas 0000000000 00000000]")
        await runner(personas.list_personas, "spa", json=False)
        assert f"{growth}, {twin.id} have the same reference" in runner.err.replace("\n", " ")
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
        assert any(f"{growth}, {twin.id} have the same reference" in text for text in found_texts)
        assert any(f"no sync updates {growth}" in text for text in found_texts)


async def test_the_list_of_records_needs_no_mavera(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = PersonaCommands(scenario, capsys)
        scenario.worker()
        await scenario.sync()
        scenario.sandbox.add_fault(Fault("mavera", "status", status=503))
        assert len(await runner.records()) == 3
        assert "duplicate" in runner.err


async def test_a_persona_adopted_without_a_key_gets_its_reference_later(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = PersonaCommands(scenario, capsys)
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


async def test_a_persona_of_a_cluster_that_the_rules_lack_is_adopted_with_a_warning(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = PersonaCommands(scenario, capsys)
        await runner(personas.adopt_persona, ClusterAddress("spa", "grwoth"), by_hand(scenario).id)
        assert "has no cluster grwoth" in runner.err
        assert "at_risk, growth, high_value, new" in runner.err
        assert "The next sync updates it" not in runner.err


async def test_what_cannot_be_adopted_is_refused_and_nothing_changes(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker, stock_personas=1) as scenario:
        runner = PersonaCommands(scenario, capsys)
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
        runner = PersonaCommands(scenario, capsys)
        mine = by_hand(scenario)
        await runner(personas.adopt_persona, GROWTH, mine.id)
        sync = await scenario.enqueue()  # which waits for a worker
        with pytest.raises(PersonaRecordError, match=f"{sync.id} is running"):
            await runner(personas.adopt_persona, ClusterAddress("spa", "new"), by_hand(scenario).id)
        with pytest.raises(PersonaRecordError, match=f"{sync.id} is running"):
            await runner(personas.rename_persona, GROWTH, "expansion")
        await runner(personas.adopt_persona, ClusterAddress("spa", "new", collection="accounts"), by_hand(scenario).id)


async def test_commands_ask_mavera_within_the_limit_that_the_workers_keep(
    session_redis: RedisServer, start_worker: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        runner = PersonaCommands(scenario, capsys)
        await runner(personas.adopt_persona, GROWTH, by_hand(scenario).id)
        limits = keys.limit(f"mavera:{scenario.account}")
        by_commands = await scenario.pool.hash_fields(limits)
        assert by_commands
        scenario.worker()
        await scenario.sync()
        assert await scenario.pool.hash_fields(limits) != by_commands
        mavera = [key async for key in scenario.pool.scan_iter(keys.limit("mavera:*")) if not key.endswith(b":log")]
        assert mavera == [limits.encode()]


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
