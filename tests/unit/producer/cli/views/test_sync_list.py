"""How `list` shows syncs, on wide and narrow screens."""

from __future__ import annotations

import pytest

from producer.cli.views.sync_list import shorten_middle, sync_table
from producer.cli.views.time_formats import zone
from tests.support.screens import text
from tests.support.syncs.snapshots import START, completed, fetching, queued
from worker.models.outcome import SyncFailure
from worker.models.request import SyncRequest
from worker.models.sync import SyncState
from worker.models.versions import UnreadableSync

LONG = "production_" * 5 + "eu"
SYNCS = [
    queued(id="syn_0123456789abcdef", note="waiting for a worker", request=SyncRequest(space_id=LONG)),
    fetching(
        state=SyncState.FAILED,
        finished_at=START + 1,
        error=SyncFailure("mavera_unauthorized", "no key", resumable=True),
    ),
    completed(),
    UnreadableSync("syn_newer", "spa_9", START, True, "It is of a newer version"),
]


@pytest.mark.parametrize("width", [50, 60, 79, 80, 110, 120])
def test_the_list_fits_and_shortens_space_ids_in_the_middle(width: int) -> None:
    lines = text(sync_table(SYNCS, width), width=width).splitlines()
    assert max(map(len, lines)) <= width
    (first,) = [line for line in lines if line.startswith("syn_0123456789abcdef ")]
    assert "prod" in first
    assert "_eu " in first
    assert "queued" in first
    assert ("waiting" in first) == (width >= 80)
    assert "mavera_unauthorized" in "\n".join(lines)
    assert any(line.startswith("syn_newer ") and "unreadable" in line for line in lines)


def test_the_list_shows_times_where_there_is_room() -> None:
    assert "2023-11-1" in text(sync_table(SYNCS, 120), width=120)
    assert zone() in text(sync_table(SYNCS, 80), width=80)
    assert "11-1" not in text(sync_table(SYNCS, 60), width=60)


def test_a_text_is_shortened_in_its_middle() -> None:
    assert shorten_middle("spa_123", 7) == "spa_123"
    assert shorten_middle("spa_1234567", 7) == "spa…567"
    assert shorten_middle("spa_1234567", 1) == "s…7"


def test_a_list_shortens_what_a_sync_waits_for() -> None:
    note = "Segment, space spa_1, page 1: 503 The service is busy (Request-Id req_1); retrying, 4 min left"
    shown = " ".join(text(sync_table([queued(note=note)], 200), width=200).split())
    assert "503 The service is busy" in shown
    assert "req_1" not in shown
