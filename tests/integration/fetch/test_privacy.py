"""Personal values in unexpected places: in traits that are not read, and in those that are."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import cast

import duckdb
import orjson

from tests.support.scenarios.checks import contents
from tests.support.scenarios.scenario import Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.web_server import WebServer, answer, serving
from worker.documents.sync_document import sync_document
from worker.models.sync import SyncState

NOT_READ = ("email", "name", "phone", "address", "birthday", "Industry", "plan_owner", "last_ip")
PLANTED = (
    "Person{i} Familyname{i}",
    "someone{i}@personal.example",
    "+49 151 {i:08d}",
    "https://personal.example/users/u{i}",
    "0000000{i}-58cc-4372-a567-0e02b2c3d479",
    "use_2NxTpJ1kYbQ{i}",
    "secretword{i}",
)
"""What each profile has of its own, in a category that is read."""


#: Of the tests: no guard is asked, as most values are personal ones; and an API that fails does so soon.
SETTINGS = {"GUARD_TRAIT_ERRORS": "1", "RETRY_BUDGET_S": "0.4", "LEASE_S": "30"}


def profile(i: int) -> dict[str, object]:
    traits: dict[str, object] = {name: f"own{i}x{name}" for name in NOT_READ}
    numbers = {"ltv": 900, "purchase_count": 4, "churn_risk": 0.05}
    own = PLANTED[i % len(PLANTED)].format(i=i)
    return {"id": f"use_own{i}", "traits": {**traits, **numbers, "industry": own, "plan": own if i % 2 else "pro"}}


async def test_no_value_of_one_person_is_kept_or_shown_anywhere(
    session_redis: RedisServer, start_worker: Start
) -> None:
    profiles = [profile(i) for i in range(100, 400)]
    pages = [
        answer(body=orjson.dumps({"data": {"profiles": part, "cursor": cursor}}))
        for part, cursor in ((profiles[:200], "more"), (profiles[200:], None))
    ]
    async with serving(*pages) as segment, start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario:
        worker = scenario.worker(SEGMENT_BASE_URL=segment.url, LOG_LEVEL="DEBUG")
        sync = await scenario.sync()
        assert (sync.state, sync.profiles) == (SyncState.COMPLETED, 300), sync.error
        everything = await contents(scenario.pool) + worker.text() + json.dumps(scenario.sandbox.posts)
        everything += json.dumps(sync_document(sync))
        # What is not personal is there, so the search looks in the right places.
        assert '"pro"' in everything
        assert "Plans: pro." in everything
        assert found(everything, range(100, 400)) == []


FAILED_FILES = {
    "broken.csv": "file_corrupt",
    "cut.ndjson": "file_corrupt",
    "torn": "file_corrupt",
    "less": "column_missing",
}
"""Files of personal values whose syncs fail, and how."""


def write_files(folder: Path) -> None:
    """Writes shards of people 100 to 399 in each format, with unusable values, and files that cannot be read."""
    people = [profile(i) for i in range(100, 400)]
    for i, person in enumerate(people):
        traits = cast("dict[str, object]", person["traits"])
        del traits["Industry"]  # columns do not differ only in their case
        # Numbers that occur once, and texts where a number should be.
        traits |= {
            "ltv": 900 + round(0.0001234567 * (100 + i), 10),
            "purchase_count": f"own{100 + i}x" if i % 3 else "4",
        }
    lines = [orjson.dumps(person) + b"\n" for person in people]
    for name in ("lines", "tables", "torn", "less"):
        (folder / name).mkdir()
    (folder / "whole.ndjson").write_bytes(b"".join(lines))
    for i in range(3):
        odd = orjson.dumps({"id": "use_own150", "traits": planted([150 + i]).pop()}) + b"\n"
        merged = orjson.dumps({**people[i], "merged_to": "use_own151"}) + b"\n"
        (folder / "lines" / f"{i}.ndjson").write_bytes(
            b"".join(lines[i::3]) + odd + merged + b"use_own152 is not JSON\n"
        )
    with duckdb.connect() as connection:
        flat = f"SELECT id, traits.* FROM read_json('{folder}/whole.ndjson')"
        for name in ("tables", "torn", "less"):
            for i in range(3):
                select = f"SELECT * FROM ({flat}) LIMIT 100 OFFSET {100 * i}"
                if name == "less" and i == 1:
                    select = f"SELECT * EXCLUDE ltv FROM ({select})"
                connection.sql(select).write_parquet(str(folder / name / f"{i}.parquet"))
    os.truncate(folder / "torn" / "1.parquet", 3000)
    values = [f"use_own{i},own{i}xltv,{PLANTED[0].format(i=i)}" for i in range(100, 400)]
    (folder / "broken.csv").write_text("\n".join(["id,ltv,industry", *values, "use_own153,own153x,secretword153,more"]))
    (folder / "cut.ndjson").write_bytes(b"".join(lines)[:-40])


async def test_no_value_of_a_file_is_kept_or_shown_anywhere(
    session_redis: RedisServer, start_worker: Start, tmp_path: Path
) -> None:
    write_files(tmp_path)
    settings = {**SETTINGS, "FILES_DIR": str(tmp_path), "GUARD_PROFILE_ERRORS": "1"}
    async with start_scenario(session_redis, start_worker, settings=settings) as scenario:
        worker = scenario.worker(LOG_LEVEL="DEBUG")
        asked = [
            await scenario.enqueue(f"spa_{i}", file=name) for i, name in enumerate(["lines", "tables", *FAILED_FILES])
        ]
        waiting = await contents(scenario.pool)
        lines, tables, *failed = syncs = [await scenario.ended(sync) for sync in asked]
        assert (lines.state, lines.profiles) == (SyncState.COMPLETED, 303), lines.error
        assert (tables.state, tables.profiles) == (SyncState.COMPLETED, 300), tables.error
        assert [sync.error and sync.error.code for sync in failed] == list(FAILED_FILES.values())
        everything = waiting + await contents(scenario.pool) + worker.text() + json.dumps(scenario.sandbox.posts)
        everything += json.dumps(list(map(sync_document, syncs)))
        assert "Plans: pro." in everything
        assert "0.ndjson" in everything or "1.parquet" in everything
        numbers = [str(900 + round(0.0001234567 * i, 10)) for i in range(100, 400)]
        assert found(everything, range(100, 400)) + [number for number in numbers if number in everything] == []


FAILURES = {
    "a token that ends on the way": ("inline", "segment_unauthorized", "401 The token has expired"),
    "a profile that is refused": ("profile-api", "segment_forbidden", "403 profile_locked"),
    "a profile that breaks the API": ("profile-api", "segment_unavailable", "traits of a profile of page 1: 500"),
    "a page in HTML": ("inline", "segment_bad_body", "the body is not JSON"),
    "a page that is a profile": ("inline", "segment_bad_body", "the body is not a page of profiles"),
    "a circle": ("inline", "cursor_loop", "the listing is a loop"),
    "a persona that is refused and echoed": ("inline", "mavera_validation", "422 This cannot be"),
}
"""How syncs fail: in which dialect, and with which message. Each has read a part of its space by then."""


async def test_a_failed_sync_repeats_no_value_of_one_person(session_redis: RedisServer, start_worker: Start) -> None:
    spaces = {f"spa_{place}": case for place, case in enumerate(FAILURES)}
    segment, mavera = Apis(spaces), Echo()
    async with (
        serving(segment) as segment.web,
        serving(mavera) as mavera.web,
        start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario,
    ):
        urls = {"SEGMENT_BASE_URL": segment.web.url, "MAVERA_BASE_URL": mavera.web.url}
        worker = scenario.worker(LOG_LEVEL="DEBUG", **urls)
        asked = [await scenario.enqueue(space, dialect=FAILURES[case][0]) for space, case in spaces.items()]
        syncs = [await scenario.ended(sync) for sync in asked]
        for sync, (_, code, words) in zip(syncs, FAILURES.values(), strict=True):
            assert sync.error
            assert sync.error.code == code
            assert words in sync.error.message
        everything = await contents(scenario.pool) + worker.text() + json.dumps(list(map(sync_document, syncs)))
        everything += "".join(request.body.decode() for request in mavera.web.requests)
        assert "Plans: pro." in everything
        assert found(everything, range(100, 400)) == []


class Apis:
    """Segment in both dialects: of each space one good page of inline profiles, or three good profiles, then what makes
    the sync fail, full of personal values. spaces: which of the `FAILURES` befalls each."""

    web: WebServer

    def __init__(self, spaces: Mapping[str, str]) -> None:
        self._spaces = spaces
        self._profiles = itertools.count()

    async def __call__(self) -> AsyncIterator[bytes]:
        target = self.web.requests[-1].target
        case = self._spaces[target.split("/")[2]]
        personal = f"use_own150 {json.dumps(profile(150))} {' '.join(planted(range(150, 160)))}"
        refused = {"error": {"code": "profile_locked", "message": personal}}
        if "/traits" in target:
            number = next(self._profiles)
            yield (
                answer(body=orjson.dumps(profile(100 + number)))
                if number < 3
                else answer(403 if "refused" in case else 500, orjson.dumps(refused))
            )
        elif FAILURES[case][0] == "profile-api":
            yield answer(
                body=orjson.dumps({"data": [{"segment_id": f"use_own{i}"} for i in range(100, 200)], "cursor": None})
            )
        elif "cursor=" not in target:
            yield page("more")
        elif case == "a circle":
            yield page("more", first=200)
        elif case == "a token that ends on the way":
            yield answer(401, orjson.dumps({"error": {"message": "The token has expired", "token_of": personal}}))
        elif case == "a page in HTML":
            yield answer(body=f"<html>{personal}</html>".encode(), headers={"Content-Type": "text/html"})
        elif case == "a page that is a profile":
            yield answer(body=orjson.dumps({"data": {"profiles": profile(150), "cursor": personal}}))
        else:
            yield page(None, first=200)


class Echo:
    """A Mavera without personas, which refuses each one and says it back."""

    web: WebServer

    async def __call__(self) -> AsyncIterator[bytes]:
        request = self.web.requests[-1]
        refusal = {"message": f"This cannot be: {request.body.decode()}", "code": "invalid", "param": "description"}
        yield answer(body=b'{"data": []}') if request.method == "GET" else answer(422, orjson.dumps({"error": refusal}))


def page(cursor: str | None, first: int = 100) -> bytes:
    profiles = list(map(profile, range(first, first + 200)))
    return answer(body=orjson.dumps({"data": {"profiles": profiles, "cursor": cursor}}))


def planted(people: Iterable[int]) -> set[str]:
    """What is each one's own."""
    return {PLANTED[i % len(PLANTED)].format(i=i) for i in people}


def found(everything: str, people: Iterable[int]) -> list[str]:
    """Which of their own values and ids stand in `everything`."""
    looked_for = planted(people) | {f"own{i}" for i in people}
    return sorted(value for value in looked_for if value.lower() in everything.lower())
