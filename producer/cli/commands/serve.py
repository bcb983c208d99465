"""`segment-personas serve`: the HTTP API until Ctrl-C or SIGTERM, with the workers of a Redis or with its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from producer.api.config import ApiConfig
from producer.api.server import serve_api
from producer.cli.connect import redis_client
from producer.cli.exit_codes import DONE
from producer.cli.terminal import Screen
from producer.embedded import DEMO_SPACE_ID, embedded_client, sandbox_settings
from worker.settings import Settings


async def serve(settings: Settings, err: Screen, *, host: str, port: int, sandbox: bool) -> int:
    """Serves the API.

    Args:
        settings: Name the Redis, the file of tokens, and the defaults of requests.
        err: Where to say what is served.
        host: Address to listen on.
        port: Port; 0: any free one.
        sandbox: Whether worker and stand-ins for both APIs run in this process, and no Redis and no key is used.

    Raises:
        ConfigurationError: A setting is missing or malformed, or it cannot listen there.
    """
    config = ApiConfig(host, port, settings.api_tokens_file)
    if "log_level" not in settings.model_fields_set:
        logging.getLogger("segment_personas").setLevel("WARNING" if sandbox else "INFO")
    with contextlib.suppress(asyncio.CancelledError):
        async with contextlib.AsyncExitStack() as stack:
            if sandbox:
                settings = await stack.enter_async_context(sandbox_settings(settings))
                client = await stack.enter_async_context(embedded_client(settings))
            else:
                client = await stack.enter_async_context(redis_client(settings))

            def say(url: str) -> None:
                err.say(f"Serving {url}, described at {url}/docs. Ctrl-C stops it.")
                if sandbox:
                    err.say(
                        f"Made-up profiles, from stand-ins for Segment and Mavera in this process: any space, such as "
                        f"{DEMO_SPACE_ID}. No key is used, and the state is lost with the process.",
                        "dim",
                    )
                elif config.tokens_file is None:
                    err.say("Without API_TOKENS_FILE, every program on this machine may use it.", "dim")

            await serve_api(client, settings, config, ready=say)
    return DONE
