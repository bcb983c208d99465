"""A failure keeps what to do about it apart from what happened, also for a version that knows no hints."""

from __future__ import annotations

from producer import SyncFailed
from worker.documents.sync_document import sync_document
from worker.errors import ResumableStop
from worker.models.outcome import SyncFailure
from worker.models.request import SyncRequest
from worker.models.sync import Sync

FIELDS = {
    "id": "syn_1",
    "request": SyncRequest(space_id="spa").model_dump_json(),
    "state": "failed",
    "epoch": "1",
    "pages": "0",
    "profiles": "0",
    "complete": "0",
    "revivals": "0",
    "created_at": "1000",
    "failed_in": "fetching",
    "error_code": "segment_forbidden",
    "error_message": "Segment answered 403",
    "error_resumable": "1",
}


def test_a_failure_that_an_earlier_version_stored_has_no_hint() -> None:
    assert Sync.from_fields(FIELDS).error == SyncFailure("segment_forbidden", "Segment answered 403", True, "")


def test_a_hint_is_shown_apart_from_the_message() -> None:
    sync = Sync.from_fields({**FIELDS, "error_hint": "Grant access."})
    error = sync_document(sync, hint="resume it")["error"]
    assert error == {
        "code": "segment_forbidden",
        "message": "Segment answered 403",
        "resumable": True,
        "hint": "Grant access. resume it",
    }
    failed = SyncFailed(sync)
    assert (failed.hint, failed.code) == ("Grant access.", "segment_forbidden")
    assert "Grant access" not in str(failed)


def test_an_error_of_an_api_carries_its_hint_beside_the_message() -> None:
    error = ResumableStop("code", "What happened", hint="What to do", request_id="req_1")
    assert (error.hint, str(error)) == ("What to do", "What happened (Request-Id req_1)")
