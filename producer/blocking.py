"""`run_sync`: one call for a script or a task of a scheduler that starts a sync and waits for its end."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from typing import TypeVar

from producer.client import SyncClient
from worker.errors import ConfigurationError
from worker.models.request import SyncRequest
from worker.models.sync import Sync
from worker.settings import load_client_config

Result = TypeVar("Result")


def run_sync(
    request: SyncRequest,
    redis_url: str | None = None,
    *,
    check: bool = True,
    timeout_s: float = math.inf,
    force: bool = False,
    idempotency_key: str | None = None,
) -> Sync:
    """Starts a sync, waits for its end and returns it. Blocks the calling thread, also if an event loop runs in it.

    Args:
        request: What to sync.
        redis_url: As in `REDIS_URL`; None: that variable.
        check: Whether a sync that failed or was cancelled raises SyncFailed.
        timeout_s: How long to wait, in seconds.
        force: As in `SyncClient.enqueue`.
        idempotency_key: As in `SyncClient.enqueue`.

    Raises:
        SyncFailed: The sync failed or was cancelled, and `check` is set.
        SyncConflict: As in `SyncClient.enqueue`.
        TimeoutError: The sync has not ended in time; it continues.
        StoreUnavailable: Redis could not be reached.
        ConfigurationError: REDIS_URL is not set, or a setting is malformed.
    """
    config = load_client_config()
    if redis_url is None:
        if config.redis_url is None:
            raise ConfigurationError("REDIS_URL is not set.", hint="Export it, or pass redis_url to run_sync.")
        redis_url = config.redis_url.get_secret_value()

    async def run() -> Sync:
        async with SyncClient(redis_url, settings=config) as client:
            sync = await client.enqueue(request, force=force, idempotency_key=idempotency_key)
            return await client.wait(sync.id, timeout_s=timeout_s, check=check)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run())
    return _in_thread(lambda: asyncio.run(run()))


def _in_thread(work: Callable[[], Result]) -> Result:
    """Runs some work in a new thread; returns its result, or raises its error."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            errors.append(error)

    thread = threading.Thread(target=target, name="run_sync", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
