"""Events: their types, the JSON that is sent, and the text for Slack."""

from __future__ import annotations

import json

import pytest

from tests.support.syncs.snapshots import START, completed, fetching
from worker.documents.sync_document import sync_document
from worker.models.outcome import SyncFailure
from worker.models.plan import Plan, PlannedPersona
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState
from worker.models.versions import NewerVersion
from worker.webhooks.event import Event
from worker.webhooks.slack_text import slack_body


def failed(code: str, message: str = "It failed.") -> Sync:
    error = SyncFailure(code, message, resumable=True, hint="Check the token.")
    return fetching(state=SyncState.FAILED, finished_at=START + 2, error=error)


PERSONA = PlannedPersona(
    cluster="growth",
    action="create",
    reason="no persona yet",
    persona_id=None,
    credits=300,
    payload={"name": "Growth"},
    current=None,
)
PREVIEW = completed(
    request=SyncRequest(space_id="spa_1", plan_only=True),
    outcomes=(),
    credits=0,
    plan=Plan(personas=(PERSONA,), alarms=("Half of it is gone",)),
)
CANCELLED = fetching(state=SyncState.CANCELLED, finished_at=START + 1)


@pytest.mark.parametrize(
    ("sync", "event_type"),
    [
        (completed(), "sync.completed"),
        (PREVIEW, "plan.ready"),
        (failed("segment_unauthorized"), "sync.failed"),
        (failed("guard_profiles"), "guard.stopped"),
        (CANCELLED, "sync.cancelled"),
    ],
    ids=["completed", "preview", "failed", "guard", "cancelled"],
)
def test_an_end_has_one_type_and_the_document_of_the_command_line(sync: Sync, event_type: str) -> None:
    body = json.loads(Event.of_sync("evt_1", START + 2.5, sync).body())
    assert body.keys() == {"type", "timestamp", "data"}
    assert (body["type"], body["timestamp"]) == (event_type, "2023-11-14T22:13:22.500Z")
    assert body["data"] == json.loads(json.dumps(sync_document(sync)))


@pytest.mark.parametrize(
    ("sync", "fragments"),
    [
        (completed(), ["*Sync completed*: space spa_1 (syn_1)", "60 profiles", "2 personas: created", "600 credits"]),
        (PREVIEW, ["*Plan ready*", "1 personas: create", "segment-personas apply syn_1", "Half of it is gone"]),
        (failed("segment_error", "<!channel> & co"), ["segment_error: &lt;!channel&gt; &amp; co", "Check the token."]),
        (CANCELLED, ["*Sync cancelled*: space spa_1 (syn_1)"]),
    ],
    ids=["completed", "preview", "failed", "cancelled"],
)
def test_slack_gets_a_readable_text_in_which_nothing_is_markup(sync: Sync, fragments: list[str]) -> None:
    body = json.loads(slack_body(Event.of_sync("evt_1", START, sync)))
    assert body.keys() == {"text"}
    assert [fragment for fragment in fragments if fragment not in body["text"]] == []


def test_slack_gets_alerts_too() -> None:
    overdue = Event.of_document(
        "evt_1", "sync.overdue", START, {"schedule_id": "sch_1", "space_id": "spa_1", "last_complete_at": None}
    )
    low = Event.of_document("evt_2", "credits.low", START, {"text": "200 credits left", "available": 200})
    assert "space spa_1 (sch_1)" in json.loads(slack_body(overdue))["text"]
    assert "200 credits left" in json.loads(slack_body(low))["text"]


def test_an_event_of_an_unknown_type_is_left_to_newer_workers() -> None:
    with pytest.raises(NewerVersion):
        Event.of_document("evt_1", "sync.exploded", START, {})
