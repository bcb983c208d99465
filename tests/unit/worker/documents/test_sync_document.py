"""The JSON of a sync: the recipe's example, and what was added to it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from producer.cli.syncs.reporting import exit_code_of_syncs
from producer.sandbox import SpaceSpec
from tests.support.syncs.snapshots import OUTCOMES, START, completed, counted, fetching, finalizing, queued
from tests.support.syncs.spaces import snapshot
from worker.clusters import Aggregate, fold
from worker.documents.json_format import format_json, iso_time
from worker.documents.sync_document import sync_document, sync_list_entry
from worker.documents.sync_results import sync_timings
from worker.models.outcome import PersonaOutcome, SyncFailure
from worker.models.plan import Plan, PlannedPersona
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState


def test_the_document_of_a_finished_sync_extends_the_recipes_example() -> None:
    result = sync_document(completed())
    assert result == {
        "sync_id": "syn_1",
        "status": "completed",
        "space_id": "spa_1",
        "profiles_fetched": 60,
        "pages_fetched": 1,
        "complete": True,
        "plan_only": False,
        "applied_at": None,
        "unclassified": 0,
        "personas": [
            {
                "cluster": "High Value",
                "key": "high_value",
                "id": "per_hv",
                "persona_id": "per_hv",
                "n": 20,
                "avg_ltv": 1200.0,
                "avg_churn": "5%",
                "action": "created",
            },
            {
                "cluster": "Growth",
                "key": "growth",
                "id": "per_gr",
                "persona_id": "per_gr",
                "n": 20,
                "avg_ltv": 450.0,
                "avg_churn": "22%",
                "action": "created",
            },
            {
                "cluster": "At Risk",
                "key": "at_risk",
                "id": "per_ar",
                "persona_id": "per_ar",
                "n": 20,
                "avg_ltv": 85.0,
                "avg_churn": "65%",
                "action": "updated",
            },
        ],
        "skipped": [{"cluster": "New", "key": "new", "n": 0, "reason": "empty"}],
        "credits_charged": 600,
        "trait_errors": {},
        "profile_errors": 0,
        "profiles_unreadable": 0,
        "timings": {"queued_s": 0.5, "fetching_s": 2.0, "finalizing_s": 1.25},
        "started_at": "2023-11-14T22:13:20.500Z",
        "duration_s": 3.25,
        "source": "segment",
        "read_from": "2023-11-14T22:13:20.500Z",
        "read_to": "2023-11-14T22:13:22.500Z",
    }
    assert " ".join(result) == (
        "sync_id status space_id profiles_fetched pages_fetched complete plan_only applied_at "
        "unclassified personas skipped credits_charged "
        "trait_errors profile_errors profiles_unreadable timings started_at duration_s source read_from read_to"
    )


def test_a_sample_shows_each_size_twice_and_the_share_with_its_interval() -> None:
    aggregate = Aggregate.from_bytes(counted(SpaceSpec(60)))
    aggregate.left_out = 540
    sync = completed()
    sync = replace(
        sync,
        aggregate=aggregate.to_bytes(),
        profiles=600,
        request=sync.request.model_copy(update={"sample": 0.1}),
    )
    result = sync_document(sync)
    assert (result["sample"], result["sampled"], result["profiles_fetched"]) == (0.1, 60, 600)
    personas = result["personas"]
    assert isinstance(personas, list)
    assert personas[0]["n"] == 20
    assert personas[0]["n_estimated"] == 200
    assert personas[0]["share"] == pytest.approx(1 / 3)
    low, high = personas[0]["share_95"]
    assert (low, high) == pytest.approx((0.2317, 0.4533), abs=1e-3)
    low, high = personas[0]["intervals_95"]["industries"]["SaaS"]
    assert (low, high) == (pytest.approx(0.852, abs=1e-3), pytest.approx(1))
    assert result["skipped"] == [
        {
            "cluster": "New",
            "key": "new",
            "n": 0,
            "n_estimated": 0,
            "share": 0.0,
            "share_95": [0.0, pytest.approx(0.0545, abs=1e-3)],
            "reason": "empty",
        }
    ]


def test_of_a_failed_sync_the_document_says_why_and_whether_it_can_be_resumed() -> None:
    sync = fetching(
        state=SyncState.FAILED, finished_at=START + 2, error=SyncFailure("segment_unauthorized", "401", resumable=True)
    )
    result = sync_document(sync)
    assert result["status"] == "failed"
    assert result["error"] == {"code": "segment_unauthorized", "message": "401", "resumable": True}
    assert result["skipped"] == []  # the space was not read to its end, so it is not known
    assert result["timings"] == {"queued_s": 0.5, "fetching_s": 1.5, "finalizing_s": None}
    assert result["read_to"] is None


def test_complete_is_false_if_the_sync_was_cut_by_max_profiles() -> None:
    assert sync_document(completed(complete=False))["complete"] is False


def test_a_cluster_without_a_persona_is_skipped_with_its_reason() -> None:
    request = SyncRequest(space_id="spa_1", min_cluster_size=21)
    assert sync_document(completed(request=request, outcomes=()))["skipped"] == [
        {"cluster": "High Value", "key": "high_value", "n": 20, "reason": "too_small"},
        {"cluster": "Growth", "key": "growth", "n": 20, "reason": "too_small"},
        {"cluster": "At Risk", "key": "at_risk", "n": 20, "reason": "too_small"},
        {"cluster": "New", "key": "new", "n": 0, "reason": "empty"},
    ]


def test_a_skipped_cluster_keeps_its_persona_and_names_it() -> None:
    left = PersonaOutcome("growth", "per_gr", "skipped", 0, reason="too_small")
    result = sync_document(completed(outcomes=(OUTCOMES[0], left, OUTCOMES[2])))
    assert [persona["cluster"] for persona in result["personas"]] == ["High Value", "At Risk"]  # type: ignore[attr-defined]
    assert result["skipped"] == [
        {"cluster": "Growth", "key": "growth", "n": 20, "reason": "too_small", "persona_id": "per_gr"},
        {"cluster": "New", "key": "new", "n": 0, "reason": "empty"},
    ]


def test_an_update_says_what_changed_and_what_is_left_says_nothing() -> None:
    updated = replace(OUTCOMES[0], action="updated", credits=0, reason="the mean of ltv moved by 4.0 %")
    unchanged = replace(OUTCOMES[1], action="unchanged", credits=0)
    first, second = sync_document(completed(outcomes=(updated, unchanged)))["personas"]  # type: ignore[misc]
    assert (first["action"], first["reason"]) == ("updated", "the mean of ltv moved by 4.0 %")
    assert second["action"] == "unchanged"
    assert "reason" not in second


def test_the_mean_of_no_values_is_null() -> None:
    nameless = Aggregate()
    fold(nameless, [{"traits": {"purchase_count": 1}}] * 3)
    outcome = replace(OUTCOMES[0], cluster="new")
    (persona,) = sync_document(completed(aggregate=nameless.to_bytes(), outcomes=(outcome,)))["personas"]  # type: ignore[misc]
    assert (persona["avg_ltv"], persona["avg_churn"]) == (None, None)


def test_bad_values_and_bad_profiles_are_counted_in_the_document() -> None:
    result = sync_document(completed(aggregate=counted(SpaceSpec(2000, "mixed"))))
    assert isinstance(result["trait_errors"], dict)
    assert list(result["trait_errors"]) == ["churn_risk", "industries", "ltv", "plans", "purchase_count"]
    assert all(result["trait_errors"].values())
    shapes = result["trait_error_shapes"]
    assert isinstance(shapes, dict)
    assert shapes["churn_risk"]
    assert all(3 <= n <= result["trait_errors"][name] for name, found in shapes.items() for n in found.values())
    assert result["profile_errors"]
    assert result["unclassified"]


def test_a_field_that_mavera_dropped_is_named() -> None:
    dropped = replace(OUTCOMES[0], ignored=("demographic",))
    (persona,) = sync_document(completed(outcomes=(dropped,)))["personas"]  # type: ignore[misc]
    assert persona["ignored"] == ["demographic"]


def test_of_a_running_sync_the_document_says_what_is_known_so_far() -> None:
    result = sync_document(fetching(note="waiting for Segment's rate limit"), now=START + 1.5)
    assert result["status"] == "fetching"
    assert result["personas"] == result["skipped"] == []
    assert result["timings"] == {"queued_s": 0.5, "fetching_s": 1.0, "finalizing_s": None}
    assert result["duration_s"] == 1.0
    names = {"High Value": "high_value", "Growth": "growth", "At Risk": "at_risk"}
    assert result["clusters"] == [{"cluster": label, "key": key, "n": 20} for label, key in names.items()]
    assert result["waiting_for"] == "waiting for Segment's rate limit"


def test_of_a_running_sync_the_document_counts_its_lost_jobs() -> None:
    found = sync_document(fetching(epoch=4, revivals=2))
    assert (found["epoch"], found["revivals"]) == (4, 2)
    assert "revivals" not in sync_document(completed())


def test_the_times_of_a_sync_that_has_not_begun_are_null() -> None:
    result = sync_document(queued())
    assert result["timings"] == {"queued_s": None, "fetching_s": None, "finalizing_s": None}
    assert result["started_at"] is result["duration_s"] is result["read_from"] is None


def test_a_sync_cancelled_in_the_queue_has_only_waited() -> None:
    found = sync_timings(queued(state=SyncState.CANCELLED, finished_at=START + 7))
    assert (found.queued_s, found.fetching_s, found.total_s) == (7.0, None, None)


def test_a_sync_in_a_list_is_short() -> None:
    assert sync_list_entry(finalizing(), now=START + 4) == {
        "sync_id": "syn_1",
        "status": "finalizing",
        "space_id": "spa_1",
        "profiles_fetched": 60,
        "pages_fetched": 1,
        "complete": True,
        "plan_only": False,
        "applied_at": None,
        "credits_charged": 0,
        "created_at": iso_time(START),
        "started_at": iso_time(START + 0.5),
        "duration_s": 3.5,
        "waiting_for": None,
    }


@pytest.mark.parametrize(
    "documents", [sync_document(completed()), [sync_document(completed()), sync_document(queued())], []]
)
def test_the_text_is_one_json_document_with_a_line_for_each_persona(documents: dict[str, object]) -> None:
    text = format_json(documents)
    assert json.loads(text) == documents
    assert all(text.count(f'\n    {{"cluster": "{label}"') <= 1 for label in ("High Value", "Growth"))


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([SyncState.COMPLETED], 0),
        ([SyncState.FETCHING], 0),
        ([SyncState.COMPLETED, SyncState.CANCELLED], 3),
        ([SyncState.CANCELLED, SyncState.FAILED, SyncState.COMPLETED], 1),
    ],
)
def test_the_exit_code_is_that_of_the_worst_sync(states: list[SyncState], code: int) -> None:
    syncs: list[Sync] = [queued(state=state) for state in states]
    assert exit_code_of_syncs(syncs) == code


# What changed since the sync before


BEFORE = snapshot({"high_value": 10, "growth": 30, "new": 10}, sync_id="syn_0", means={"ltv": 1200.0})


def test_the_document_says_what_changed_since_the_complete_sync_before() -> None:
    result = sync_document(completed(baseline=BEFORE))
    assert result["compared_with"] == {"sync_id": "syn_0", "read_to": "2023-11-14T22:14:20.000Z", "profiles": 50}
    assert isinstance(result["drift"], list)
    told = {one["cluster"]: (one["status"], one["n_before"], one["n"], one["points"]) for one in result["drift"]}
    assert told == {
        "High Value": ("kept", 10, 20, 13.333),
        "Growth": ("kept", 30, 20, -26.667),
        "At Risk": ("new", 0, 20, 33.333),
        "New": ("vanished", 10, 0, -20.0),
    }
    means = {one["cluster"]: one["means"] for one in result["drift"]}
    assert means["High Value"] == {"ltv": 0.0}
    assert means["Growth"]["ltv"] < -100


def test_without_a_sync_before_nothing_is_shown_of_changes() -> None:
    assert {"compared_with", "drift"} & set(sync_document(completed())) == set()


# What a preview would do


PLAN = Plan(
    personas=(
        PlannedPersona(
            cluster="high_value",
            action="create",
            reason="no persona yet",
            persona_id=None,
            credits=300,
            payload={"name": "High Value"},
            current=None,
        ),
        PlannedPersona(
            cluster="growth",
            action="update",
            reason="the mean of ltv moved by 3.0 %",
            persona_id="per_gr",
            credits=0,
            payload={"name": "Growth"},
            current={"name": "Mine"},
        ),
        PlannedPersona(
            cluster="at_risk",
            action="skip",
            reason="partial",
            persona_id="per_ar",
            credits=0,
            payload={"name": "At Risk"},
            current=None,
        ),
    ),
    max_credits=900,
    alarms=("Half of it is gone",),
)


def preview() -> Sync:
    return completed(request=SyncRequest(space_id="spa_1", plan_only=True), outcomes=(), credits=0, plan=PLAN)


def test_the_document_of_a_preview_has_its_plan() -> None:
    result = sync_document(preview())
    assert result["planned"] == [
        {
            "cluster": "High Value",
            "key": "high_value",
            "action": "create",
            "reason": "no persona yet",
            "persona_id": None,
            "credits": 300,
            "changes": [],
            "payload": {"name": "High Value"},
        },
        {
            "cluster": "Growth",
            "key": "growth",
            "action": "update",
            "reason": "the mean of ltv moved by 3.0 %",
            "persona_id": "per_gr",
            "credits": 0,
            "changes": [{"field": "name", "before": "Mine", "after": "Growth"}],
            "payload": {"name": "Growth"},
        },
    ]
    assert result["skipped"] == [
        {"cluster": "At Risk", "key": "at_risk", "n": 20, "reason": "partial", "persona_id": "per_ar"},
        {"cluster": "New", "key": "new", "n": 0, "reason": "empty"},
    ]
    assert (result["credits_planned"], result["max_credits"]) == (300, 900)
    assert result["alarms"] == ["Half of it is gone"]


def test_an_applied_plan_took_as_long_as_it_was_worked_on() -> None:
    applied = completed(finished_at=START + 1000, applied_at=START + 999, plan=PLAN)
    assert sync_timings(applied).finalizing_s == 1.0
    assert sync_timings(applied).total_s == 3.0
    assert "planned" not in sync_document(applied)
