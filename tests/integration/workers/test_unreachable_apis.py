"""Connection problems that last: a real worker ends its sync with the reason within seconds, and it can be resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.tls import identity, tls_front
from tests.support.servers.web_server import answer, serving
from worker.models.sync import SyncState

SETTINGS = {"LEASE_S": "30", "RETRY_BUDGET_S": "3600"}
"""A budget that outlasts a test: a problem that is retried ends no sync before the time-out of the test."""


async def assert_stopped(scenario: Scenario, code: str, words: str) -> None:
    sync = await scenario.sync(dialect="inline")
    assert sync.error
    assert (sync.state, sync.error.code, sync.error.resumable) == (SyncState.FAILED, code, True), sync.error
    assert words in sync.error.message
    assert scenario.sandbox.posts == []


@pytest.mark.parametrize("api", ["segment", "mavera"])
async def test_a_certificate_that_is_not_trusted_stops_a_sync(
    api: str, session_redis: RedisServer, start_worker: Start, tmp_path: Path
) -> None:
    async with (
        start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario,
        serving(answer()) as web,
        tls_front(web.port, identity(tmp_path, elsewhere=True)) as port,
    ):
        scenario.worker(**{f"{api.upper()}_BASE_URL": f"https://127.0.0.1:{port}"})
        await assert_stopped(scenario, f"{api}_unreachable", "certificate of 127")


@pytest.mark.parametrize("api", ["segment", "mavera"])
async def test_a_proxy_that_refuses_stops_a_sync(api: str, session_redis: RedisServer, start_worker: Start) -> None:
    async with (
        start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario,
        serving(answer(407)) as proxy,
    ):
        scenario.worker(
            **{f"{api.upper()}_BASE_URL": "http://api.example", "http_proxy": proxy.url, "no_proxy": "127.0.0.1"}
        )
        await assert_stopped(scenario, f"{api}_unreachable", "proxy answers 407")
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("api", ["segment", "mavera"])
async def test_a_redirect_to_another_host_stops_a_sync(
    api: str, session_redis: RedisServer, start_worker: Start
) -> None:
    elsewhere = answer(302, headers={"Location": "http://elsewhere.test/"})
    async with start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario, serving(elsewhere) as web:
        scenario.worker(**{f"{api.upper()}_BASE_URL": web.url})
        await assert_stopped(scenario, f"{api}_unreachable", "another host")


async def test_an_error_of_mavera_with_status_200_stops_a_sync_and_is_quoted(
    session_redis: RedisServer, start_worker: Start
) -> None:
    body = b'{"errors": [{"message": "Workspace is suspended"}]}'
    async with (
        start_scenario(session_redis, start_worker, settings=SETTINGS) as scenario,
        serving(answer(200, body)) as web,
    ):
        scenario.worker(MAVERA_BASE_URL=web.url)
        await assert_stopped(scenario, "mavera_error", "Workspace is suspended")
