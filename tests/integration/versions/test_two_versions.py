"""This version and the one before it on one Redis: rolled forward, rolled back, and both at once, with real checkouts.

Whatever takes over from whatever in the middle of a sync, every profile counts once and every cluster gets one persona.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from subprocess import PIPE

import pytest

from producer.sandbox import Fault, SpaceSpec
from tests.support.processes.checkouts import VERSION_BEFORE, Checkout, checkout
from tests.support.processes.workers import WorkerProcess
from tests.support.scenarios.checks import until
from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.models.sync import Sync

SPACE = SpaceSpec(600, "mixed")
"""30 pages of 20. Some values cannot be used; of those this version keeps more than the one before."""
SETTINGS = {"SEGMENT_PAGE_SIZE": "20", "COMMIT_INTERVAL_S": "0", "STALL_S": "2"}
HELD = Fault("segment", "hold", route="page", page=20)
"""The chain ends before this page, and a batch of fan-out has it."""
HELD_POST = Fault("mavera", "hold", route="create", at=2)
"""The second of four."""

ASK = """
import asyncio, json, os, sys
from producer import SyncClient, SyncRequest
async def ask(url, strategy):
    async with SyncClient(url) as client:
        return await client.enqueue(SyncRequest(space_id="spa", strategy=strategy, dialect="inline"))
for line in sys.stdin:
    environment, *question = json.loads(line)
    os.environ.update(environment)
    print(asyncio.run(ask(*question)).id, flush=True)
"""

AskBefore = Callable[[Scenario, str], str]

STRATEGIES = pytest.mark.parametrize("strategy", ["chain", "fan-out"])


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The version before this one."""
    return checkout(VERSION_BEFORE, tmp_path_factory.mktemp("version-before"))


@pytest.fixture(scope="module")
def ask_before(before: Checkout) -> Iterator[AskBefore]:
    """Asks for a sync as the version before; one process of it does so for all tests."""
    command = [sys.executable, "-c", ASK]
    with subprocess.Popen(command, cwd=before.folder, stdin=PIPE, stdout=PIPE, text=True) as process:
        asked, answers = process.stdin, process.stdout
        assert asked
        assert answers

        def ask(scenario: Scenario, strategy: str) -> str:
            print(json.dumps([scenario.environment(), scenario.redis.url, strategy]), file=asked, flush=True)
            return answers.readline().strip()

        yield ask


async def _enqueue(scenario: Scenario, ask_before: AskBefore, strategy: str, asked_by: str) -> Sync:
    if asked_by == "new":
        return await scenario.enqueue(strategy=strategy)
    return await scenario.client.get(await asyncio.to_thread(ask_before, scenario, strategy))


def _worker(scenario: Scenario, version: str, before: Checkout) -> WorkerProcess:
    return scenario.worker(fork_server=before.fork_server) if version == "old" else scenario.worker()


@pytest.mark.parametrize(("strategy", "moment"), [("chain", "reading"), ("fan-out", "reading"), ("chain", "buying")])
@pytest.mark.parametrize(("first", "second"), [("old", "new"), ("new", "old")])
async def test_a_sync_continues_exactly_where_the_other_version_left_it(
    session_redis: RedisServer,
    start_worker: Start,
    before: Checkout,
    ask_before: AskBefore,
    strategy: str,
    first: str,
    second: str,
    moment: str,
) -> None:
    hold = HELD if moment == "reading" else HELD_POST
    async with start_scenario(
        session_redis, start_worker, {"spa": SPACE}, settings=SETTINGS, faults=(hold,)
    ) as scenario:
        sync = await _enqueue(scenario, ask_before, strategy, asked_by=first)
        worker = _worker(scenario, first, before)

        async def midway() -> bool:
            now = await scenario.client.get(sync.id)
            assert not now.state.is_final, (now.error, worker.text())
            return now.pages >= 10 if moment == "reading" else scenario.sandbox.journal.arrived["mavera.create"] == 2

        await until(midway)
        worker.ask_to_stop()
        if moment == "buying":
            scenario.sandbox.clear_faults()  # it waits for the answer, and records the persona
        assert await asyncio.to_thread(worker.process.wait) == 0
        left = await scenario.client.get(sync.id)
        assert left.state.value == ("fetching" if moment == "reading" else "finalizing"), left
        scenario.sandbox.clear_faults()
        _worker(scenario, second, before)
        await scenario.assert_bought_once(await scenario.ended(sync))


@pytest.mark.parametrize("asked_by", ["old", "new"])
@STRATEGIES
async def test_workers_of_both_versions_share_the_work_of_one_redis(
    session_redis: RedisServer,
    start_worker: Start,
    before: Checkout,
    ask_before: AskBefore,
    strategy: str,
    asked_by: str,
) -> None:
    """A worker of either is killed in the middle, so that the other's watcher takes its jobs over."""
    async with start_scenario(
        session_redis, start_worker, {"spa": SPACE}, settings=SETTINGS, latency_s=0.03, faults=(HELD,)
    ) as scenario:
        sync = await _enqueue(scenario, ask_before, strategy, asked_by)
        workers = [_worker(scenario, version, before) for version in ("old", "new")]

        async def midway() -> bool:
            return (await scenario.client.get(sync.id)).pages >= 10

        await until(midway)
        workers[asked_by == "old"].kill()
        scenario.sandbox.clear_faults()
        await scenario.assert_bought_once(await scenario.ended(sync))
