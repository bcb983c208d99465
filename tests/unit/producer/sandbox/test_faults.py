"""Faults: each befalls the requests it says, and looks on the wire as it says."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import aiohttp
import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec, profiles
from producer.sandbox.fault_answers import gzip_bomb
from producer.sandbox.faults import FaultRegistry, RequestFacts
from producer.sandbox.journal import NO_ANSWER

PAGE = "/spaces/spa_1/collections/users/profiles?include=traits&limit=10"
HEADERS = {"Authorization": "Bearer sandbox"}


class Client:
    def __init__(self, box: Sandbox, session: aiohttp.ClientSession) -> None:
        self.box, self.session = box, session

    def get(self, cursor: str | None = None, **keywords: Any) -> Any:
        suffix = f"&cursor={cursor}" if cursor else ""
        return self.session.get(self.box.segment_url + PAGE + suffix, headers=HEADERS, **keywords)

    async def page(self, cursor: str | None = None) -> tuple[list[object], str | None]:
        async with self.get(cursor) as response:
            assert response.status == 200
            data = (await response.json())["data"]
        return data["profiles"], data["cursor"]["next"]


@asynccontextmanager
async def segment(*faults: Fault, size: int = 30) -> AsyncIterator[Client]:
    options = SandboxOptions({"spa_1": SpaceSpec(size)}, faults=faults)
    async with Sandbox(options) as box, aiohttp.ClientSession() as session:
        session._retry_connection = False  # aiohttp silently repeats a GET whose connection was lost
        yield Client(box, session)


def _fired(fault: Fault, number: int, request: RequestFacts | None = None) -> list[int]:
    registry = FaultRegistry([fault])
    request = request or RequestFacts("segment", "page", "GET")
    return [n for n in range(1, number + 1) if registry.choose_fault(request) is not None]


@pytest.mark.parametrize(
    ("when", "befallen"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"times": 2}, [1, 2]),
        ({"at": 3}, [3]),
        ({"at": 3, "times": 2}, [3, 4]),
        ({"at": 5, "times": 0}, [5, 6]),
        ({"every": 2}, [2, 4, 6]),
        ({"every": 2, "times": 2}, [2, 4]),
    ],
)
def test_a_fault_befalls_the_requests_it_names(when: dict[str, int], befallen: list[int]) -> None:
    assert _fired(Fault("segment", "drop", **when), 6) == befallen  # type: ignore[arg-type]


def test_a_probable_fault_can_be_repeated() -> None:
    first = _fired(Fault("segment", "drop", probability=0.25, seed=1), 4000)
    assert first == _fired(Fault("segment", "drop", probability=0.25, seed=1), 4000)
    assert first != _fired(Fault("segment", "drop", probability=0.25, seed=2), 4000)
    assert 800 < len(first) < 1200


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        ({"route": "page"}, True),
        ({"route": "traits"}, False),
        ({"method": "GET"}, True),
        ({"method": "POST"}, False),
        ({"space": "spa_1"}, True),
        ({"space": "spa_2"}, False),
        ({"page": 4}, True),
        ({"page": 5}, False),
        ({"api": "mavera"}, False),
    ],
)
def test_a_fault_matches_by_its_filters(filters: dict[str, Any], matches: bool) -> None:
    fault = Fault(**{"api": "segment", "kind": "drop", **filters})
    assert bool(_fired(fault, 1, RequestFacts("segment", "page", "GET", "spa_1", 4, True))) is matches


def test_of_two_faults_the_first_befalls_and_both_count() -> None:
    registry = FaultRegistry([Fault("segment", "drop", at=1), Fault("segment", "html", at=2)])
    request = RequestFacts("segment", "page", "GET")
    met = [registry.choose_fault(request) for _ in range(3)]
    assert [fault and fault.kind for fault in met] == ["drop", "html", None]


@pytest.mark.parametrize(
    "wrong",
    [
        {"api": "redis", "kind": "drop"},
        {"api": "segment", "kind": "explode"},
        {"api": "segment", "kind": "created_lost"},
        {"api": "mavera", "kind": "cursor_loop"},
        {"api": "segment", "kind": "drop", "at": 0},
        {"api": "segment", "kind": "drop", "every": 0},
        {"api": "segment", "kind": "drop", "colour": "red"},
        {"api": "segment"},
    ],
)
def test_a_fault_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fault|api|at|every"):
        Fault.from_json(wrong)


def test_a_fault_is_an_object() -> None:
    with pytest.raises(TypeError, match="object"):
        Fault.from_json(["drop"])


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 502, 503])
async def test_an_error_can_be_ordered(status: int) -> None:
    async with segment(Fault("segment", "status", status=status, at=1)) as client:
        async with client.get() as response:
            assert response.status == status
            assert response.headers["Request-Id"]
            assert "Retry-After" not in response.headers
            assert set((await response.json())["error"]) == {"code", "message"}
        assert len((await client.page())[0]) == 10


async def test_an_error_can_be_html() -> None:
    async with segment(Fault("segment", "status", status=502, body="html")) as client, client.get() as response:
        assert (response.status, response.content_type) == (502, "text/html")


@pytest.mark.parametrize("told", ["0", "3", "604800", "-5", "soon"])
async def test_retry_after_is_sent_unchanged(told: str) -> None:
    fault = Fault("segment", "status", status=429, retry_after=told)
    async with segment(fault) as client, client.get() as response:
        assert response.headers["Retry-After"] == told


@pytest.mark.parametrize("offset", [120, -3600])
async def test_retry_after_can_be_a_date(offset: int) -> None:
    fault = Fault("segment", "status", status=429, retry_after=f"date:{offset:+d}")
    async with segment(fault) as client, client.get() as response:
        date = parsedate_to_datetime(response.headers["Retry-After"])
        assert abs(date.timestamp() - time() - offset) < 60


async def test_a_connection_can_be_cut_before_the_answer() -> None:
    async with segment(Fault("segment", "drop", at=1)) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.page()
        await client.page()
        assert client.box.journal.count("segment.page", NO_ANSWER) == 1


async def test_a_connection_can_be_cut_in_the_middle_of_the_answer() -> None:
    async with segment(Fault("segment", "truncate", at=1)) as client:
        async with client.get() as response:
            assert response.status == 200
            assert response.headers["Request-Id"]
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        await client.page()


async def test_a_request_can_hang_until_faults_are_cleared() -> None:
    async with segment(Fault("segment", "hang", at=1)) as client:
        request = asyncio.create_task(client.page())
        await client.box.journal.wait_arrived("segment.page")
        assert not request.done()
        client.box.clear_faults()
        with pytest.raises(aiohttp.ClientConnectionError):
            await request


async def test_a_request_can_hang_for_a_while() -> None:
    async with segment(Fault("segment", "hang", seconds=0.01, at=1)) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.page()


async def test_a_client_may_leave_a_hanging_request() -> None:
    async with segment(Fault("segment", "hang", at=1)) as client:
        request = asyncio.create_task(client.page())
        await client.box.journal.wait_arrived("segment.page")
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await client.page()  # by now the server has seen the other connection close
        client.box.clear_faults()
        await client.box.journal.wait_answered("segment.page", status=NO_ANSWER)


async def test_a_hanging_request_does_not_keep_the_sandbox_from_stopping() -> None:
    async with segment(Fault("segment", "hang")) as client:
        request = asyncio.create_task(client.page())
        await client.box.journal.wait_arrived("segment.page")
        await client.box.__aexit__(None, None, None)
        with pytest.raises(aiohttp.ClientConnectionError):
            await request


async def test_a_held_request_continues_when_faults_are_cleared() -> None:
    async with segment(Fault("segment", "hold", at=1)) as client:
        request = asyncio.create_task(client.page())
        await client.box.journal.wait_arrived("segment.page")
        client.box.clear_faults()
        assert len((await request)[0]) == 10


async def test_a_request_can_be_slow() -> None:
    loop = asyncio.get_running_loop()
    async with segment(Fault("segment", "slow", seconds=0.05)) as client:
        start = loop.time()
        await client.page()
        assert loop.time() - start >= 0.05


async def test_a_body_can_be_html_or_broken_json() -> None:
    async with segment(Fault("segment", "html", at=1), Fault("segment", "invalid_json", at=2)) as client:
        async with client.get() as response:
            assert (response.status, response.content_type) == (200, "text/html")
        async with client.get() as response:
            with pytest.raises(json.JSONDecodeError):
                await response.json()


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_a_number_can_be_not_finite(token: str) -> None:
    async with segment(Fault("segment", "not_finite", token=token)) as client, client.get() as response:
        text = await response.text()
        found = json.loads(text)["data"]["profiles"]
    assert f'"ltv":{token},' in text
    assert not math.isfinite(found[0]["traits"]["ltv"])
    assert found[1:] == list(profiles(SpaceSpec(10)))[1:]


async def test_a_body_can_be_nested_deeply() -> None:
    async with segment(Fault("segment", "deep", depth=100_000)) as client, client.get() as response:
        body = await response.read()
    assert body == b"[" * 100_000 + b"]" * 100_000


async def test_a_body_can_be_oversize_and_is_a_valid_list() -> None:
    async with segment(Fault("segment", "oversize", size_mb=3)) as client, client.get() as response:
        body = await response.read()
    assert len(body) > 3 * 2**20
    assert json.loads(body)["data"]["cursor"] is None


async def test_an_oversize_body_stops_when_its_reader_does() -> None:
    async with segment(Fault("segment", "oversize", size_mb=1_000_000, at=1)) as client:
        async with client.get() as response:
            await response.content.read(1000)
            response.close()
        await client.box.journal.wait_answered("segment.page")
        await client.page()


async def test_a_small_body_can_unpack_to_a_large_one() -> None:
    fault = Fault("segment", "gzip_bomb", size_mb=20)
    async with segment(fault) as client, client.get() as response:
        size = 0
        async for chunk in response.content.iter_chunked(2**20):
            size += len(chunk)
        assert int(response.headers["Content-Length"]) < 400_000
    assert size > 20 * 2**20


def test_the_bomb_is_correct_gzip() -> None:
    body = gzip_bomb(2).body
    assert isinstance(body, bytes)
    assert json.loads(gzip.decompress(body))["data"]["cursor"] is None


async def test_a_redirect_to_the_same_host_is_answered_there() -> None:
    async with segment(Fault("segment", "redirect", status=307, at=1)) as client, client.get() as response:
        assert len(response.history) == 1
        assert response.history[0].status == 307
        assert len((await response.json())["data"]["profiles"]) == 10


async def test_a_redirect_to_another_host_notes_whether_credentials_came_along() -> None:
    async with segment(Fault("segment", "redirect", location="other", at=1)) as client:
        async with client.get() as response:
            assert response.status == 404
            assert response.url.host == "localhost"
        ((path, credentials),) = client.box.journal.elsewhere
        assert path.startswith("/_elsewhere/spaces/spa_1")
        assert not credentials  # aiohttp leaves them at home
        await client.session.get(
            f"http://127.0.0.1:{client.box.port}/_elsewhere/x", headers={"Authorization": "Bearer sandbox"}
        )
        assert client.box.journal.elsewhere[-1] == ("/_elsewhere/x", True)


async def test_from_localhost_the_other_host_is_the_address() -> None:
    options = SandboxOptions({"spa_1": SpaceSpec()}, faults=(Fault("segment", "redirect", location="other"),))
    async with (
        Sandbox(options, host="localhost") as box,
        aiohttp.ClientSession() as session,
        session.get(box.url + PAGE, headers=HEADERS, allow_redirects=False) as response,
    ):
        assert response.headers["Location"].startswith(f"http://127.0.0.1:{box.port}/")


async def test_a_redirect_can_lead_anywhere() -> None:
    fault = Fault("segment", "redirect", location="http://example.invalid/")
    async with segment(fault) as client, client.get(allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "http://example.invalid/")


async def _cursors(client: Client, number: int) -> list[str | None]:
    cursors: list[str | None] = [None]
    for _ in range(number):
        cursors.append((await client.page(cursors[-1]))[1])
    return cursors[1:]


@pytest.mark.parametrize("period", [1, 2, 3])
async def test_cursors_can_repeat_with_a_period(period: int) -> None:
    async with segment(Fault("segment", "cursor_loop", page=3, period=period), size=1000) as client:
        cursors = await _cursors(client, 12)
    # Answers 0 to 2 lead on to page 3; there the loop closes.
    assert all(cursors[i] == cursors[i + period] for i in range(3, 12 - period))
    assert len(set(cursors[3:])) == period


async def test_there_can_be_empty_pages_without_end_and_always_new_cursors() -> None:
    async with segment(Fault("segment", "empty_pages", at=2)) as client:
        entries, cursor = await client.page()
        seen = {cursor}
        for _ in range(50):
            entries, cursor = await client.page(cursor)
            assert entries == []
            assert cursor not in seen
            seen.add(cursor)


async def test_after_some_empty_pages_the_list_continues() -> None:
    async with segment(Fault("segment", "empty_pages", at=2, count=3)) as client:
        cursor: str | None = None
        sizes: list[int] = []
        total: list[object] = []
        while True:
            entries, cursor = await client.page(cursor)
            sizes.append(len(entries))
            total += entries
            if cursor is None:
                break
    assert sizes == [10, 0, 0, 0, 10, 10]
    assert total == list(profiles(SpaceSpec(30)))


async def test_a_cursor_can_expire() -> None:
    fault = Fault("segment", "expired_cursor", at=1)
    async with segment(fault) as client:
        _, cursor = await client.page()
        async with client.get(cursor) as response:
            assert response.status == 400
            assert (await response.json())["error"]["code"] == "invalid_cursor"


async def test_faults_can_come_while_serving() -> None:
    async with segment() as client:
        await client.page()
        client.box.add_fault(Fault("segment", "status", status=503))
        async with client.get() as response:
            assert response.status == 503
        client.box.clear_faults()
        await client.page()
