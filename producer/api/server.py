"""Serves the API until it is cancelled, and stops it in order."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable

from aiohttp import web

from producer.api.app import build_app
from producer.api.config import ApiConfig
from producer.client import SyncClient
from worker.errors import ConfigurationError
from worker.settings import Settings


async def serve_api(
    client: SyncClient, settings: Settings, config: ApiConfig, *, ready: Callable[[str], object] = lambda _: None
) -> None:
    """Serves until cancelled. Then it accepts nothing more, ends the event streams, and waits for running requests.

    Args:
        client: Starts and reads syncs. It is not closed here.
        settings: As of `build_app`.
        config: Where to listen, and who may use it.
        ready: Called with the URL once it listens.

    Raises:
        ConfigurationError: It cannot listen there, or a file of the settings cannot be used.
    """
    limits = config.limits
    runner = web.AppRunner(
        build_app(client, settings, config),
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=limits.connection_s,
        shutdown_timeout=limits.stop_s,
        handle_signals=False,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, config.host.strip("[]"), config.port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            raise ConfigurationError(f"Cannot listen on {config.host}:{config.port}: {_reason(error)}.") from None
        port = runner.addresses[0][1]
        shown = f"[{config.host.strip('[]')}]" if ":" in config.host else config.host
        ready(f"http://{shown}:{port}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _reason(error: OSError) -> str:
    """Returns the reason of an error without the address that asyncio adds."""
    if error.errno == errno.EADDRINUSE:
        return "another program listens there; choose another --port"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)
