"""Serves the metrics of a worker over HTTP, if `METRICS_PORT` is set: `/metrics` and `/healthz`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from worker.errors import ConfigurationError
from worker.metrics.redis_metrics import CONTENT_TYPE

log = logging.getLogger("segment_personas.worker")


@contextlib.asynccontextmanager
async def metrics_server(host: str, port: int, text: Callable[[], Awaitable[bytes]]) -> AsyncIterator[str]:
    """Serves metrics during the block.

    Args:
        host: Address to listen on.
        port: Port; 0: any free one.
        text: Returns the metrics in Prometheus' format.

    Yields:
        The URL.

    Raises:
        ConfigurationError: It cannot listen there.
    """

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await text(), headers={"Content-Type": CONTENT_TYPE})

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application(client_max_size=1024)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", health)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, handle_signals=False)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigurationError(
                f"Cannot serve metrics on {host}:{port}: {reason}",
                hint="Set METRICS_HOST and METRICS_PORT to a free address of this machine, a port for each worker.",
            ) from None
        url = f"http://{host}:{runner.addresses[0][1]}"
        log.info("metrics are served at %s/metrics", url)
        yield url
    finally:
        await runner.cleanup()
