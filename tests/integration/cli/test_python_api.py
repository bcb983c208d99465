"""The Python API as another program uses it: blocking, with errors as exceptions, in a foreign environment."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import producer
from producer import StoreUnavailable, SyncFailed, SyncRequest, SyncState, run_sync
from producer.sandbox import Fault
from tests.support.scenarios.scenario import Start, start_scenario
from tests.support.servers.redis_server import RedisServer

ROOT = Path(__file__).parents[3]
REQUEST = SyncRequest(space_id="spa")


async def test_a_blocking_call_runs_a_sync_in_and_outside_a_loop(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        outside = await asyncio.to_thread(run_sync, REQUEST, session_redis.url)
        inside = await asyncio.to_thread(asyncio.run, _inside_a_loop(session_redis.url))
        assert outside.state is inside.state is SyncState.COMPLETED
        assert {persona.action for persona in inside.personas} == {"unchanged"}
        assert len(scenario.sandbox.posts) == 3


async def _inside_a_loop(url: str) -> producer.Sync:
    return run_sync(REQUEST, url)


async def test_a_failed_sync_raises_if_asked_to(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.sandbox.add_fault(Fault("mavera", "status", status=401))
        scenario.worker()
        sync = await scenario.client.enqueue(REQUEST)
        with pytest.raises(SyncFailed) as caught:
            await scenario.client.wait(sync.id, check=True)
        ended = await scenario.client.wait(sync.id)
        assert ended.error
        assert (caught.value.code, caught.value.resumable) == (ended.error.code, ended.error.resumable)
        assert caught.value.sync == ended
        with pytest.raises(SyncFailed):
            await asyncio.to_thread(run_sync, SyncRequest(space_id="spa"), session_redis.url)


async def test_a_cancelled_sync_raises_if_asked_to(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        sync = await scenario.client.enqueue(REQUEST)
        await scenario.client.cancel(sync.id)
        with pytest.raises(SyncFailed) as caught:
            await scenario.client.wait(sync.id, check=True)
        assert (caught.value.code, caught.value.resumable) == ("cancelled", False)


EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python-api.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=["blocking", "asynchronous"])
async def test_an_example_of_the_docs_runs_as_pasted(
    session_redis: RedisServer, start_worker: Start, example: str
) -> None:
    assert '"redis://localhost"' in example
    code = example.replace("redis://localhost", session_redis.url).replace("spa_123", "spa")
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, "LOG_LEVEL": "trace", "SEGMENT_RATE": "50/x", "MAX_CREDITS": "many"},
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert len(scenario.sandbox.posts) == 3


def test_a_redis_that_is_away_is_an_error_that_can_be_imported() -> None:
    with pytest.raises(StoreUnavailable):
        run_sync(REQUEST, "redis://127.0.0.1:1")
