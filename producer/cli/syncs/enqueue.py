"""Asks for the syncs of a command, and finds those that are under way already."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence

from producer.cli.command_lines import command
from producer.cli.connect import Connection
from producer.cli.sync_options import SyncOptions
from producer.cli.terminal import Screen
from producer.errors import SyncConflict
from producer.state import keeper
from producer.state.directory import StateDirectory
from worker.errors import ConfigurationError, PersonasError
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState, new_sync_id
from worker.segment.export_file import is_of_one_process

READING = (SyncState.QUEUED, SyncState.FETCHING)


@contextlib.asynccontextmanager
async def enqueued(
    connection: Connection, err: Screen, requests: Sequence[SyncRequest], options: SyncOptions
) -> AsyncIterator[list[Sync]]:
    """The syncs of the requests, for the block.

    A sync that still reads the standard input of this command when the block ends is cancelled: no other process can
    continue it.

    Raises:
        PersonasError: As `SyncClient.enqueue` does; the message names the syncs that are started by then.
    """
    syncs: list[Sync] = []
    async with contextlib.AsyncExitStack() as stack:
        for request in requests:
            sync_id = new_sync_id()
            if is_private(connection, request):
                await stack.enter_async_context(_readable_here(connection, sync_id))
            connection.work_on(sync_id)
            syncs.append(await _enqueue(connection, err, request, options, sync_id, syncs))
        yield syncs


def is_private(connection: Connection, request: SyncRequest) -> bool:
    """Returns whether a sync of a state directory reads what only the command that starts it can read."""
    return connection.directory is not None and request.file is not None and is_of_one_process(request.file)


def require_readable(connection: Connection, sync: Sync, *, restart: bool = False) -> None:
    """Raises ConfigurationError if a sync must read what only an earlier command could read."""
    reads = restart or sync.state in READING or sync.failed_in in READING
    if reads and is_private(connection, sync.request):
        raise ConfigurationError(
            f"{sync.id} reads the standard input of the command that started it, which no other command can read.",
            hint="Run `segment-personas sync --from-file -` again with the same input.",
        )


async def _enqueue(
    connection: Connection,
    err: Screen,
    request: SyncRequest,
    options: SyncOptions,
    sync_id: str,
    started: Sequence[Sync],
) -> Sync:
    client = connection.client
    try:
        found = await client.enqueue(
            request, force=options.force, idempotency_key=options.idempotency_key, sync_id=sync_id
        )
    except SyncConflict as conflict:
        if conflict.sync is not None and await _is_cut_off(connection, conflict.sync):
            err.print_text(f"{conflict.sync.id} read the standard input of a command that has ended: it is cancelled.")
            return await _enqueue(connection, err, request, options, sync_id, started)
        # A user who would only be asked first may as well follow a sync that was agreed to.
        if options.preview or conflict.sync is None or not conflict.sync.applies_plan_of(request):
            raise _after_a_start(conflict, started) from None
        found = conflict.sync
    except PersonasError as error:
        raise _after_a_start(error, started) from None
    except asyncio.CancelledError:
        if not connection.is_in_memory:
            err.print_text(f"Interrupted. To see whether a sync was started:\n  {command('list')}")
        raise
    if found.id != sync_id:
        if is_private(connection, request) and found.state in READING:
            if await _is_cut_off(connection, found):
                return await _enqueue(connection, err, request, options, sync_id, started)
            raise SyncConflict(
                f"{found.id} of {request.space_id} reads the standard input of another command",
                found,
                hint="Wait for it, or cancel it.",
                code="sync_running",
                temporary=True,
                next_command=("status", found.id, "--follow"),
            )
        err.print_text(f"{found.request.space_id}: already requested; following {found.id} ({found.status}).")
        connection.work_on(found.id)
    return found


@contextlib.asynccontextmanager
async def _readable_here(connection: Connection, sync_id: str) -> AsyncIterator[None]:
    """Shows other commands that this one lives and reads the input of a sync; cancels the sync if it still reads."""
    assert connection.directory is not None
    path = _reader_lock(connection.directory, sync_id)
    lock = keeper.acquire(path)
    try:
        yield
    finally:
        with contextlib.suppress(PersonasError):
            if (await connection.client.get(sync_id)).state in READING:
                await connection.client.cancel(sync_id)
        if lock is not None:
            os.close(lock)
        with contextlib.suppress(OSError):
            os.unlink(path)


async def _is_cut_off(connection: Connection, sync: Sync) -> bool:
    """Returns whether the command whose input a sync reads has ended; then the sync is cancelled."""
    if not is_private(connection, sync.request) or sync.state not in READING:
        return False
    assert connection.directory is not None
    path = _reader_lock(connection.directory, sync.id)
    lock = keeper.acquire(path)
    if lock is None:
        return False
    os.close(lock)
    await connection.client.cancel(sync.id)
    with contextlib.suppress(OSError):
        os.unlink(path)
    return True


def _reader_lock(directory: StateDirectory, sync_id: str) -> str:
    return str(directory.lock(f"reader-{sync_id}"))


def _after_a_start(error: PersonasError, started: Sequence[Sync]) -> PersonasError:
    """Returns the error, extended by the syncs that are already running."""
    if not started:
        return error
    names = ", ".join(f"{one.id} ({one.request.space_id})" for one in started)
    error.args = (f"{error}\nAlready started, and still running: {names}",)
    return error
