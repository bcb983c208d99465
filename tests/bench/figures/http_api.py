"""Enqueueing through the HTTP API while event streams are open, beside the same through `SyncClient`.

One server process; twenty requests are under way at a time, each with an idempotency key, and a new space each. No
worker runs, so that the streams show nothing new and only enqueueing is measured.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from secrets import token_hex

import aiohttp

from producer import SyncClient, SyncRequest
from tests.bench.figure import BenchError, Goal, Plot, Sample
from tests.bench.process import peak_memory_mib
from tests.support.servers.redis_server import RedisServer

ENQUEUES = 1000
AT_A_TIME = 20
STREAMS = 100

HTTP, CLIENT = "HTTP API, enqueues", "SyncClient, enqueues"
ANSWERS = "HTTP API, 95 % of the answers within"
MEMORY = f"HTTP API, peak memory of the server with {STREAMS} streams"

Enqueue = Callable[[str], Awaitable[None]]


class HttpApi:
    name = "http_api"
    title = f"{ENQUEUES:,} enqueues, {AT_A_TIME} at a time, {STREAMS} event streams open on the same server process"
    goals = (Goal(ANSWERS, of="value", bound=1000), Goal(MEMORY, of="value", bound=150))
    opt_in = False
    plot: Plot | None = None

    def measure(self, redis: RedisServer) -> list[Sample]:
        """First through HTTP, then through the client, on the same Redis."""
        command = (sys.executable, "-m", "producer", "serve", "--port", "0")
        environment = {**os.environ, "REDIS_URL": redis.url}
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr
            try:
                found = re.search(r"http://[\d.:]+", server.stderr.readline())
                if found is None:
                    raise BenchError("the server did not start")
                of_http = asyncio.run(_through_http(found[0]))
                memory = peak_memory_mib(server.pid)
            finally:
                server.send_signal(signal.SIGTERM)
                server.communicate()
        of_client = asyncio.run(_through_client(redis.url))
        per_second, others = ENQUEUES / of_http[0], ENQUEUES / of_client[0]
        return [
            Sample(HTTP, per_second, "/s", per_second / others, CLIENT),
            Sample(CLIENT, others, "/s"),
            Sample(ANSWERS, 1000 * of_http[1], "ms"),
            Sample(MEMORY, memory, "MiB"),
        ]


async def _through_http(url: str) -> tuple[float, float]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as session:

        async def enqueue(name: str) -> None:
            headers = {"Idempotency-Key": name}
            async with session.post("/v1/syncs", json={"space_id": name}, headers=headers) as response:
                await response.read()
                if response.status != 202:
                    raise BenchError(f"the server answered {response.status}")

        streams = []
        for _ in range(STREAMS):
            async with session.post("/v1/syncs", json={"space_id": f"watched_{token_hex(8)}"}) as response:
                sync_id = (await response.json())["sync_id"]
            streams.append(await session.get(f"/v1/syncs/{sync_id}/events"))
        measured = await _measure(enqueue)
        for stream in streams:
            stream.close()
        return measured


async def _through_client(redis_url: str) -> tuple[float, float]:
    async with SyncClient(redis_url) as client:

        async def enqueue(name: str) -> None:
            await client.enqueue(SyncRequest(space_id=name), idempotency_key=name)

        return await _measure(enqueue)


async def _measure(enqueue: Enqueue) -> tuple[float, float]:
    """Seconds that all took, and within which 95 % were answered."""
    names = iter([f"spa_{token_hex(8)}" for _ in range(ENQUEUES)])
    took: list[float] = []

    async def caller() -> None:
        for name in names:
            begun = time.perf_counter()
            await enqueue(name)
            took.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(AT_A_TIME)))
    return time.perf_counter() - begun, sorted(took)[int(0.95 * ENQUEUES)]


FIGURE = HttpApi()
