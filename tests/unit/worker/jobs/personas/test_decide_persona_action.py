"""What a sync does for a cluster: every line of the table in `worker.jobs.personas.decide_persona_action`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from worker.clusters import ClusterSummary
from worker.clusters.analysis.change_detection import ChangeThreshold, PersonaFigures
from worker.clusters.analysis.summary import NumberSummary
from worker.jobs.personas.decide_persona_action import PersonaAction, decide_action
from worker.mavera import PersonaPayload
from worker.models.request import SyncRequest
from worker.settings import load_settings
from worker.store import PersonaRecord, SentPersona

REQUEST = SyncRequest(space_id="spa_1")
SUMMARY = ClusterSummary("growth", 20, 0.3, numbers={"ltv": NumberSummary(100.0, coverage=20)}, categories={})
FIGURES = PersonaFigures(0.3, {"ltv": 100.0}, {})
PAYLOAD = PersonaPayload("Growth", "…", {}, {}, wording="w1", figures=FIGURES, extra={})
RECORD = PersonaRecord("per_1", "spa_1", "growth", "syn_0", n=20, sent=SentPersona("w1", FIGURES, at=1.0))


def mean(value: float) -> PersonaPayload:
    return replace(PAYLOAD, figures=replace(FIGURES, means={"ltv": value}))


def with_share(value: float) -> PersonaPayload:
    return replace(PAYLOAD, figures=replace(FIGURES, share=value))


def decided(
    record: PersonaRecord | None = RECORD,
    payload: PersonaPayload = PAYLOAD,
    request: SyncRequest = REQUEST,
    *,
    n: int = 20,
    complete: bool = True,
    **settings: object,
) -> PersonaAction:
    chosen = load_settings(**settings)
    threshold = ChangeThreshold(chosen.persona_share_points, chosen.persona_mean_percent)
    summary = replace(SUMMARY, n=n)
    return decide_action(request, summary, payload, record, threshold=threshold, complete=complete)


def test_a_cluster_without_a_persona_gets_one() -> None:
    assert decided(None) == PersonaAction("create")


@pytest.mark.parametrize("complete", [True, False])
def test_what_has_not_changed_is_left(complete: bool) -> None:
    assert decided(replace(RECORD, complete=complete), complete=complete) == PersonaAction("leave")


def test_a_cluster_of_profiles_without_traits_makes_no_persona() -> None:
    assert decided(n=101) == decided(None, n=101) == PersonaAction("skip", "no_evidence")


def test_a_material_change_is_sent_and_named() -> None:
    assert decided(payload=mean(101.9)) == PersonaAction("leave")
    assert decided(payload=mean(102.0)) == PersonaAction("update", "the mean of ltv moved by 2.0 %")
    assert decided(payload=mean(102.0), persona_mean_percent=3) == PersonaAction("leave")
    assert decided(payload=with_share(0.32)).action == "update"
    assert decided(payload=with_share(0.32), persona_share_points=3) == PersonaAction("leave")


def test_a_larger_cluster_of_the_same_kind_changes_nothing() -> None:
    assert decided(n=40) == PersonaAction("leave")


def test_another_wording_is_sent() -> None:
    sent = SentPersona("w0", FIGURES, at=1.0)
    assert decided(replace(RECORD, sent=sent)) == PersonaAction("update", "its name, text or fields have changed")


def test_a_persona_whose_text_is_unknown_is_updated() -> None:
    assert decided(replace(RECORD, sent=None)) == PersonaAction("update", "its text at Mavera is not known")


@pytest.mark.parametrize("record", [None, RECORD])
@pytest.mark.parametrize(("n", "reason"), [(0, "empty"), (1, "too_small"), (2, "too_small")])
def test_a_small_cluster_is_skipped_whether_it_has_a_persona_or_not(
    record: PersonaRecord | None, n: int, reason: str
) -> None:
    assert decided(record, n=n) == PersonaAction("skip", reason)


@pytest.mark.parametrize("sent", [None, RECORD.sent, SentPersona("w0", FIGURES, at=1.0)])
def test_a_part_of_a_space_does_not_overwrite_what_comes_from_all_of_it(sent: SentPersona | None) -> None:
    assert decided(replace(RECORD, sent=sent), mean(200.0), complete=False) == PersonaAction("skip", "partial")


def test_a_part_may_update_if_allowed_or_if_a_part_made_the_persona() -> None:
    allowed = REQUEST.model_copy(update={"allow_partial": True})
    assert decided(request=allowed, payload=mean(200.0), complete=False).action == "update"
    assert decided(replace(RECORD, complete=False), mean(200.0), complete=False).action == "update"


def test_a_part_of_a_space_creates_a_persona_only_if_that_is_allowed() -> None:
    assert decided(None, complete=False) == PersonaAction("skip", "partial")
    for allowed in (True, "create"):
        request = REQUEST.model_copy(update={"allow_partial": allowed})
        assert decided(None, request=request, complete=False) == PersonaAction("create")


def test_permission_to_create_from_a_part_is_not_one_to_overwrite() -> None:
    request = REQUEST.model_copy(update={"allow_partial": "create"})
    assert decided(request=request, payload=mean(200.0), complete=False) == PersonaAction("skip", "partial")


def test_a_preview_of_a_part_plans_to_create() -> None:
    request = REQUEST.model_copy(update={"plan_only": True})
    assert decided(None, request=request, complete=False) == PersonaAction("create")


def test_a_request_with_permission_to_create_is_read_as_it_was_written() -> None:
    request = SyncRequest(space_id="spa_1", max_profiles=9, allow_partial="create")
    assert SyncRequest.model_validate_json(request.model_dump_json()) == request
    assert request.applied_within(5).allow_partial == "create"
    assert REQUEST.applied_within(5).allow_partial is False
    assert REQUEST.applied_within(5, allow_partial=True).allow_partial == "create"


def test_all_of_a_space_overwrites_what_comes_from_a_part_of_it() -> None:
    assert decided(replace(RECORD, complete=False)) == PersonaAction("update", "it was made from a part of the space")
