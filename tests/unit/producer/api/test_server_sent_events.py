"""Server-sent events: frames that a client reads as they were meant."""

from __future__ import annotations

import pytest

from producer.api.routes.sync_events import comment_frame, event_frame, retry_frame
from tests.support.http_api.event_reader import read_events


@pytest.mark.parametrize("data", ["{}", "", "one\ntwo", "a\rb", "a\r\nb", '{"text": "é\\n"}'])
def test_an_event_arrives_with_its_id_name_and_data(data: str) -> None:
    (event,) = read_events(event_frame("sync", "3-ab", data))
    assert (event.id, event.name) == ("3-ab", "sync")
    assert event.data.splitlines() == data.splitlines()


def test_comments_and_waits_are_not_events() -> None:
    assert read_events(retry_frame(2000) + comment_frame("heartbeat")) == []
    assert retry_frame(2000) == b"retry: 2000\n\n"
