"""Connects a command to a Redis with workers, or to a worker in this process, and asks it for syncs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from producer.cli.command_lines import command
from producer.cli.sync_options import SyncOptions, chosen_dialect
from producer.cli.terminal import Screen
from producer.client import SyncClient, SyncConflict
from producer.embedded import embedded_client, sandbox_settings
from worker.errors import ConfigurationError, PersonasError
from worker.jobs.arq_worker import required_tokens
from worker.jobs.store_factories import claim_file
from worker.models.request import SyncRequest
from worker.models.sync import Sync, new_sync_id
from worker.segment.export_file import open_any_file
from worker.settings import Settings
from worker.store.claims.claim_file import StateUnusable

REDIS_MAX_WAIT_S = 3.0
"""How long a command waits for a Redis that does not answer, before it gives up."""


@contextlib.asynccontextmanager
async def open_client(
    settings: Settings, err: Screen, options: SyncOptions, space_ids: Sequence[str]
) -> AsyncIterator[SyncClient]:
    """Where the syncs are asked for; says what running in this process means.

    Raises:
        ConfigurationError: A setting is missing, or the state directory cannot be used.
        SpaceBusy: Another process syncs one of the spaces.
    """
    if settings.unprotected_warning and not options.sandbox:
        err.say(settings.unprotected_warning, "yellow")
    if not options.in_process(settings):
        async with redis_client(settings) as client:
            yield client
        return
    async with contextlib.AsyncExitStack() as stack:
        if options.sandbox:
            made = "A stand-in for Mavera"
            if options.from_file is None:
                made = "Made-up profiles, from stand-ins for Segment and Mavera"
            err.say(f"{made} in this process. No key is used.", "dim")
            settings = await stack.enter_async_context(
                sandbox_settings(settings, dialect=chosen_dialect(settings, options))
            )
        try:
            opener = None if options.from_file is None else open_any_file
            settings.require(*required_tokens(opener))
            claims = None
            if not (options.sandbox or options.preview):
                claims = claim_file(settings)
                stack.enter_context(claims.lock(space_ids))
                if claims.claims:
                    err.say(
                        "An earlier run ended while it was creating a persona. Before another one is bought, Mavera's "
                        f"list is watched for {settings.mavera_settle_s:g} s.",
                        "yellow",
                    )
            client = await stack.enter_async_context(embedded_client(settings, opener=opener, claims=claims))
        except StateUnusable:
            raise
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{error} The command `init` asks for them. To see it work without keys: {command('sync', '--sandbox')}"
            ) from None
        if not options.sandbox:
            reason = "REDIS_URL is not set" if settings.redis_url is None else "--embedded"
            err.say(
                f"{reason}: everything runs in this process, and the state of the sync is lost with it. "
                "Personas already created are kept.",
                "dim",
            )
        yield client


def redis_client(settings: Settings) -> SyncClient:
    """A client for the Redis of REDIS_URL. Raises ConfigurationError if the variable is not set or is malformed."""
    settings.require("redis_url")
    assert settings.redis_url
    return SyncClient(settings.redis_url.get_secret_value(), settings=settings, max_wait_s=REDIS_MAX_WAIT_S)


async def enqueue(
    settings: Settings, client: SyncClient, err: Screen, requests: Sequence[SyncRequest], options: SyncOptions
) -> list[Sync]:
    """Requests every sync. Raises as `SyncClient.enqueue` does; the message names the syncs started before."""
    syncs: list[Sync] = []
    for request in requests:
        sync_id = new_sync_id()
        try:
            found = await client.enqueue(
                request, force=options.force, idempotency_key=options.idempotency_key, sync_id=sync_id
            )
        except SyncConflict as conflict:
            # A user who would only be asked first may as well follow a sync that was agreed to.
            if options.preview or conflict.sync is None or not conflict.sync.carries_out(request):
                raise _after_a_start(conflict, syncs) from None
            found = conflict.sync
        except PersonasError as error:
            raise _after_a_start(error, syncs) from None
        except asyncio.CancelledError:
            if not options.in_process(settings):
                err.say(f"Interrupted. To see whether a sync was started:\n  {command('list')}")
            raise
        if found.id != sync_id:
            err.say(f"{found.request.space_id}: already requested; following {found.id} ({found.status}).")
        syncs.append(found)
    return syncs


def _after_a_start(error: PersonasError, started: Sequence[Sync]) -> PersonasError:
    """The error, extended by the syncs that are already running."""
    if not started:
        return error
    names = ", ".join(f"{one.id} ({one.request.space_id})" for one in started)
    error.args = (f"{error}\nAlready started, and still running: {names}",)
    return error
