"""Requests, states and snapshots: what may be asked for, which moves are legal, and what Redis' fields mean."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from worker.clusters import RECIPE, Rules
from worker.errors import InvalidRequest
from worker.models.outcome import PersonaOutcome, SyncFailure
from worker.models.request import SyncRequest
from worker.models.sync import FINAL, Sync, SyncState, job_kind, new_sync_id

FIELDS = {
    "id": "syn_1",
    "request": '{"space_id":"spa_1"}',
    "state": "queued",
    "epoch": "1",
    "pages": "2",
    "profiles": "300",
    "complete": "0",
    "revivals": "4",
    "created_at": "1700000000123",
}


# Requests


def test_a_request_needs_no_more_than_a_space() -> None:
    request = SyncRequest(space_id="spa_1")
    assert request.model_dump() == {
        "space_id": "spa_1",
        "dialect": "auto",
        "strategy": "chain",
        "collection": "users",
        "trait_class": None,
        "rules": "recipe",
        "file": None,
        "warehouse": None,
        "warehouse_columns": None,
        "sample": None,
        "max_profiles": None,
        "min_cluster_size": 3,
        "mode": "upsert",
        "allow_partial": False,
        "plan_only": False,
        "max_credits": None,
    }
    assert request.model_dump(mode="json", exclude_unset=True) == {"space_id": "spa_1"}


@pytest.mark.parametrize("space_id", ["spa_1", "9", "a.b-c~d", "x" * 128])
def test_a_space_id_fits_into_a_path_and_a_key(space_id: str) -> None:
    assert SyncRequest(space_id=space_id).space_id == space_id


@pytest.mark.parametrize(
    "space_id", ["", ".", "..", "-x", "a/b", "a b", "a?b", "a#b", "a%2Fb", "spa_1\n", "spa:1", "{x}", "ä", "x" * 129]
)
def test_a_malformed_space_id_is_refused(space_id: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SyncRequest(space_id=space_id)
    assert caught.value.problems.keys() == {"space_id"}


MINE_JSON: dict[str, Any] = {
    "name": "mine",
    "traits": [{"name": "plan", "type": "category"}],
    "clusters": [{"key": "paying", "when": {"not": {"trait": "plan", "in": ["free"]}}}, {"key": "rest"}],
}

NESTED: dict[str, Any] = {}
for _ in range(5_000):
    NESTED = {"x": NESTED}


@pytest.mark.parametrize(
    "options",
    [
        {"dialect": "csv"},
        {"collection": "groups"},
        {"rules": "mine"},
        {"rules": {"name": "mine"}},
        {"rules": {"name": object()}},
        {"mode": "delete"},
        {"max_profiles": 0},
        {"max_profiles": -1},
        {"max_profiles": 1.5},
        {"min_cluster_size": 0},
        {"unknown": 1},
        {"sample": 0},
        {"sample": 0.1, "strategy": "fan-out"},
        {"sample": 1},
        {"sample": float("nan")},
        {"file": ""},
        {"file": "a\0b"},
        {"file": "x" * 4097},
        {"file": "\ud800"},
        {"file": "x", "dialect": "profile-api"},
        {"file": "x", "trait_class": "audience"},
        {"file": "x", "strategy": "fan-out"},
        {"strategy": "fan-out", "dialect": "profile-api"},
        {"trait_class": "audience", "dialect": "inline"},
        {"trait_class": "computed_trait", "dialect": "inline"},
        {"rules": {**MINE_JSON, "clusters": [{"key": "all", "persona": {"x": 2**64}}]}},
        {"rules": {**MINE_JSON, "clusters": [{"key": "all", "persona": {"x": -(2**63) - 1}}]}},
        {"rules": {**MINE_JSON, "clusters": [{"key": "all", "persona": {"x": [float("nan")]}}]}},
        {"rules": {**MINE_JSON, "clusters": [{"key": "all", "persona": {"x": "\ud800"}}]}},
        {"rules": {**MINE_JSON, "clusters": [{"key": "all", "persona": NESTED}]}},
        {"strategy": "tree"},
    ],
)
def test_a_request_with_an_option_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SyncRequest.model_validate({"space_id": "spa_1", **options})


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({}, {"space_id": "is required"}),
        ({"space_id": "s", "unknown": 1}, {"unknown": "not known"}),
        (
            {"space_id": "s", "max_profiles": 0, "mode": "x"},
            {"max_profiles": "of at least 1", "mode": "upsert, create"},
        ),
        ({"space_id": "s", "sample": 2}, {"sample": "below 1, such as 0.05"}),
        ({"space_id": "s", "allow_partial": "x"}, {"allow_partial": "`create`"}),
        ({"space_id": "s", "rules": "x"}, {"rules": "recipe"}),
        ({"space_id": "s", "rules": {"name": "m"}}, {"rules.traits": "required", "rules.clusters": "required"}),
        ({"space_id": "s", "file": "x", "strategy": "fan-out"}, {"": "not of a file"}),
    ],
)
def test_an_invalid_request_names_each_field_and_what_it_accepts(
    options: dict[str, Any], problems: dict[str, str]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        SyncRequest(**options)
    assert caught.value.problems.keys() == problems.keys()
    for field, fragment in problems.items():
        assert fragment in caught.value.problems[field]
        assert field in str(caught.value)
    assert "\n" not in str(caught.value)


def test_auto_is_the_chain_and_fan_out_is_another_way_to_the_same_result() -> None:
    auto, chain, fan_out = (SyncRequest(space_id="spa_1", strategy=one) for one in ("auto", "chain", "fan-out"))
    assert auto == chain == SyncRequest(space_id="spa_1")
    assert (chain.fans_out, fan_out.fans_out) == (False, True)
    assert chain.differences(fan_out) == ["dialect auto instead of inline", "strategy chain instead of fan-out"]
    assert chain.identity == fan_out.identity


def test_a_request_survives_its_journey_through_redis() -> None:
    request = SyncRequest(space_id="spa_1", collection="accounts", max_profiles=5, min_cluster_size=1, mode="create")
    assert SyncRequest.model_validate_json(request.model_dump_json()) == request


MINE = Rules.model_validate(MINE_JSON)


def test_rules_travel_in_the_request_and_the_default_ones_by_their_name() -> None:
    request = SyncRequest(space_id="spa_1", rules=MINE)
    stored = request.model_dump_json()
    loaded = SyncRequest.model_validate_json(stored)
    assert loaded == request
    assert loaded.rules is SyncRequest.model_validate_json(stored).rules  # compiled once for all jobs
    assert len(stored) < 500
    assert '"rules":"recipe"' in SyncRequest(space_id="spa_1").model_dump_json()
    changed = RECIPE.model_copy(update={"clusters": RECIPE.clusters[1:]})
    kept = SyncRequest.model_validate_json(SyncRequest(space_id="spa_1", rules=changed).model_dump_json())
    assert kept.rules.cluster_keys == ("growth", "at_risk", "new")


def test_a_request_of_before_there_were_other_rules_still_loads() -> None:
    request = SyncRequest.model_validate_json(
        '{"space_id":"spa_1","collection":"users","rules":"recipe","mode":"upsert"}'
    )
    assert request.rules is RECIPE


@pytest.mark.parametrize(
    "options",
    [
        {"trait_class": "audience", "dialect": "inline"},
        {"rules": {**MINE_JSON, "clusters": [{"key": "all", "persona": {"x": 2**70}}]}},
    ],
)
def test_a_stored_request_that_an_earlier_version_accepted_is_read(options: dict[str, Any]) -> None:
    stored = json.dumps({"space_id": "spa_1", **options})
    with pytest.raises(ValidationError):
        SyncRequest.model_validate_json(stored)
    request = SyncRequest.from_stored(stored)
    assert json.loads(request.model_dump_json()).items() >= json.loads(stored).items()
    assert SyncRequest.from_stored(request.model_dump_json()) == request


def test_a_request_does_not_change() -> None:
    with pytest.raises(ValidationError):
        SyncRequest(space_id="spa_1").space_id = "spa_2"


def test_what_may_run_once_is_space_collection_and_rules() -> None:
    request = SyncRequest(space_id="spa_1")
    assert request.identity == SyncRequest(space_id="spa_1", max_profiles=9, min_cluster_size=1, mode="create").identity
    others = [SyncRequest(space_id="spa_2"), SyncRequest(space_id="spa_1", collection="accounts")]
    others.append(SyncRequest(space_id="spa_1", rules=MINE))
    assert len({request.identity, *(other.identity for other in others)}) == 4
    cheaper = RECIPE.model_copy(update={"clusters": RECIPE.clusters[1:]})
    assert request.identity == SyncRequest(space_id="spa_1", rules=cheaper).identity
    assert re.fullmatch(r"[0-9a-f]{24}", request.identity)


def test_differences_name_the_option_and_both_values() -> None:
    ours, theirs = SyncRequest(space_id="spa_1"), SyncRequest(space_id="spa_1", max_profiles=9, mode="create")
    assert ours.differences(theirs) == ["max-profiles unset instead of 9", "mode upsert instead of create"]
    assert ours.differences(ours) == []


def test_differences_of_rules_name_the_parts() -> None:
    fewer = RECIPE.model_copy(update={"clusters": RECIPE.clusters[1:]})
    ours, theirs = SyncRequest(space_id="spa_1"), SyncRequest(space_id="spa_1", rules=fewer, max_profiles=9)
    assert ours.differences(theirs) == ["max-profiles unset instead of 9", "rules: another cluster high_value"]


def test_sync_ids_are_distinct_and_safe_anywhere() -> None:
    ids = {new_sync_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"syn_[0-9a-f]{16}", sync_id) for sync_id in ids)


# States


def test_only_a_completed_failed_or_cancelled_sync_has_ended() -> None:
    assert {state for state in SyncState if state.is_final} == FINAL
    assert set(SyncState) - FINAL == {SyncState.QUEUED, SyncState.FETCHING, SyncState.FINALIZING}


@pytest.mark.parametrize(
    ("state", "kind"),
    [(SyncState.QUEUED, "walk"), (SyncState.FETCHING, "walk"), (SyncState.FINALIZING, "finalize")],
)
def test_each_running_state_has_its_kind_of_job(state: SyncState, kind: str) -> None:
    assert job_kind(state) == kind


# Snapshots


def test_a_fresh_sync_has_no_times_and_no_error() -> None:
    sync = Sync.from_fields(FIELDS)
    assert (sync.id, sync.state, sync.request) == ("syn_1", SyncState.QUEUED, SyncRequest(space_id="spa_1"))
    assert (sync.epoch, sync.pages, sync.profiles, sync.revivals) == (1, 2, 300, 4)
    assert sync.created_at == 1_700_000_000.123
    assert (sync.started_at, sync.fetched_at, sync.finished_at) == (None, None, None)
    assert (sync.failed_in, sync.error, sync.note, sync.aggregate, sync.outcomes) == (None, None, "", b"", ())
    assert not sync.complete


def test_a_finished_sync_has_its_times_and_outcomes() -> None:
    times = {"started_at": "1000", "fetched_at": "2500", "finished_at": "3000"}
    outcome = PersonaOutcome("growth", "per_1", "created", 300)
    fields = {**FIELDS, **times, "state": "completed", "complete": "1", "note": "n", "aggregate": "{}"}
    sync = Sync.from_fields(fields, (outcome,))
    assert (sync.started_at, sync.fetched_at, sync.finished_at) == (1.0, 2.5, 3.0)
    assert (sync.complete, sync.note, sync.aggregate, sync.outcomes) == (True, "n", b"{}", (outcome,))


@pytest.mark.parametrize(("flag", "resumable"), [("1", True), ("0", False)])
def test_a_failed_sync_says_where_and_why(flag: str, resumable: bool) -> None:
    error = {"error_code": "c", "error_message": "m", "error_resumable": flag, "failed_in": "fetching"}
    sync = Sync.from_fields({**FIELDS, **error, "state": "failed"})
    assert sync.error == SyncFailure("c", "m", resumable)
    assert sync.failed_in is SyncState.FETCHING


def test_an_error_of_an_earlier_life_is_over_once_the_sync_is_resumed() -> None:
    error = {"error_code": "c", "error_message": "m", "error_resumable": "1"}
    assert Sync.from_fields({**FIELDS, **error, "state": "fetching"}).error is None


@pytest.mark.parametrize(
    ("own", "most", "applies"),
    [(900, None, True), (900, 900, True), (900, 1200, True), (900, 600, False), (None, 600, False)],
)
def test_an_applied_plan_is_that_of_a_request_within_its_budget(
    own: int | None, most: int | None, applies: bool
) -> None:
    preview = SyncRequest(space_id="spa_1", plan_only=True, max_credits=most)
    request = SyncRequest(space_id="spa_1", max_credits=own).model_dump_json()
    sync = Sync.from_fields({**FIELDS, "state": "finalizing", "request": request, "applied_at": "1700000000500"})
    assert sync.applies_plan_of(preview) is applies
