"""Previews, plans within a budget, and what a sync says of the one before it."""

from __future__ import annotations

import json
import re

import pytest

from producer.sandbox import Sandbox, SpaceSpec
from tests.support.scenarios.sync_commands import SyncCommands


@pytest.mark.usefixtures("_worker")
async def test_a_preview_shows_what_would_be_made_and_apply_makes_it(runner: SyncCommands, sandbox: Sandbox) -> None:
    assert await runner.sync("spa_1", preview=True, json=True) == 0
    preview = runner.document
    assert (preview["personas"], preview["credits_charged"], preview["credits_planned"]) == ([], 0, 900)
    (first, *_) = preview["planned"]  # type: ignore[misc]
    assert {name: first[name] for name in ("cluster", "action", "persona_id", "credits", "changes")} == {
        "cluster": "High Value",
        "action": "create",
        "persona_id": None,
        "credits": 300,
        "changes": [],
    }
    assert first["payload"]["name"] == "Segment CDP: High Value"
    sync_id = str(preview["sync_id"])
    hint = f"To apply it without reading the space again:\n  segment-personas apply {sync_id}\n"
    assert runner.err.endswith(f"Nothing was changed. The plan: create 3 personas for 900 credits. {hint}")
    assert (preview["status"], preview["plan_only"], preview["applied_at"]) == ("planned", True, None)
    assert sandbox.posts == []

    assert await runner.status(sync_id) == 0
    assert re.search(r"│ High Value │ +20 │ .*│ create, 300 credits", runner.out)
    assert "psychographic.avg_ltv" not in runner.out
    assert runner.err.endswith(hint)
    assert await runner.status(sync_id, details=True) == 0
    assert "  + psychographic.avg_ltv: 1200.0" in runner.out

    assert await runner.apply(sync_id) == 0
    assert "3 personas, 900 credits charged." in runner.out
    assert len(sandbox.posts) == 3
    assert await runner.status(sync_id, json=True) == 0
    assert "planned" not in runner.document
    assert (runner.document["status"], runner.document["plan_only"]) == ("completed", False)
    assert runner.document["applied_at"] is not None

    sandbox.personas[0].fields["description"] = "Mine."
    assert await runner.sync("spa_1", preview=True) == 0
    assert "The plan: update 1 persona, leave 2 personas unchanged. To apply it" in runner.err
    assert "description Mine. → High Value segment from" in runner.out


@pytest.mark.usefixtures("_worker")
async def test_a_preview_over_its_budget_says_so_and_how_to_allow_it(runner: SyncCommands, sandbox: Sandbox) -> None:
    assert await runner.sync("spa_1", preview=True, max_credits=600) == 0
    assert "the plan costs 900 credits, more than the budget of 600. To apply it" in runner.err
    (line,) = [line for line in runner.err.splitlines() if "-personas apply" in line]
    command, sync_id, option, budget = line.split()[1:]
    assert (command, option, budget) == ("apply", "--max-credits", "900")
    assert await runner.apply(sync_id, wait=False) == 0
    assert runner.out == f"{sync_id}\n"
    assert await runner.status(sync_id, follow=True) == 1
    assert "over_budget: 3 more personas would cost 900 credits" in runner.out
    assert f"segment-personas resume {sync_id} --max-credits 900" in runner.err
    assert sandbox.posts == []
    assert await runner.resume(sync_id, max_credits=900) == 0
    assert len(sandbox.posts) == 3


@pytest.mark.usefixtures("_worker")
async def test_a_space_has_a_history_and_each_sync_says_what_changed(runner: SyncCommands, sandbox: Sandbox) -> None:
    assert await runner.history("spa_1") == 0
    assert (runner.out, runner.err) == ("", "No complete sync of spa_1 (users, rules recipe) is recorded.\n")
    assert await runner.sync("spa_1", json=True) == 0
    first = runner.document["sync_id"]
    sandbox.set_options(spaces={"spa_1": SpaceSpec(90)})
    assert await runner.sync("spa_1") == 0
    assert f"Compared with {first}, read until" in runner.out
    assert ": 60 → 90 profiles." in runner.out
    assert await runner.history("spa_1", json=True) == 0
    second, *before = json.loads(runner.out)
    assert [one["sync_id"] for one in before] == [first]
    assert (second["profiles"], second["clusters"]["growth"]) == (90, {"n": 30, "share": 0.333333})
    assert await runner.history("spa_1") == 0
    assert " 90 " in runner.out
    assert f" {first} " in runner.out


@pytest.mark.usefixtures("_worker")
async def test_what_a_guard_stops_says_how_to_continue(runner: SyncCommands, sandbox: Sandbox) -> None:
    assert await runner.sync("spa_1") == 0
    sandbox.set_options(spaces={"spa_1": SpaceSpec(30)})
    assert await runner.sync("spa_1", preview=True) == 0
    assert "The space has 30 profiles; the last complete sync" in runner.out
    assert runner.err.rstrip().endswith(" --accept")
    stopped = runner.err.split()[-2]
    assert await runner.apply(stopped) == 1
    assert "guard_profiles: The space has 30 profiles" in runner.out
    assert await runner.resume(stopped, accept=True) == 0


@pytest.mark.usefixtures("_worker")
async def test_an_older_plan_is_applied_with_a_warning(runner: SyncCommands) -> None:
    assert await runner.sync("spa_1", preview=True, json=True) == 0
    preview = str(runner.document["sync_id"])
    assert await runner.sync("spa_1", json=True) == 0
    newer = runner.document["sync_id"]
    assert await runner.apply(preview) == 0
    assert f"Note: {preview} is from" in runner.err
    assert f"{newer} has read the space since" in runner.err
