"""`run_sync`: one call for a script or a task of a scheduler that starts a sync and waits for its end."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import threading
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from producer.client import SyncClient
from worker.errors import ConfigurationError
from worker.models.request import SyncRequest
from worker.models.sync import Sync, new_sync_id
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

    Without a Redis, the sync runs in this process, as `segment-personas sync` does without `REDIS_URL`: with all
    settings of the environment, and with its state in the state directory.

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
        TimeoutError: The sync has not ended in time. It continues; without a Redis, with the next call for the space.
        StoreUnavailable: Redis could not be reached.
        ConfigurationError: A setting is missing or malformed, or the state directory cannot be used.
    """

    async def run() -> Sync:
        sync_id = new_sync_id()
        async with _client_of(redis_url, request, sync_id) as (client, work_on):
            sync = await client.enqueue(request, force=force, idempotency_key=idempotency_key, sync_id=sync_id)
            work_on(sync.id)
            return await client.wait(sync.id, timeout_s=timeout_s, check=check)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run())
    return _in_thread(lambda: asyncio.run(run()))


@contextlib.asynccontextmanager
async def _client_of(
    redis_url: str | None, request: SyncRequest, sync_id: str
) -> AsyncIterator[tuple[SyncClient, Callable[[str], object]]]:
    """A client of the Redis, or of the state directory with a worker in this process.

    Args:
        redis_url: Of the Redis; None: that of the environment.
        request: What will be asked for.
        sync_id: Of the new sync.

    Yields:
        The client, and a function that hands a sync to the worker of this process.
    """
    config = load_client_config()
    if redis_url is None and config.redis_url is not None:
        redis_url = config.redis_url.get_secret_value()
    if redis_url is not None:
        async with SyncClient(redis_url, settings=config) as client:
            yield client, lambda _: None
        return

    # A program that has a Redis loads no worker.
    from producer.embedded import embedded_client
    from producer.state.pool import directory_of, joined_server
    from worker.jobs.process.worker_process import required_tokens
    from worker.segment.export_file import is_of_one_process, open_any_file
    from worker.settings import load_settings

    opener = None if request.reads_segment else open_any_file
    if request.file is not None and (is_of_one_process(request.file) or not os.path.isabs(request.file)):
        raise ConfigurationError(
            f"Without REDIS_URL, run_sync cannot read the file {request.file!r}.",
            hint="Pass the absolute path of a file that other processes can read too.",
        )
    settings = load_settings()
    try:
        settings.require(*required_tokens(settings, opener))
        if request.warehouse is not None and settings.spaces_file is None:
            settings.require("warehouse_url")
    except ConfigurationError as error:
        raise ConfigurationError(
            f"REDIS_URL is not set, so the sync would run in this process, but {error}",
            hint="Export REDIS_URL, or pass redis_url, to let workers run it; or export the keys.",
        ) from None
    own_syncs = {sync_id}
    async with (
        joined_server(directory_of(settings)) as server,
        embedded_client(settings, server=server, opener=open_any_file, own_syncs=own_syncs) as client,
    ):
        yield client, own_syncs.add


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
