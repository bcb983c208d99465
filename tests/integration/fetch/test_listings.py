"""Listings whose answers have every shape that people report: complete only on evidence, and read on where possible."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.scripted_segment import Answer, Call, Refusal, people, rows, scripted
from worker.clusters import Aggregate
from worker.models.sync import Sync, SyncState

SETTINGS = {"LEASE_S": "30", "RETRY_BUDGET_S": "20"}
SIZE = 600


def listing(size: int, tail: Any, *, at: int | None = None, end: Any = None) -> Answer:
    """Pages of a space of `size`. `tail(call, stop)` makes the fields beside `profiles`; from `at` on it is `end`."""

    def respond(call: Call) -> dict[str, Any]:
        stop = min(size, call.start + call.limit)
        fields = end(call, stop) if at is not None and stop >= at else tail(call, stop)
        data = {"profiles": people(call.start, stop), **fields.pop("data", {})}
        return {"data": data, **fields}

    return respond


def usual(call: Call, stop: int) -> dict[str, Any]:
    """The documented form."""
    more = stop < SIZE
    return {"data": {"cursor": {"next": f"c_{stop}" if more else None, "has_more": more}}}


def says_more(call: Call, stop: int) -> dict[str, Any]:
    return {"data": {"cursor": {"next": None, "has_more": True}}}


def says_nothing(call: Call, stop: int) -> dict[str, Any]:
    return {}


def ignores_the_cursor(call: Call) -> dict[str, Any]:
    """The first page for every request, each time with another cursor."""
    return {"data": {"profiles": people(0, call.limit), "cursor": {"next": f"n{call.nth}", "has_more": True}}}


INCOMPLETE: dict[str, tuple[Answer, str]] = {
    "more without a cursor on the last page": (listing(SIZE, usual, at=SIZE, end=says_more), "data.cursor: next, has"),
    "more without a cursor in the middle": (listing(SIZE, usual, at=400, end=says_more), "data.cursor: next, has"),
    "a full page that says nothing": (listing(SIZE, usual, at=400, end=says_nothing), "top level: data"),
    "the first page is full and says nothing": (listing(SIZE, says_nothing), "top level: data; data: profiles"),
    "a total larger than what came": (
        listing(SIZE, usual, at=400, end=lambda call, stop: {"meta": {"total": SIZE}, "data": {"cursor": None}}),
        "600 entries in all, but 400 came",
    ),
    "a cursor of another host": (
        listing(SIZE, usual, at=400, end=lambda *_: {"data": {"cursor": {"next": "http://elsewhere.test/?cursor=c"}}}),
        "another host",
    ),
    "a cursor that cannot be used": (
        listing(SIZE, usual, at=400, end=lambda *_: {"data": {"cursor": {"next": ["c_400"]}}}),
        "cannot be used",
    ),
    "a cursor under an unknown name": (
        listing(SIZE, usual, at=400, end=lambda *_: {"data": {"cursor": {"nextStart": 400}}}),
        "nextStart",
    ),
    "the same page for every cursor": (ignores_the_cursor, "the same 200 profiles as the page before"),
}


async def test_a_listing_without_evidence_of_its_end_buys_nothing(
    session_redis: RedisServer, start_worker: Start
) -> None:
    answers = {f"spa_{i}": answer for i, (answer, _) in enumerate(INCOMPLETE.values())}
    async with scripted(answers) as segment, start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario:
        scenario.worker(SEGMENT_BASE_URL=segment.url, WORKER_SLOTS="20")
        for (name, (_, words)), space in zip(INCOMPLETE.items(), answers, strict=True):
            syncs = [
                await scenario.enqueue(space),
                await scenario.enqueue(space, strategy="fan-out", force=True),
                await scenario.enqueue(space, sample=0.5, force=True),
                await scenario.enqueue(space, max_profiles=SIZE, force=True),
            ]
            for sync in syncs:
                _assert_incomplete(name, words, await scenario.ended(sync))
        assert scenario.sandbox.posts == []
        await scenario.assert_clean()


def _assert_incomplete(name: str, words: str, sync: Sync) -> None:
    assert sync.error, (name, sync)
    assert (sync.error.code, sync.error.resumable) == ("listing_incomplete", True), (name, sync.error)
    assert words in sync.error.message, (name, sync.error)
    assert not sync.complete


def _rows_only(call: Call) -> dict[str, Any]:
    return {"data": rows(0, call.limit)} if "/traits" not in call.path else {"traits": {"ltv": 1}}


async def test_a_full_page_of_profile_api_that_says_nothing_buys_nothing(
    session_redis: RedisServer, start_worker: Start
) -> None:
    more = {"cursor": {"next": None, "has_more": True}}
    spaces: dict[str, Answer] = {"spa_0": _rows_only, "spa_1": lambda call: _rows_only(call) | more}
    async with scripted(spaces) as segment, start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario:
        scenario.worker(SEGMENT_BASE_URL=segment.url)
        for space in spaces:
            _assert_incomplete(space, "top level: data", await scenario.sync(space, dialect="profile-api"))
        assert scenario.sandbox.posts == []


def _next(place: str, form: str) -> Any:
    """Fields with the next cursor in a place and a form; at the end they say so, or only leave it out."""

    def fields(call: Call, stop: int) -> dict[str, Any]:
        forms = {"text": f"c_{stop}", "number": stop, "url": f"{call.url}/x?cursor=c_{stop}&limit=200"}
        if stop >= SIZE:
            return _put(place, {"number": False}.get(form))
        return _put(place, forms[form])

    return fields


def _put(place: str, value: object) -> dict[str, Any]:
    for part in reversed(place.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


PLACES = ("next_cursor", "next", "data.next_cursor", "data.cursor.next", "meta.next", "links.next", "pagination.next")


async def test_a_recognisable_cursor_is_read_on_with_wherever_it_is(
    session_redis: RedisServer, start_worker: Start
) -> None:
    forms = [(place, form) for place in PLACES for form in ("text", "number", "url")]
    spaces = {f"spa_{i}": listing(SIZE, _next(*form)) for i, form in enumerate(forms)}
    spaces["spa_null"] = _ends_with_null
    async with scripted(spaces) as segment, start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario:
        scenario.worker(SEGMENT_BASE_URL=segment.url, WORKER_SLOTS="20")
        syncs = [await scenario.enqueue(space, plan_only=True) for space in spaces]
        for sync in syncs:
            ended = await scenario.ended(sync)
            assert (ended.state, ended.complete) == (SyncState.COMPLETED, True), ended.error
            assert Aggregate.from_bytes(ended.aggregate).profiles == SIZE


def _ends_with_null(call: Call) -> dict[str, Any]:
    if call.start == SIZE:
        return {"data": {"profiles": None, "cursor": {"next": None, "has_more": False}}}
    stop = call.start + call.limit
    return {"data": {"profiles": people(call.start, stop), "cursor": {"next": f"c_{stop}", "has_more": True}}}


async def test_the_second_night_breaks_off_and_changes_nothing(session_redis: RedisServer, start_worker: Start) -> None:
    spaces = {"spa": listing(SIZE, usual)}
    async with scripted(spaces) as segment, start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario:
        scenario.worker(SEGMENT_BASE_URL=segment.url)
        first = await scenario.sync()
        assert (first.state, first.profiles) == (SyncState.COMPLETED, SIZE)
        before = await _kept(scenario)
        segment.spaces["spa"] = listing(SIZE, usual, at=400, end=says_more)
        second = await scenario.sync()
        _assert_incomplete("second night", "data.cursor", second)
        assert second.profiles < SIZE
        _assert_incomplete("resumed", "data.cursor", await _resumed(scenario, second))
        assert await _kept(scenario) == before

        segment.spaces["spa"] = listing(SIZE, usual)
        ended = await _resumed(scenario, second)
        assert (ended.state, ended.profiles) == (SyncState.COMPLETED, SIZE)
        assert {outcome.action for outcome in ended.outcomes} == {"unchanged"}


async def _resumed(scenario: Scenario, sync: Sync) -> Sync:
    await scenario.client.resume(sync.id)
    return await scenario.ended(sync)


async def _kept(scenario: Scenario) -> tuple[object, ...]:
    """The personas at Mavera, our records of them, and what history compares with."""
    keys = sorted([key async for key in scenario.pool.scan_iter(match="sp:history:*")])
    history = [await scenario.pool.dump(key) for key in keys]
    return (
        len(scenario.sandbox.posts),
        list(scenario.sandbox.patches),
        await scenario.persona_store().all_records(),
        history,
    )


async def test_a_page_in_doubt_once_costs_nothing(session_redis: RedisServer, start_worker: Start) -> None:
    def wavering(call: Call) -> Any:
        doubtful = call.start == 200 and call.nth == 1
        return listing(SIZE, says_more if doubtful else usual)(call)

    async with (
        scripted({"spa": wavering}) as segment,
        start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario,
    ):
        scenario.worker(SEGMENT_BASE_URL=segment.url)
        sync = await scenario.sync()
        assert (sync.state, sync.complete, sync.profiles) == (SyncState.COMPLETED, True, SIZE)
        assert [call.cursor for call in segment.calls["spa"]] == ["", "c_200", "c_200", "c_400"]


async def test_traits_with_a_cursor_of_null_are_those_of_a_profile(
    session_redis: RedisServer, start_worker: Start
) -> None:
    def respond(call: Call) -> dict[str, Any]:
        if "/traits" in call.path:
            return {"traits": {"ltv": 1200, "purchase_count": 8, "churn_risk": 0.05}, "cursor": None}
        return {"data": rows(0, 20), "cursor": {"next": False, "has_more": False}}

    async with (
        scripted({"spa": respond}) as segment,
        start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario,
    ):
        scenario.worker(SEGMENT_BASE_URL=segment.url)
        sync = await scenario.sync(dialect="profile-api")
        assert (sync.state, sync.profiles) == (SyncState.COMPLETED, 20)
        assert Aggregate.from_bytes(sync.aggregate).clusters["high_value"].n == 20


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error": {"message": "include is unknown"}}', "segment_bad_request"),
        (b'{"errors": [{"type": "bad_request", "message": "This cursor is too old"}]}', "cursor_expired"),
    ],
)
async def test_a_400_in_the_middle_is_an_expired_cursor_only_if_it_says_so(
    body: bytes, code: str, session_redis: RedisServer, start_worker: Start
) -> None:
    def respond(call: Call) -> Any:
        return Refusal(400, body) if call.cursor else listing(SIZE, usual)(call)

    async with (
        scripted({"spa": respond}) as segment,
        start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario,
    ):
        scenario.worker(SEGMENT_BASE_URL=segment.url)
        sync = await scenario.sync()
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == (code, code != "cursor_expired")
        assert scenario.sandbox.posts == []


STOPS: dict[str, tuple[Refusal, str, str]] = {
    "a redirect to another host": (
        Refusal(302, headers={"Location": "http://elsewhere.test/"}),
        "segment_unreachable",
        "another host",
    ),
    "a redirect to https": (
        Refusal(301, headers={"Location": "https://127.0.0.1/"}),
        "segment_unreachable",
        "https://",
    ),
    "an encoding that is not read": (Refusal(200, b"{}", {"Content-Encoding": "br"}), "segment_unreachable", " br;"),
    "headers that are too large": (Refusal(200, b"{}", {"X": "x" * 9000}), "segment_unreachable", "headers"),
    "an error with status 200": (
        Refusal(200, b'{"errors": [{"message": "Space not found"}]}'),
        "segment_error",
        "Space not found",
    ),
    "words in errors": (
        Refusal(403, b'{"errors": [{"type": "forbidden", "message": "No access", "field": null}]}'),
        "segment_forbidden",
        "403 No access",
    ),
}


async def test_what_no_retry_can_mend_stops_at_once_and_is_quoted(
    session_redis: RedisServer, start_worker: Start
) -> None:
    spaces: dict[str, Answer] = {
        f"spa_{i}": (lambda _, answer=answer: answer) for i, (answer, _, _) in enumerate(STOPS.values())
    }
    async with scripted(spaces) as segment, start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario:
        scenario.worker(SEGMENT_BASE_URL=segment.url)
        for (name, (_, code, words)), space in zip(STOPS.items(), spaces, strict=True):
            sync = await scenario.sync(space, dialect="inline")
            assert sync.error, name
            assert (sync.error.code, sync.error.resumable) == (code, True), (name, sync.error)
            assert words in sync.error.message, (name, sync.error)
            assert len(segment.calls[space]) == 1, name
        assert scenario.sandbox.posts == []


async def test_no_worker_asks_before_the_retry_after_of_a_503(session_redis: RedisServer, start_worker: Start) -> None:
    asked_at: list[float] = []

    def respond(call: Call) -> Any:
        asked_at.append(time.monotonic())
        return Refusal(503, headers={"Retry-After": "1"}) if call.nth == 0 else listing(20, usual, at=0, end=_end)(call)

    async with (
        scripted({"spa": respond}) as segment,
        start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario,
    ):
        scenario.worker(SEGMENT_BASE_URL=segment.url)
        sync = await scenario.sync(plan_only=True)
        assert (sync.state, sync.profiles) == (SyncState.COMPLETED, 20)
    assert asked_at[1] - asked_at[0] >= 0.95


def _end(call: Call, stop: int) -> dict[str, Any]:
    return {"data": {"cursor": None}}
