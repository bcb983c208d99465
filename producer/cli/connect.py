"""Connects a command to the syncs: in the Redis of `REDIS_URL`, or in the state directory, or in memory (sandbox).

Without `REDIS_URL`, a command that starts or continues syncs runs its own worker, which works on these syncs only.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from producer.cli.command_lines import command, without_redis_url
from producer.cli.sync_options import SyncOptions, chosen_dialect
from producer.cli.terminal import Screen
from producer.client import SyncClient
from producer.embedded import embedded_client, sandbox_settings
from producer.errors import SyncConflict, SyncNotFound
from producer.state import keeper
from producer.state.directory import StateBusy, StateDirectory, explain_os_errors
from producer.state.pool import directory_of, joined_server, state_pool
from producer.state.server import NoServerProgram
from worker.errors import ConfigurationError
from worker.jobs.store_factories import known_account, store_pool
from worker.models.request import SyncRequest
from worker.models.sync import Sync
from worker.segment.export_file import open_any_file
from worker.settings import Settings
from worker.store import StorePool
from worker.store.connection.pool import closing

REDIS_MAX_WAIT_S = 3.0
"""How long a command waits for a Redis that does not answer, before it gives up."""


@dataclass(frozen=True)
class Connection:
    """A command's way to its syncs.

    Attributes:
        client: Asks for syncs and follows them.
        directory: The state directory that keeps them; None: a Redis of `REDIS_URL` does, or nothing does.
        own_syncs: The ids of those that the worker of this process works on; None: only other workers do.
        is_in_memory: Whether the state ends with this process.
    """

    client: SyncClient
    directory: StateDirectory | None = None
    own_syncs: set[str] | None = None
    is_in_memory: bool = False

    @property
    def stops_with_command(self) -> bool:
        """Whether nothing works on the syncs after this command."""
        if self.own_syncs is None:
            return False
        return self.directory is None or not has_worker(self.directory)

    def work_on(self, sync_id: str) -> None:
        """Lets the worker of this process, if it has one, work on a sync."""
        if self.own_syncs is not None:
            self.own_syncs.add(sync_id)


def has_worker(directory: StateDirectory) -> bool:
    """Returns whether a `segment-personas worker` serves the state directory."""
    if not directory.path.is_dir():
        return False
    lock = keeper.acquire(str(directory.lock("worker")))
    if lock is not None:
        os.close(lock)
    return lock is None


@contextlib.contextmanager
def worker_lock(directory: StateDirectory) -> Iterator[None]:
    """Shows other commands that a worker serves the state directory. Several workers may."""
    with explain_os_errors(directory.path):
        lock = keeper.acquire(str(directory.lock("worker")), shared=True, wait_s=1)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


@contextlib.asynccontextmanager
async def open_pool(settings: Settings, *, creates: bool = False) -> AsyncIterator[StorePool]:
    """The store of a command that runs no worker.

    Args:
        settings: They name the Redis, or the state directory if `redis_url` is None.
        creates: As for `state_pool`.
    """
    if settings.redis_url is None:
        async with state_pool(settings, max_wait_s=REDIS_MAX_WAIT_S, creates=creates) as pool:
            yield pool
    else:
        async with closing(store_pool(settings, max_wait_s=REDIS_MAX_WAIT_S)) as pool:
            yield pool


def redis_client(settings: Settings) -> SyncClient:
    """Returns a client for the Redis of REDIS_URL. Raises ConfigurationError without REDIS_URL."""
    settings.require("redis_url")
    assert settings.redis_url
    return SyncClient(settings.redis_url.get_secret_value(), settings=settings, max_wait_s=REDIS_MAX_WAIT_S)


@contextlib.asynccontextmanager
async def open_client(settings: Settings, *, creates: bool = False) -> AsyncIterator[Connection]:
    """The connection of a command that only reads syncs, or changes their state.

    Args:
        settings: As for `open_pool`.
        creates: As for `state_pool`.
    """
    directory = directory_of(settings) if settings.redis_url is None else None
    async with open_pool(settings, creates=creates) as pool:
        with _with_searched_location(directory):
            yield Connection(SyncClient.from_pool(pool, settings), directory)


@contextlib.asynccontextmanager
async def open_worker(settings: Settings, *, wait: bool = True, creates: bool = False) -> AsyncIterator[Connection]:
    """The connection of a command that continues syncs.

    Args:
        settings: Of the command.
        wait: Whether the command follows its syncs; if not, it has no worker, and another one must be there.
        creates: Whether to create the state directory.

    Raises:
        ConfigurationError: A setting is missing, the state directory cannot be used, or there is no worker.
    """
    directory = directory_of(settings)
    if settings.redis_url is not None or not (creates or directory.has_state):
        async with open_client(settings) as connection:
            yield connection
        return
    if not wait:
        require_worker(directory)
        async with open_client(settings, creates=creates) as connection:
            yield connection
        return
    own_syncs: set[str] = set()
    if "log_level" not in settings.model_fields_set:
        logging.getLogger("segment_personas.store").setLevel("WARNING")  # its worker may wait for a disk with space
    async with (
        joined_server(directory) as server,
        embedded_client(settings, server=server, opener=open_any_file, own_syncs=own_syncs) as client,
    ):
        with _with_searched_location(directory):
            yield Connection(client, directory, own_syncs)


@contextlib.contextmanager
def _with_searched_location(directory: StateDirectory | None) -> Iterator[None]:
    """Adds to an unknown sync where it was looked for: each state directory, and each Redis, has syncs of its own."""
    try:
        yield
    except SyncNotFound as error:
        listing = f"The command `{command('list')}` shows the syncs"
        if directory is None:
            error.hint = f"{listing} of this Redis and Mavera account."
        elif directory.has_state:
            error.hint = f"{listing} of the state directory {directory.path}."
        else:
            error.hint = (
                f"The state directory {directory.path} has no syncs yet. If another user, REDIS_URL or "
                "SEGMENT_PERSONAS_HOME was used for this sync, use the same here."
            )
        raise


def require_worker(directory: StateDirectory) -> None:
    """Raises ConfigurationError if no `segment-personas worker` serves the state directory."""
    if not has_worker(directory):
        raise ConfigurationError(
            "--no-wait needs a worker that outlives this command, and none serves the state directory "
            f"{directory.path}",
            hint="Start `segment-personas worker` in another terminal, or leave out --no-wait.",
        )


def require_tokens(settings: Settings, connection: Connection, request: SyncRequest) -> None:
    """Raises ConfigurationError if the worker of this process lacks what it needs to read the source."""
    if connection.own_syncs is None or settings.spaces_file is not None:
        return
    if request.reads_segment:
        settings.require("segment_token")
    elif request.warehouse is not None:
        settings.require("warehouse_url")


def require_own_account(settings: Settings, connection: Connection, sync: Sync) -> None:
    """Raises SyncConflict if the worker of this process never takes the jobs of a sync: it is of another account."""
    if connection.own_syncs is None or settings.spaces_file is not None or not sync.owner:
        return
    if sync.owner != known_account(settings):
        raise SyncConflict(
            f"{sync.id} belongs to another Mavera account than that of MAVERA_BASE_URL and MAVERA_API_KEY",
            hint="Use the base URL and the kind of key (live or test) with which it was started, or start a new sync.",
            code="other_account",
        )


@contextlib.asynccontextmanager
async def open_for_sync(settings: Settings, err: Screen, options: SyncOptions) -> AsyncIterator[Connection]:
    """The connection of `sync` and `preview`; says where the state is kept.

    Raises:
        ConfigurationError: A setting is missing, or the state directory cannot be used.
        StateBusy: Another command without a server program runs.
    """
    if settings.unprotected_warning and not options.sandbox:
        err.print_text(settings.unprotected_warning, "yellow")
    is_without_url = settings.warehouse_url is None and (options.sandbox or settings.spaces_file is None)
    if options.from_warehouse is not None and is_without_url and options.runs_in_process(settings):
        settings.require("warehouse_url")
    if options.sandbox:
        replaced = "Segment and Mavera: made-up profiles" if options.reads_segment else "Mavera"
        err.print_text(f"The sandbox in this process replaces {replaced}. No key is used.", "dim")
        async with (
            sandbox_settings(settings, dialect=chosen_dialect(settings, options)) as sandboxed,
            _in_memory(sandboxed, options) as connection,
        ):
            yield connection
        return
    if not options.runs_in_process(settings):
        async with open_client(settings) as connection:
            yield connection
        return
    if settings.redis_url is not None:
        without_redis_url()
    here = settings.model_copy(update={"redis_url": None})
    if options.wait:
        _require_keys(settings, options)
    directory = directory_of(settings)
    async with contextlib.AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(open_worker(here, wait=options.wait, creates=True))
            reason = "--embedded" if options.embedded else "REDIS_URL is not set"
            err.print_text(f"{reason}: the state of syncs is kept in {directory.path}.", "dim")
        except NoServerProgram as missing:
            _lock_memory(stack, directory)
            err.print_text(_memory_state_warning(settings, missing), "yellow")
            connection = await stack.enter_async_context(_in_memory(here, options, is_only_buyer=False))
        yield connection


def _require_keys(settings: Settings, options: SyncOptions) -> None:
    """Raises ConfigurationError that names the missing keys, and the way to try it without."""
    from worker.jobs.process.worker_process import required_tokens

    try:
        settings.require(*required_tokens(settings, None if options.reads_segment else open_any_file))
    except ConfigurationError as error:
        without_keys = f"To try it without keys: {command('sync', '--sandbox')}"
        raise ConfigurationError(
            str(error), hint=f"{error.hint} The command `init` asks for them. {without_keys}"
        ) from None


@contextlib.asynccontextmanager
async def _in_memory(
    settings: Settings, options: SyncOptions, *, is_only_buyer: bool = True
) -> AsyncIterator[Connection]:
    opener = open_any_file if options.from_file else None
    async with embedded_client(settings, opener=opener, is_only_buyer=is_only_buyer) as client:
        yield Connection(client, own_syncs=set(), is_in_memory=True)


def _lock_memory(stack: contextlib.AsyncExitStack, directory: StateDirectory) -> None:
    """Lets one command without a server program run at a time. Raises StateBusy."""
    lock = keeper.acquire(str(directory.lock("memory")))
    if lock is None:
        raise StateBusy(
            "Another command of this user syncs with its state in memory. Nothing was started, because both would buy "
            "the same personas. Try again when it has ended"
        )
    stack.callback(os.close, lock)


def _memory_state_warning(settings: Settings, missing: NoServerProgram) -> str:
    return (
        f"{missing}. So the state of this sync is in memory and ends with this command: `resume`, `apply`, `history` "
        f"and the comparison with earlier syncs are not available, every persona is updated, and Mavera's list is "
        f"watched for {settings.mavera_settle_s:g} s before a purchase. {missing.hint}"
    )
