"""The sandbox as a server: its admin routes, its journal, its start and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec, serve
from tests.support.servers.port import port_of_ones_own

PAGE = "/spaces/spa_1/collections/users/profiles?include=traits"
HEADERS = {"Authorization": "Bearer sandbox"}
KEY = {"Authorization": "Bearer mvra_test_sandbox"}


@asynccontextmanager
async def sandbox(**options: Any) -> AsyncIterator[tuple[Sandbox, aiohttp.ClientSession]]:
    chosen = SandboxOptions({"spa_1": SpaceSpec()}, **options)
    async with Sandbox(chosen) as box, aiohttp.ClientSession() as session:
        yield box, session


async def status_of(box: Sandbox, session: aiohttp.ClientSession) -> int:
    async with session.get(box.url + PAGE, headers=HEADERS) as response:
        return response.status


async def admin(
    box: Sandbox, session: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> tuple[int, Any]:
    async with session.request(method, f"{box.url}/_sandbox{path}", json=body) as response:
        return response.status, await response.json()


async def test_the_state_can_be_asked_for_from_another_process() -> None:
    async with sandbox(credits=600) as (box, session):
        await status_of(box, session)
        created = await session.post(box.mavera_url + "/personas", json={"name": "One"}, headers=KEY)
        persona_id = (await created.json())["id"]
        await session.patch(f"{box.mavera_url}/personas/{persona_id}", json={"name": "Two"}, headers=KEY)
        status, state = await admin(box, session, "GET", "/state?entries=true")
        assert status == 200
        assert state["personas"] == [
            {
                "id": persona_id,
                "body": {"name": "One"},
                "fields": {"name": "Two"},
                "created_at": box.personas[0].created_at,
                "updates": [{"name": "Two"}],
            }
        ]
        assert state["posts"] == [{"name": "One"}]
        assert state["patches"] == [{"id": persona_id, "body": {"name": "Two"}}]
        assert state["counts"] == {
            "segment.page": {"200": 1},
            "mavera.create": {"201": 1},
            "mavera.update": {"200": 1},
        }
        assert state["arrived"] == {"segment.page": 1, "mavera.create": 1, "mavera.update": 1}
        assert state["credits"] == 300
        assert state["entries"][0]["route"] == "segment.page"
        assert "entries" not in (await admin(box, session, "GET", "/state"))[1]


async def test_the_state_shows_no_key() -> None:
    async with sandbox() as (box, session):
        await session.get(box.mavera_url + "/personas", headers=KEY)
        _, state = await admin(box, session, "GET", "/state?entries=true")
        assert "mvra_" not in str(state)


async def test_faults_can_be_set_and_cleared_from_another_process() -> None:
    async with sandbox() as (box, session):
        faults = [{"api": "segment", "kind": "status", "status": 503}]
        assert (await admin(box, session, "POST", "/faults", faults))[0] == 200
        assert await status_of(box, session) == 503
        assert (await admin(box, session, "DELETE", "/faults"))[0] == 200
        assert await status_of(box, session) == 200
        single = {"api": "segment", "kind": "status", "status": 500, "at": 1}
        assert (await admin(box, session, "POST", "/faults", single))[0] == 200
        assert [await status_of(box, session) for _ in range(2)] == [500, 200]


async def test_of_a_list_with_a_bad_fault_none_is_set() -> None:
    async with sandbox() as (box, session):
        faults = [{"api": "segment", "kind": "drop"}, {"api": "segment", "kind": "explode"}]
        status, body = await admin(box, session, "POST", "/faults", faults)
        assert status == 400
        assert "explode" in body["error"]
        assert await status_of(box, session) == 200


async def test_options_can_be_changed_from_another_process() -> None:
    async with sandbox() as (box, session):
        changes = {"segment_token": "rotated", "credits": 0, "latency_s": 0.0}
        assert (await admin(box, session, "POST", "/options", changes))[0] == 200
        assert await status_of(box, session) == 401
        assert box.credits == 0
        assert box.options.segment_token == "rotated"


@pytest.mark.parametrize(
    "changes",
    [
        {"page_size": 10},
        {"credits": "many"},
        {"segment_token": 1},
        {"mavera_next_cursor": 1},
        {"latency_s": -1},
        [],
    ],
)
async def test_an_option_that_cannot_be_changed_is_refused(changes: object) -> None:
    async with sandbox() as (box, session):
        status, body = await admin(box, session, "POST", "/options", changes)
        assert status == 400
        assert body["error"]


async def test_personas_can_be_deleted_from_another_process() -> None:
    async with sandbox() as (box, session):
        await session.post(box.mavera_url + "/personas", json={"name": "One"}, headers=KEY)
        path = f"/personas/{box.personas[0].id}"
        assert (await admin(box, session, "DELETE", path))[0] == 200
        assert (await admin(box, session, "DELETE", path))[0] == 404
        assert box.personas == []


@pytest.mark.parametrize("path", ["/_sandbox/nothing", "/nothing", "/api/v1/models"])
async def test_an_unknown_path_is_404(path: str) -> None:
    async with sandbox() as (box, session), session.get(box.url + path, headers=KEY) as response:
        assert response.status == 404


async def test_the_journal_counts_and_times_requests() -> None:
    async with sandbox() as (box, session):
        for _ in range(3):
            await status_of(box, session)
        await session.get(box.mavera_url + "/personas")
        journal = box.journal
        assert journal.count() == 4
        assert journal.count("segment") == journal.count("segment.page", 200) == 3
        assert journal.count("seg") == 0
        assert journal.count(status=401) == 1
        times = journal.times("segment", "spa_1")
        assert len(times) == 3
        assert times == sorted(times)
        assert journal.times("segment", "spa_2") == []
        assert len(journal.times()) == 4


async def test_the_journal_can_be_waited_on() -> None:
    async with sandbox() as (box, session):
        waiting = asyncio.create_task(box.journal.wait_answered("segment.page", 2, status=200))
        first = asyncio.create_task(box.journal.wait_answered("segment.page"))
        await status_of(box, session)
        await first
        assert not waiting.done()
        await status_of(box, session)
        await waiting
        await box.journal.wait_arrived("segment.page", 2)


@pytest.mark.parametrize("prebuilt", [False, True])
async def test_one_connection_serves_both_apis_in_turn(prebuilt: bool) -> None:
    async with sandbox(prebuilt=prebuilt) as (box, _):
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(connector=connector) as session:
            for number in range(3):
                assert await status_of(box, session) == 200
                body = {"name": "x" * 90, "description": "y" * 100_000}
                async with session.post(box.mavera_url + "/personas", json=body, headers=KEY) as response:
                    assert response.status == 201
                assert len(box.personas) == number + 1


async def test_a_space_with_an_escaped_name_is_found() -> None:
    options = SandboxOptions({"a b": SpaceSpec()}, prebuilt=True)
    async with Sandbox(options) as box, aiohttp.ClientSession() as session:
        url = box.url + "/spaces/a%20b/collections/users/profiles?include=traits"
        async with session.get(url, headers=HEADERS) as response:
            assert response.status == 200


async def test_a_request_in_two_pieces_is_answered() -> None:
    async with sandbox(prebuilt=True) as (box, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
        writer.write(f"GET {PAGE} HTTP/1.1\r\nHost: sandbox\r\n".encode())
        await writer.drain()
        writer.write(b"Authorization: Bearer sandbox\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_leaves_while_a_prebuilt_page_waits_harms_nobody() -> None:
    async with sandbox(prebuilt=True, latency_s=3600.0) as (box, session):
        request = asyncio.create_task(status_of(box, session))
        await box.journal.wait_arrived("segment.page")
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        box.set_options(latency_s=0.0)
        assert await status_of(box, session) == 200


@pytest.mark.parametrize("mixed", [False, True])
async def test_a_large_prebuilt_page_comes_whole(mixed: bool) -> None:
    spec = SpaceSpec(20_000, "wide")
    options = SandboxOptions({"spa_1": spec}, prebuilt=True, page_size=20_000)
    async with Sandbox(options) as box, aiohttp.ClientSession() as session:
        if mixed:  # aiohttp's protocol is then on the connection too
            await session.get(box.mavera_url + "/personas", headers=KEY)
        async with session.get(box.url + PAGE, headers=HEADERS) as response:
            body = await response.json()
    assert len(body["data"]["profiles"]) == 20_000


@pytest.mark.parametrize("prebuilt", [False, True])
async def test_a_stopped_sandbox_answers_nobody(prebuilt: bool) -> None:
    async with aiohttp.ClientSession() as session:
        async with Sandbox(SandboxOptions({"spa_1": SpaceSpec()}, prebuilt=prebuilt), port=port_of_ones_own()) as box:
            assert await status_of(box, session) == 200
        with pytest.raises(aiohttp.ClientConnectionError):
            await status_of(box, session)


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with sandbox() as (box, _):
        with pytest.raises(OSError, match="in use"):
            async with Sandbox(SandboxOptions({}), port=box.port):
                pass


async def test_a_sandbox_for_every_address_is_reached_at_the_local_one() -> None:
    async with Sandbox(SandboxOptions({}), host="0.0.0.0") as box:
        assert box.url == f"http://127.0.0.1:{box.port}"
        assert box.mavera_url == box.url + "/api/v1"


async def test_serve_runs_until_it_is_cancelled(capsys: pytest.CaptureFixture[str]) -> None:
    started: asyncio.Future[Sandbox] = asyncio.get_running_loop().create_future()
    options = SandboxOptions({"spa_1": SpaceSpec()}, faults=(Fault("segment", "status", at=1),))
    server = asyncio.create_task(serve(options, "127.0.0.1", 0, ready=started.set_result))
    box = await started
    async with aiohttp.ClientSession() as session:
        assert [await status_of(box, session) for _ in range(2)] == [500, 200]
    server.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server
    assert capsys.readouterr() == ("", "")
