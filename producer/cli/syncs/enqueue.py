"""Asks for the syncs of a command, and finds those that are under way already."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence

from producer.cli.command_lines import NAME, command, run_again
from producer.cli.connect import Connection
from producer.cli.sync_options import SyncOptions
from producer.cli.syncs.next_steps import NextStep
from producer.cli.terminal import Screen, confirm
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
    """The syncs of the requests, for the block; without those that the user does not want to continue.

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
            found = await _enqueue(connection, err, request, options, sync_id, syncs)
            if found is not None:
                syncs.append(found)
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
) -> Sync | None:
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
            await _explain_left_sync(connection, conflict)
            raise _after_a_start(conflict, started) from None
        found = conflict.sync
        if not await _agrees_to_continue(connection, err, found, options):
            return None
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


async def _agrees_to_continue(connection: Connection, err: Screen, sync: Sync, options: SyncOptions) -> bool:
    """Returns whether the user lets this command continue a sync that buys without showing a plan, such as of `--yes`.

    A sync that others work on, and one whose plan the user has agreed to, is continued without a question.
    """
    if not connection.stops_with_command or sync.applied_at is not None or not options.asks_before_purchase(err):
        return True
    space_id = sync.request.space_id
    err.print_text(f"{space_id}: {sync.id} ({sync.status}) has not ended, and it buys without showing its plan first.")
    try:
        agrees = await confirm(err, "Continue it?")
    except asyncio.CancelledError:  # Ctrl-C or SIGTERM. Swallow it: the hints are still to be printed.
        err.print_text("")
        agrees = False
    if not agrees:
        commands = (command("cancel", sync.id), run_again(options.command_line))
        declined = "This command does not continue it. To cancel it, and then see a plan before you buy:"
        err.print_text(str(NextStep(declined, commands)))
    return agrees


async def _explain_left_sync(connection: Connection, conflict: SyncConflict) -> None:
    """Names the way on if no other process works on the sync that is under way: waiting for it would not help."""
    if conflict.sync is None or conflict.code != "sync_running" or not connection.stops_with_command:
        return
    own = f":{os.getpid()}"
    if any(not worker.name.endswith(own) for worker in await connection.client.workers()):
        return
    others = f"Cancel it (`{NAME} cancel {conflict.sync.id}`), start another beside it (--force), or continue it:"
    conflict.hint = f"No process works on it at the moment. {others}"
    conflict.next_command = ("resume", conflict.sync.id)


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
