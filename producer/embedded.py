"""A worker and a client in one process, over the server of a state directory or over a Redis in memory.

A state in memory ends with the process: that of the sandbox, and of unit tests. With the sandbox, no URL and no
key of the environment is used, so that made-up profiles stay in this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Collection, Iterator

from pydantic import SecretStr

from producer.client import SyncClient
from producer.sandbox.options import SandboxOptions
from producer.sandbox.spaces.space import SpaceSpec
from producer.state.pool import server_pool
from producer.state.server import StateServer
from worker.segment.export_file import Opener
from worker.settings import Dialect, Settings
from worker.store import embedded_pool
from worker.store.connection.pool import closing

CLIENT_MAX_WAIT_S = 3.0
"""Seconds that the client waits for its server before it raises; the worker waits without limit."""

DEMO_SPACE_ID = "demo"

DEMO_OPTIONS = SandboxOptions(
    {"saas": SpaceSpec(20_000, "saas", seed=1, as_of=time.time())},
    default_space=SpaceSpec(20_000, "mixed", seed=1),
    latency_s=0.07,
    mavera_latency_s=0.25,
)
"""What `sync --sandbox` reads: any space, large and slow enough to watch; `saas` is the one that goes with
`--clusters saas`."""


@contextlib.asynccontextmanager
async def embedded_client(
    settings: Settings,
    *,
    server: StateServer | None = None,
    opener: Opener | None = None,
    own_syncs: Collection[str] | None = None,
    skips_pipes: bool = False,
    is_only_buyer: bool = True,
) -> AsyncIterator[SyncClient]:
    """A client with its own worker; both end with the block, the worker after it has stopped its jobs.

    Args:
        settings: Of the worker and the client.
        server: The server that keeps the state; None: a Redis in memory.
        opener: As of `serve`.
        own_syncs: As of `JobQueue`.
        skips_pipes: As of `JobQueue`.
        is_only_buyer: As of `embedded_pool`.

    Raises:
        ConfigurationError: A token is missing.
        Exception: Whatever ends the worker before its time.
    """
    from worker.jobs.process.worker_process import required_tokens, serve  # commands that only ask start faster

    settings.require(*required_tokens(settings, opener))
    owner = asyncio.current_task()
    assert owner is not None
    ready = asyncio.Event()

    def interrupt(_: asyncio.Task[None]) -> None:
        # A caller that waits for a dead worker would never return.
        owner.cancel()

    async with contextlib.AsyncExitStack() as stack:
        if server is None:
            pool = client_pool = await stack.enter_async_context(closing(embedded_pool(is_only_buyer=is_only_buyer)))
        else:
            pool = await stack.enter_async_context(closing(server_pool(server, settings)))
            client_pool = await stack.enter_async_context(
                closing(server_pool(server, settings, max_wait_s=CLIENT_MAX_WAIT_S))
            )
        worker = asyncio.create_task(
            serve(
                settings,
                pool,
                ready=ready.set,
                opener=opener,
                own_syncs=own_syncs,
                skips_pipes=skips_pipes,
                ends_with_pool=True,
            ),
            name="worker",
        )
        worker.add_done_callback(interrupt)
        try:
            await ready.wait()
            yield SyncClient.from_pool(client_pool, settings)
        finally:
            worker.remove_done_callback(interrupt)
            if worker.done():
                owner.uncancel()
                await worker
            worker.cancel()
            await asyncio.wait({worker})


@contextlib.asynccontextmanager
async def sandbox_settings(
    settings: Settings, options: SandboxOptions = DEMO_OPTIONS, *, dialect: Dialect | None = None
) -> AsyncIterator[Settings]:
    """The settings with the sandbox instead of both APIs, and without Redis and keys of the environment.

    Args:
        settings: The settings to change.
        options: Of the sandbox.
        dialect: The dialect that will be used; None: that of the settings.
    """
    from producer.sandbox.server import Sandbox

    inline = (dialect or settings.segment_dialect) != "profile-api"
    async with Sandbox(options) as sandbox:
        with _no_proxy("127.0.0.1"):
            yield settings.model_copy(
                update={
                    "segment_base_url": sandbox.segment_url if inline else sandbox.profile_api_url,
                    "segment_token": SecretStr(options.segment_token or "sandbox"),
                    "mavera_base_url": sandbox.mavera_url,
                    "mavera_api_key": SecretStr(options.mavera_key or "mvra_test_sandbox"),
                    "redis_url": None,
                    "spaces_file": None,
                    "webhook_url": None,  # events of the sandbox stay in this process too
                }
            )


@contextlib.contextmanager
def _no_proxy(host: str) -> Iterator[None]:
    """Requests to `host` go there directly, also where the environment names a proxy."""
    before = {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")}
    others = before["no_proxy"] or before["NO_PROXY"]
    os.environ["no_proxy"] = f"{others},{host}" if others else host
    try:
        yield
    finally:
        if before["no_proxy"] is None:
            del os.environ["no_proxy"]
        else:
            os.environ["no_proxy"] = before["no_proxy"]
