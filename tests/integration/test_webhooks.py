"""Webhooks with real workers and a real receiver: every end of a sync arrives, with one id, whichever worker dies."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from producer import SyncRequest
from producer.embedded import embedded_client
from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec
from tests.support.processes.workers import WorkerProcess
from tests.support.scenarios.checks import until
from tests.support.scenarios.scenario import RECIPE, Scenario, start_scenario
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.web_server import WebServer, answer, serving
from tests.support.servers.webhook_receiver import SECRET, verified_events
from worker.settings import load_settings
from worker.store import keys

Start = Callable[..., WorkerProcess]


@pytest.fixture
async def scenario(session_redis: RedisServer, start_worker: Start) -> AsyncIterator[Scenario]:
    spaces = {"spa": RECIPE, "few": SpaceSpec(0)}
    async with start_scenario(session_redis, start_worker, spaces, credits=1200) as scenario:
        yield scenario


async def arrived(scenario: Scenario, web: WebServer, count: int) -> None:
    """Returns once nothing waits in the outboxes, and `count` attempts were made."""

    async def all_there() -> bool:
        waiting = [await scenario.pool.zcard(keys.outbox(account)) for account in ("", scenario.account)]
        return len(web.requests) >= count and sum(waiting) == 0

    await until(all_there)


def webhook_settings(web: WebServer) -> dict[str, str]:
    return {"WEBHOOK_URL": f"{web.url}/events", "WEBHOOK_SECRET": SECRET, "CREDITS_LOW": "500"}


async def test_every_end_of_a_sync_arrives_once(scenario: Scenario) -> None:
    async with serving(answer(200)) as web:
        scenario.worker(**webhook_settings(web))
        completed = await scenario.sync()
        planned = await scenario.sync(plan_only=True)
        failed = await scenario.sync("unknown")
        scenario.workers[0].pause()
        cancelled = await scenario.enqueue("few")
        await scenario.client.cancel(cancelled.id)
        scenario.workers[0].go_on()
        await arrived(scenario, web, 5)
        found = {(one["type"], one["data"].get("sync_id")) for one in verified_events(web)}
    assert found == {
        ("sync.completed", completed.id),
        ("plan.ready", planned.id),
        ("sync.failed", failed.id),
        ("sync.cancelled", cancelled.id),
        ("credits.low", None),
    }
    assert len(web.requests) == 5
    assert len({request.headers["webhook-id"] for request in web.requests}) == 5


@pytest.mark.parametrize("point", ["before_take_events", "after_take_events", "before_deliver", "after_deliver"])
async def test_an_event_arrives_with_one_id_if_its_worker_is_killed(scenario: Scenario, point: str) -> None:
    async with serving(answer(200)) as web:
        # The first look is at the start of the worker, long before there is an event.
        await scenario.pool.hset(keys.webhooks(""), "wanted", "1")  # type: ignore[misc]
        sync = await scenario.enqueue()
        await scenario.client.cancel(sync.id)
        dying = scenario.worker(f"{point}:1:kill", ready=False, **webhook_settings(web))
        await asyncio.to_thread(dying.process.wait)
        await scenario.pool.zadd(keys.outbox(""), dict.fromkeys(await waiting(scenario), 1) or {"none": 1})
        scenario.worker(**webhook_settings(web))
        await arrived(scenario, web, 1)
        ids = Counter(request.headers["webhook-id"] for request in web.requests)
        assert {one["data"]["sync_id"] for one in verified_events(web)} == {sync.id}
    assert len(ids) == 1
    assert ids.total() == (2 if point == "before_deliver" else 1)


async def waiting(scenario: Scenario) -> list[bytes]:
    """The ids of the events in the outbox of syncs without an account."""
    found: list[bytes] = await scenario.pool.zrange(keys.outbox(""), 0, -1)
    return found


async def test_a_receiver_that_fails_gets_the_event_again(scenario: Scenario) -> None:
    async with serving(answer(500), answer(200)) as web:
        scenario.worker(**webhook_settings(web))
        sync = await scenario.sync("few")

        async def failed_once() -> bool:
            return (await scenario.pool.hget(keys.webhooks(scenario.account), "error")) is not None  # type: ignore[misc]

        await until(failed_once)
        (name,) = await scenario.pool.zrange(keys.outbox(scenario.account), 0, -1)
        await scenario.pool.zadd(keys.outbox(scenario.account), {name: 1})  # the pause is over
        await arrived(scenario, web, 2)
    assert [json.loads(request.body)["data"]["sync_id"] for request in web.requests] == [sync.id] * 2
    assert len({request.headers["webhook-id"] for request in web.requests}) == 1


async def test_a_sync_without_redis_sends_its_event_before_it_ends() -> None:
    async with serving(answer(200)) as web, Sandbox(SandboxOptions({"spa": RECIPE})) as sandbox:
        settings = load_settings(
            segment_token="sandbox",
            segment_base_url=sandbox.segment_url,
            mavera_api_key="mvra_test_sandbox",
            mavera_base_url=sandbox.mavera_url,
            mavera_gap_s=0.01,
            webhook_url=f"{web.url}/events",
            webhook_secret=SECRET,
        )
        async with embedded_client(settings) as client:
            sync = await client.wait((await client.enqueue(SyncRequest(space_id="spa"))).id)
        (event,) = verified_events(web)
    assert (event["type"], event["data"]["sync_id"]) == ("sync.completed", sync.id)
