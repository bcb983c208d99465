"""One page a job on arq's defaults: starts such a worker (`arq_worker`), gives it a chain, and waits for its end."""

from __future__ import annotations

import asyncio
import os
import sys
import time

from arq.connections import RedisSettings, create_pool

from tests.bench.figure import BenchError
from tests.bench.rivals.arq_worker import DONE
from tests.bench.testbed import TOKEN, Testbed
from tests.support.processes.workers import WorkerProcess

_COMMAND = (sys.executable, "-m", "arq", "tests.bench.rivals.arq_worker.WorkerSettings")
_STARTED = "redis_version="
_LONGEST_S = 120.0


def read_space(testbed: Testbed, space_id: str, pages: int) -> float:
    """Seconds from enqueueing the first page's job to the end of the last one's."""
    env = {
        **os.environ,
        "REDIS_URL": testbed.redis.url,
        "SEGMENT_TOKEN": TOKEN,
        "SEGMENT_BASE_URL": testbed.sandbox.segment_url,
    }
    worker = WorkerProcess(env, testbed.folder / "arq.log", _COMMAND)
    try:
        _wait_started(worker)
        return asyncio.run(_chain(testbed.redis.url, space_id, pages))
    finally:
        worker.close()


def _wait_started(worker: WorkerProcess) -> None:
    deadline = time.monotonic() + 20
    while _STARTED not in worker.text():
        if not worker.alive or time.monotonic() > deadline:
            raise BenchError(f"arq did not start: {worker.text()}")
        time.sleep(0.02)


async def _chain(redis_url: str, space_id: str, pages: int) -> float:
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    try:
        start = time.monotonic()
        await pool.enqueue_job("fetch_page", space_id, "", pages)
        while (done := await pool.get(DONE)) is None:
            if time.monotonic() - start > _LONGEST_S:
                raise BenchError("the chain of arq jobs did not end")
            await asyncio.sleep(0.1)
        return float(done) - start
    finally:
        await pool.aclose()
