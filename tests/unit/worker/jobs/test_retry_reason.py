"""The reason why an API is asked again: it stays until something succeeds, and is logged when it changes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from tests.support.clocks.fake_time import FakeTime, services_for
from worker.errors import Retry
from worker.http.client import new_session
from worker.jobs.api_caller import ApiCaller, Defer, retry_note, same_reason
from worker.jobs.lease import Lease
from worker.store import RateScope, StorePool


@dataclass
class Notes:
    """Where the lease of `syn_1` shows its notes."""

    sync_id: str = "syn_1"
    shown: list[str] = field(default_factory=list)

    async def heartbeat(self, grant: object, *, note: str = "") -> None:
        self.shown.append(note)


def busy(request_id: str = "req_1") -> Retry:
    return Retry("segment_unavailable", "Segment, page 3: 503 busy", request_id=request_id)


@pytest.fixture
async def notes() -> Notes:
    return Notes()


@pytest.fixture
async def lease(notes: Notes) -> Lease[Notes]:
    return Lease(notes, notes, 60)


@pytest.fixture
async def caller(fake_pool: StorePool, lease: Lease[Notes]) -> AsyncIterator[ApiCaller]:
    async with new_session() as session:
        time = FakeTime(fake_pool)
        services = services_for(fake_pool, session, time, "http://127.0.0.1:1", retry_budget_s=300)
        yield ApiCaller(
            time.limiter(fake_pool, RateScope("s", gap_s=1e-6)), "Segment", services.retry_policy, lease=lease
        )


async def test_the_reason_is_shown_at_once_and_stays_until_a_success(
    caller: ApiCaller, lease: Lease[Notes], notes: Notes
) -> None:
    errors = [busy("req_1"), busy("req_2"), busy("req_3")]
    seen: list[str] = []

    async def request() -> str:
        seen.append(lease.note)
        if errors:
            raise errors.pop(0)
        return "answer"

    assert await caller.call(request) == "answer"
    assert seen[0] == ""
    assert all("503 busy" in note and "retrying, 5 min left" in note for note in seen[1:])
    assert "req_1" in notes.shown[0]
    assert lease.note == ""


async def test_a_reason_is_logged_once_until_it_changes(caller: ApiCaller, caplog: pytest.LogCaptureFixture) -> None:
    errors = [busy("req_1"), busy("req_2"), Retry("segment_unavailable", "Segment, page 3: no connection"), busy()]

    async def request() -> str:
        if errors:
            raise errors.pop(0)
        return "answer"

    with caplog.at_level(logging.WARNING, logger="segment_personas.jobs"):
        await caller.call(request)
    assert [("503" in line, "no connection" in line) for line in caplog.messages] == [
        (True, False),
        (False, True),
        (True, False),
    ]
    assert all("syn_1" in line for line in caplog.messages)


async def test_a_job_that_gives_up_its_slot_leaves_the_reason_to_the_next(caller: ApiCaller) -> None:
    async def request() -> str:
        raise busy()

    with pytest.raises(Defer) as deferred:
        await caller.call(request)
    assert "503 busy" in deferred.value.note
    assert "retrying" in deferred.value.note


def test_the_time_that_is_left_is_shown_in_minutes_then_in_seconds() -> None:
    assert retry_note(busy(), 240).endswith("retrying, 4 min left")
    assert retry_note(busy(), 40).endswith("retrying, 40 s left")
    assert retry_note(busy(), -1).endswith("retrying, 0 s left")


def test_a_reason_is_the_same_with_another_request_id_and_less_time() -> None:
    assert same_reason(retry_note(busy("req_1"), 240), busy("req_2"))
    assert not same_reason(retry_note(busy(), 240), Retry("segment_unavailable", "Segment, page 4: 503 busy"))
    assert not same_reason("", busy())
