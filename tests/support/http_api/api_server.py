"""The HTTP API on a port of this machine, in the process of the test: with a real Redis, a worker, and the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from producer import SyncClient
from producer.api.config import ApiConfig, ApiLimits
from producer.api.server import serve_api
from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec
from tests.support.processes.workers import QUICK
from tests.support.scenarios.scenario import RECIPE, know_run
from tests.support.servers.redis_server import RedisServer
from worker.jobs.process.worker_process import serve
from worker.settings import Settings, load_settings
from worker.store import StorePool, redis_pool


@dataclass
class Reply:
    """A response that was read whole."""

    status: int
    headers: Mapping[str, str]
    text: str
    json: Any = None

    @property
    def code(self) -> str:
        """The code of a problem document."""
        return str(self.json["code"])


@dataclass
class ApiServer:
    """A server that runs.

    Attributes:
        url: Where it listens.
        http: A session for requests.
        client: The client that it uses.
        pool: Its Redis.
        settings: Of server and worker.
        sandbox: The sandbox that answers as both APIs.
        serving: The task that serves.
    """

    url: str
    http: aiohttp.ClientSession
    client: SyncClient
    pool: StorePool
    settings: Settings
    sandbox: Sandbox
    serving: asyncio.Task[None]
    _workers: list[asyncio.Task[None]] = field(default_factory=list)

    async def call(self, method: str, path: str, *, token: str = "", **options: Any) -> Reply:
        """Sends a request. token: for the header; options: as of aiohttp."""
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        async with self.http.request(method, self.url + path, headers=headers, **options) as response:
            text = await response.text()
            is_json = response.content_type.endswith("json")
            return Reply(
                response.status, response.headers, text, await response.json(content_type=None) if is_json else None
            )

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: object = None, **options: Any) -> Reply:
        return await self.call("POST", path, **({} if body is None else {"json": body}), **options)

    async def ended(self, sync_id: str) -> Any:
        """The document of a sync when it has ended."""
        await self.client.wait(sync_id)
        return (await self.get(f"/v1/syncs/{sync_id}")).json

    async def start_worker(self) -> None:
        """Starts a worker in this process and returns when it takes jobs."""
        ready = asyncio.Event()
        self._workers.append(asyncio.create_task(serve(self.settings, self.pool, ready=ready.set), name="worker"))
        await ready.wait()

    async def stop(self) -> None:
        """Ends server and workers."""
        for task in (self.serving, *self._workers):
            task.cancel()
        await asyncio.wait([self.serving, *self._workers])


@contextlib.asynccontextmanager
async def start_api(
    redis: RedisServer,
    *,
    worker: bool = True,
    spaces: Mapping[str, SpaceSpec] | None = None,
    tokens_file: Path | None = None,
    limits: ApiLimits | None = None,
    settings: Mapping[str, Any] | None = None,
    max_wait_s: float = 2,
    **options: Any,
) -> AsyncIterator[ApiServer]:
    """A server on an emptied Redis.

    Args:
        redis: Its Redis.
        worker: Whether a worker runs.
        spaces: Of the sandbox.
        tokens_file: As of `ApiConfig`.
        limits: As of `ApiConfig`.
        settings: Further settings of server and worker.
        max_wait_s: How long server and worker wait for Redis, in seconds.
        options: Of the sandbox.
    """
    pool = redis_pool(redis.url, max_wait_s=max_wait_s)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(pool.aclose)
        await pool.flushall()
        await know_run(pool)
        sandbox = await stack.enter_async_context(Sandbox(SandboxOptions(spaces=spaces or {"spa": RECIPE}, **options)))
        chosen = load_settings(
            **{**{name.lower(): value for name, value in QUICK.items()}, **(settings or {})},
            redis_url=redis.url,
            segment_token="sandbox",
            mavera_api_key="mvra_test_sandbox",
            segment_base_url=sandbox.segment_url,
            mavera_base_url=sandbox.mavera_url,
        )
        client = SyncClient.from_pool(pool, chosen)
        listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        config = ApiConfig(port=0, tokens_file=tokens_file, limits=limits or ApiLimits(look_s=0.02))
        serving = asyncio.create_task(serve_api(client, chosen, config, ready=listening.set_result), name="serve")
        await asyncio.wait({listening, serving}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
        session = await stack.enter_async_context(aiohttp.ClientSession())
        server = ApiServer(listening.result(), session, client, pool, chosen, sandbox, serving)
        stack.push_async_callback(server.stop)
        if worker:
            await server.start_worker()
        yield server
