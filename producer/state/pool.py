"""The store of a state directory: its server in use, and a client for it."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator

from producer.state.directory import StateDirectory, state_directory
from producer.state.server import StateServer
from worker.settings import ClientConfig, Settings
from worker.store import StorePool, embedded_pool, redis_pool
from worker.store.connection.pool import closing


def directory_of(settings: Settings) -> StateDirectory:
    """Returns the state directory of the settings. Raises StateUnusable if this user has none."""
    return state_directory(settings.segment_personas_home)


@contextlib.asynccontextmanager
async def joined_server(directory: StateDirectory) -> AsyncIterator[StateServer]:
    """The server of a directory, in use for the block. Raises StateUnusable."""
    server = StateServer(directory)
    joining = asyncio.create_task(asyncio.to_thread(server.join))
    try:
        await asyncio.shield(joining)
        yield server
    finally:
        if not joining.done():  # a Ctrl-C meanwhile
            await asyncio.wait({joining})
        await asyncio.to_thread(server.leave)


def server_pool(server: StateServer, settings: ClientConfig, *, max_wait_s: float = math.inf) -> StorePool:
    """Returns a client for the server of a state directory.

    Args:
        server: The server, which must be in use while the client is.
        settings: They name the prefix of the keys.
        max_wait_s: As for `redis_pool`.
    """
    return redis_pool(
        server.url,
        max_wait_s=max_wait_s,
        prefix=settings.redis_prefix,
        known_run=server.run,
        advice=lambda: server.advice,
    )


@contextlib.asynccontextmanager
async def state_pool(
    settings: Settings, *, max_wait_s: float = math.inf, creates: bool = True
) -> AsyncIterator[StorePool]:
    """A client for the server of the settings' state directory, which runs for the block.

    Args:
        settings: They name the directory.
        max_wait_s: As of `redis_pool`.
        creates: Whether to create the directory if nothing was ever kept there. If not, no server is started for it:
            the client is that of an empty Redis in memory, for commands that only read.

    Raises:
        StateUnusable: The directory cannot be used, or the server does not start.
    """
    directory = directory_of(settings)
    if not (creates or directory.has_state):
        async with closing(embedded_pool()) as pool:
            yield pool
        return
    async with (
        joined_server(directory) as server,
        closing(server_pool(server, settings, max_wait_s=max_wait_s)) as pool,
    ):
        yield pool
