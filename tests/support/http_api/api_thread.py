"""The HTTP API in a thread: for tests that share one server, between which their own event loop does not run."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.support.http_api.api_server import ApiServer, start_api
from tests.support.servers.redis_server import RedisServer

T = TypeVar("T")


@dataclass
class ApiThread:
    """A server that runs in a thread.

    Attributes:
        server: The server. Its coroutines belong to the loop of the thread: pass them to `run`.
        loop: The loop of the thread.
    """

    server: ApiServer
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.server.url

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in the thread."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    async def get(self, path: str) -> Any:
        """The JSON of a GET."""
        return (await self.run(self.server.get(path))).json

    async def ask(self, space_id: str, **options: object) -> str:
        """Asks for a sync and returns its id."""
        reply = await self.run(self.server.post("/v1/syncs", {"space_id": space_id, **options}))
        assert reply.status == 202, reply.text
        return str(reply.json["sync_id"])

    async def ended(self, sync_id: str) -> Any:
        """The document of a sync when it has ended."""
        return await self.run(self.server.ended(sync_id))


@contextlib.asynccontextmanager
async def start_api_thread(redis: RedisServer, **options: Any) -> AsyncIterator[ApiThread]:
    """A server in a thread. options: as of `start_api`."""
    started: Future[ApiThread] = Future()
    stop = asyncio.Event()

    async def serve() -> None:
        async with start_api(redis, max_wait_s=30, **options) as server:
            started.set_result(ApiThread(server, asyncio.get_running_loop()))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run, name="api", daemon=True)
    thread.start()
    server = await asyncio.wrap_future(started)
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(stop.set)
        await asyncio.to_thread(thread.join)
