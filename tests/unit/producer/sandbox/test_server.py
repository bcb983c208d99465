"""The sandbox as a server: its options, its journal, its start and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec, serve
from tests.support.sandbox.prebuilt_sandbox import PrebuiltSandbox
from tests.support.servers.port import port_of_ones_own

PAGE = "/spaces/spa_1/collections/users/profiles?include=traits"
HEADERS = {"Authorization": "Bearer sandbox"}
KEY = {"Authorization": "Bearer mvra_test_sandbox"}
BOTH_SANDBOXES = pytest.mark.parametrize("sandbox_type", [Sandbox, PrebuiltSandbox])


@asynccontextmanager
async def sandbox(
    sandbox_type: type[Sandbox] = Sandbox, **options: Any
) -> AsyncIterator[tuple[Sandbox, aiohttp.ClientSession]]:
    chosen = SandboxOptions({"spa_1": SpaceSpec()}, **options)
    async with sandbox_type(chosen) as box, aiohttp.ClientSession() as session:
        yield box, session


async def status_of(box: Sandbox, session: aiohttp.ClientSession) -> int:
    async with session.get(box.url + PAGE, headers=HEADERS) as response:
        return response.status


@pytest.mark.parametrize("changes", [{"page_size": 10}, {"unknown": 1}, {"latency_s": -1}])
async def test_an_option_that_cannot_be_changed_is_refused(changes: dict[str, Any]) -> None:
    async with sandbox() as (box, _):
        before = box.options
        with pytest.raises(ValueError, match=next(iter(changes))):
            box.set_options(**changes)
        assert box.options == before


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/models"])
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


@BOTH_SANDBOXES
async def test_one_connection_serves_both_apis_in_turn(sandbox_type: type[Sandbox]) -> None:
    async with sandbox(sandbox_type) as (box, _):
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(connector=connector) as session:
            for number in range(3):
                assert await status_of(box, session) == 200
                body = {"name": "x" * 90, "description": "y" * 100_000}
                async with session.post(box.mavera_url + "/personas", json=body, headers=KEY) as response:
                    assert response.status == 201
                assert len(box.personas) == number + 1


async def test_a_space_with_an_escaped_name_is_found() -> None:
    options = SandboxOptions({"a b": SpaceSpec()})
    async with PrebuiltSandbox(options) as box, aiohttp.ClientSession() as session:
        url = box.url + "/spaces/a%20b/collections/users/profiles?include=traits"
        async with session.get(url, headers=HEADERS) as response:
            assert response.status == 200


async def test_a_request_in_two_pieces_is_answered() -> None:
    async with sandbox(PrebuiltSandbox) as (box, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
        writer.write(f"GET {PAGE} HTTP/1.1\r\nHost: sandbox\r\n".encode())
        await writer.drain()
        writer.write(b"Authorization: Bearer sandbox\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_leaves_while_a_prebuilt_page_waits_harms_no_other() -> None:
    async with sandbox(PrebuiltSandbox, latency_s=3600.0) as (box, session):
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
    options = SandboxOptions({"spa_1": spec}, page_size=20_000)
    async with PrebuiltSandbox(options) as box, aiohttp.ClientSession() as session:
        if mixed:  # aiohttp's protocol is then on the connection too
            await session.get(box.mavera_url + "/personas", headers=KEY)
        async with session.get(box.url + PAGE, headers=HEADERS) as response:
            body = await response.json()
    assert len(body["data"]["profiles"]) == 20_000


@BOTH_SANDBOXES
async def test_a_stopped_sandbox_refuses_connections(sandbox_type: type[Sandbox]) -> None:
    async with aiohttp.ClientSession() as session:
        async with sandbox_type(SandboxOptions({"spa_1": SpaceSpec()}), port=port_of_ones_own()) as box:
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
