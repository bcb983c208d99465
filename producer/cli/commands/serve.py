"""`segment-personas serve`: runs the HTTP API until Ctrl-C or SIGTERM, with the workers of a Redis or its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from producer.api.config import ApiConfig
from producer.api.server import serve_api
from producer.cli.connect import redis_client, worker_lock
from producer.cli.exit_codes import DONE
from producer.cli.terminal import Screen
from producer.client import SyncClient
from producer.embedded import DEMO_SPACE_ID, embedded_client, sandbox_settings
from producer.state.directory import StateDirectory
from producer.state.pool import directory_of, joined_server
from worker.jobs.process.worker_process import required_tokens
from worker.log_format import configure_logging
from worker.segment.export_file import open_any_file
from worker.settings import Settings

log = logging.getLogger("segment_personas.api")


async def serve(settings: Settings, err: Screen, *, host: str, port: int, sandbox: bool) -> int:
    """Serves the API.

    Args:
        settings: Name the Redis, the file of tokens, and the defaults of requests. Without a Redis, a worker runs in
            this process, on the state directory.
        err: Where the address is printed.
        host: Address to listen on.
        port: Port; 0: any free one.
        sandbox: Whether worker and sandbox run in this process, and no Redis and no key is used.

    Raises:
        ConfigurationError: A setting is missing or malformed, or it cannot listen there.
    """
    config = ApiConfig(host, port, settings.api_tokens_file, reads_files=settings.redis_url is not None and not sandbox)
    if settings.log_format == "json":
        configure_logging(settings.log_level, "json")
    elif "log_level" not in settings.model_fields_set:
        logging.getLogger("segment_personas").setLevel("WARNING" if sandbox else "INFO")
    # It logs a traceback for every request that is not HTTP. Errors of our own are logged by `problems`.
    logging.getLogger("aiohttp.server").setLevel("CRITICAL")
    with contextlib.suppress(asyncio.CancelledError):
        async with contextlib.AsyncExitStack() as stack:
            if sandbox:
                settings = await stack.enter_async_context(sandbox_settings(settings))
                client = await stack.enter_async_context(embedded_client(settings))
                about = (
                    "The sandbox in this process replaces Segment and Mavera: any space, such as "
                    f"{DEMO_SPACE_ID}, has made-up profiles. No key is used, and the state is lost with the process."
                )
            elif settings.redis_url is None:
                directory = directory_of(settings)
                client = await stack.enter_async_context(_client_with_worker(settings, directory))
                about = (
                    f"REDIS_URL is not set: a worker runs in this process, and the state is kept in {directory.path}."
                )
            else:
                client = await stack.enter_async_context(redis_client(settings))
                about = ""

            def announce(url: str) -> None:
                if settings.log_format == "json":
                    log.info("serving %s", url)
                    return
                err.print_text(f"Serving {url}; documentation at {url}/docs. Ctrl-C stops it.")
                if about:
                    err.print_text(about, "dim")
                if config.tokens_file is None and not sandbox:
                    err.print_text(
                        "API_TOKENS_FILE is not set, so every program on this machine may use the API.", "dim"
                    )

            await serve_api(client, settings, config, ready=announce)
    return DONE


@contextlib.asynccontextmanager
async def _client_with_worker(settings: Settings, directory: StateDirectory) -> AsyncIterator[SyncClient]:
    """A client of the state directory, with a worker in this process. Raises ConfigurationError."""
    settings.require(*required_tokens(settings))
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(joined_server(directory))
        stack.enter_context(worker_lock(directory))
        yield await stack.enter_async_context(
            embedded_client(settings, server=server, opener=open_any_file, skips_pipes=True)
        )
