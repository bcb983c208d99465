"""How plans are shown, and what the user is asked about them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producer.cli.views.plan import changes_personas, confirmation_question, plan_lines, plan_summary
from tests.support.syncs.snapshots import completed
from tests.support.syncs.spaces import snapshot
from worker.documents.sync_results import cluster_results, sync_statistics
from worker.models.plan import Plan, PlannedPersona
from worker.models.request import SyncRequest
from worker.models.sync import Sync


def describe_persona(action: str = "create", **changes: object) -> PlannedPersona:
    given = {
        "cluster": "growth",
        "action": action,
        "reason": "no persona yet",
        "persona_id": None if action == "create" else "per_gr",
        "credits": 300 if action == "create" else 0,
        "payload": {"name": "Growth"},
        "current": None,
        **changes,
    }
    return PlannedPersona.model_validate(given)


def planned(*personas: PlannedPersona, **plan: object) -> Sync:
    request = SyncRequest(space_id="spa_1", plan_only=True)
    made = Plan.model_validate({"personas": personas, **plan})
    return completed(request=request, outcomes=(), plan=made)


def lines(sync: Sync, *, details: bool = False) -> list[str]:
    found = cluster_results(sync, sync_statistics(sync))
    return "\n".join(line.plain for line in plan_lines(found, details=details)).split("\n")


def test_a_persona_that_would_be_created_is_one_line_with_name_reason_and_cost() -> None:
    line, hint = lines(planned(describe_persona(payload={f"field_{n}": n for n in range(33)})))
    assert all(part in line for part in ("Growth", "create", "300 credits", "no persona yet", "33 fields"))
    assert "--details" in hint


def test_a_planned_update_shows_its_main_changes_on_one_line() -> None:
    numbers = {"ltv": {"mean": 1189.4, "p90": 2040.0}}
    payload = {"name": "N", "description": "New " * 200, "psychographic": {"numbers": numbers, "share": 0.2}}
    payload |= {f"field_{n}": n for n in range(30)}
    current = {"name": "N", "description": "Old", "psychographic": {"numbers": {"ltv": {"mean": 1539.2, "p90": 1.0}}}}
    update, changes, hint = lines(
        planned(describe_persona("update", payload=payload, current=current, reason="the mean moved"))
    )
    assert "update per_gr (the mean moved)" in update
    assert changes.strip().startswith("ltv.mean 1,539 → 1,189; ")
    assert changes.endswith("more fields")
    assert len(changes) <= 120
    assert "--details" in hint
    detailed = lines(planned(describe_persona("update", payload=payload, current=current)), details=True)
    assert "  - psychographic.numbers.ltv.mean: 1539.2" in detailed
    assert "  + psychographic.numbers.ltv.mean: 1189.4" in detailed


def test_what_stays_unchanged_needs_no_details() -> None:
    (line,) = lines(planned(describe_persona("leave", reason="nothing changed")))
    assert "unchanged per_gr (nothing changed)" in line
    assert not changes_personas(planned(describe_persona("leave")).plan or Plan())


@pytest.mark.parametrize(
    ("code", "sentence", "parts"),
    [
        (
            "guard_profiles",
            "The space has 60 profiles",
            ("shrank from 300 to 60 profiles", "Accept this"),
        ),
        ("guard_coverage", "10.0% of the profiles have ltv", ("10.0% of the profiles have ltv", "Accept this")),
        ("guard_trait_errors", "50 of the 60 values of ltv", ("50 of the 60 values", "Continue without these values")),
        ("guard_profile_errors", "30 of 90 entries", ("30 of 90 entries", "Continue without these profiles")),
        ("guard_personas", "Mavera lists 0 of 4 personas; missing: per_1. Check it", ("of 4 personas. Create these",)),
        ("guard_new", "Something is odd", ("Something is odd", "Accept this and continue")),
    ],
)
def test_after_a_guard_the_question_says_what_is_accepted(code: str, sentence: str, parts: tuple[str, ...]) -> None:
    sync = planned(describe_persona("leave"), alarms=(sentence,), alarm_codes=(code,))
    asked = confirmation_question([replace(sync, baseline=snapshot({"growth": 300}))])
    assert all(part in asked for part in parts)
    assert asked.endswith("?")
    assert "hange nothing" not in asked


def test_a_question_names_what_is_bought_and_several_alarms() -> None:
    assert confirmation_question([planned(describe_persona())]) == "Create 1 persona for 300 credits?"
    two = planned(describe_persona(), alarms=("One", "Two"), alarm_codes=("guard_coverage", "guard_trait_errors"))
    asked = confirmation_question([two])
    assert asked.startswith("One. Two. Accept all of this")
    assert asked.endswith("and create 1 persona for 300 credits?")
    old = planned(
        describe_persona("leave"), alarms=("Half of it is gone",)
    )  # without codes, as older versions wrote it
    assert "Half of it is gone" in confirmation_question([old])


def test_a_plan_is_summed_up_in_one_phrase() -> None:
    plan = Plan(personas=(describe_persona(), describe_persona("update"), describe_persona("leave")))
    assert plan_summary([plan]) == "create 1 persona for 300 credits, update 1 persona, leave 1 persona unchanged"
    assert planned(describe_persona()).status == "planned"
    assert completed().status == "completed"
