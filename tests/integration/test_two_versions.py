"""This version and the one before it on one Redis: rolled forward, rolled back, and both at once, with real checkouts.

Whatever takes over from whatever in the middle of a sync, every profile counts once and every cluster gets one persona.
"""

from __future__ import annotations

import pytest

from producer.sandbox import SpaceSpec
from tests.support.checkouts import VERSION_BEFORE, Checkout, checkout
from tests.support.checks import until
from tests.support.redis_server import RedisServer
from tests.support.stage import Stage, Start, staged
from tests.support.workers import WorkerProcess
from worker.models.sync import Sync

SPACE = SpaceSpec(1500, "mixed")
"""75 pages of 20. Some values cannot be used; of those this version keeps more than the one before."""
SETTINGS = {"SEGMENT_PAGE_SIZE": "20", "MAVERA_GAP_S": "0.3", "STALL_S": "3"}

ASK = """
import asyncio, sys
from producer import SyncClient, SyncRequest
async def ask():
    async with SyncClient(sys.argv[1]) as client:
        return await client.enqueue(SyncRequest(space_id="spa", strategy=sys.argv[2], dialect="inline"))
print(asyncio.run(ask()).id)
"""

STRATEGIES = pytest.mark.parametrize("strategy", ["chain", "fan-out"])


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The version before this one."""
    return checkout(VERSION_BEFORE, tmp_path_factory.mktemp("version-before"))


async def _enqueue(stage: Stage, before: Checkout, strategy: str, asked_by: str) -> Sync:
    if asked_by == "new":
        return await stage.enqueue(strategy=strategy)
    return await stage.client.get(before.run(ASK, stage.redis.url, strategy, env=stage.environment()))


def _worker(stage: Stage, version: str, before: Checkout) -> WorkerProcess:
    return stage.worker(command=before.worker) if version == "old" else stage.worker()


@pytest.mark.parametrize("moment", ["reading", "buying"])
@pytest.mark.parametrize(("first", "second"), [("old", "new"), ("new", "old")])
@STRATEGIES
async def test_a_sync_goes_on_exactly_where_the_other_version_left_it(
    session_redis: RedisServer,
    start_worker: Start,
    before: Checkout,
    strategy: str,
    first: str,
    second: str,
    moment: str,
) -> None:
    options = {"latency_s": 0.03}
    async with staged(session_redis, start_worker, {"spa": SPACE}, settings=SETTINGS, **options) as stage:
        sync = await _enqueue(stage, before, strategy, asked_by=first)
        worker = _worker(stage, first, before)

        async def midway() -> bool:
            now = await stage.client.get(sync.id)
            assert not now.state.is_final, (now.error, worker.text())
            return now.pages >= 10 if moment == "reading" else bool(stage.sandbox.personas)

        await until(midway)
        assert worker.terminate() == 0
        left = await stage.client.get(sync.id)
        assert left.state.value == ("fetching" if moment == "reading" else "finalizing"), left
        _worker(stage, second, before)
        await stage.assert_bought_once(await stage.ended(sync))


@pytest.mark.parametrize("asked_by", ["old", "new"])
@STRATEGIES
async def test_workers_of_both_versions_share_the_work_of_one_redis(
    session_redis: RedisServer, start_worker: Start, before: Checkout, strategy: str, asked_by: str
) -> None:
    """A worker of either is killed in the middle, so that the other's watcher takes its jobs over."""
    async with staged(session_redis, start_worker, {"spa": SPACE}, settings=SETTINGS, latency_s=0.03) as stage:
        sync = await _enqueue(stage, before, strategy, asked_by)
        workers = [_worker(stage, version, before) for version in ("old", "new")]

        async def midway() -> bool:
            return (await stage.client.get(sync.id)).pages >= 10

        await until(midway)
        workers[asked_by == "old"].kill()
        await stage.assert_bought_once(await stage.ended(sync))
