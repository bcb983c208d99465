"""Checks Redis or the state directory, the workers, and the events of webhooks for `doctor`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from producer.cli.command_lines import command
from producer.cli.commands.doctor.findings import (
    Finding,
    judge_outbox,
    judge_redis,
)
from producer.cli.connect import open_pool
from producer.state.pool import directory_of
from producer.state.server import NoServerProgram
from producer.state.server_program import find_server_program
from worker.errors import ConfigurationError, StoreUnavailable
from worker.jobs.store_factories import mavera_account, worker_registry
from worker.settings import Settings
from worker.store.probe import check_store
from worker.store.webhooks.outbox_store import OutboxStore


async def check_redis(settings: Settings) -> AsyncIterator[Finding]:
    """Yields what is found about Redis or the state directory, the workers and the outbox."""
    found = "" if settings.redis_url is not None else _state_directory(settings)
    if isinstance(found, Finding):
        yield found
        return
    try:
        async with open_pool(settings) as pool:
            health = await check_store(pool)
            workers = worker_registry(pool, settings)
            outbox = await OutboxStore(pool, mavera_account(settings)).status()
            alive, all_alive = await workers.living_workers(), await workers.living_workers_of_all_accounts()
    except (StoreUnavailable, ConfigurationError) as error:
        yield Finding("fail", "Redis", str(error), error.hint, id="redis.connection")
        return
    if found:
        yield Finding("ok", "Redis", found, id="redis.connection")
        return
    for finding in judge_redis(health):
        yield finding
    for finding in judge_outbox(outbox, sends=settings.webhook_url is not None):
        yield finding
    if alive:
        names = ", ".join(worker.name for worker in alive)
        yield Finding("ok", "Workers", f"{len(alive)} alive: {names}", id="workers")
    else:
        found = "no worker is running, so syncs wait"
        if all_alive:
            found = (
                f"no worker of this Mavera account is running ({len(all_alive)} of other accounts are), so syncs wait"
            )
        yield Finding("warn", "Workers", found, f"Start one: {command('worker')}", id="workers")


def _state_directory(settings: Settings) -> Finding | str:
    """Returns what keeps the state without `REDIS_URL`, if it was used before; else a finding of what will. Creates
    nothing.
    """
    try:
        directory = directory_of(settings)
        has_state = directory.has_state
        directory.check_can_be_made()
        program = find_server_program(directory)
    except ConfigurationError as error:
        return Finding("fail", "Redis", str(error), error.hint, id="redis.connection")
    if program is None:
        missing = NoServerProgram()
        found = f"{missing}: a sync keeps its state in memory, and `resume`, `apply` and `history` are not available"
        return Finding("warn", "Redis", found, missing.hint, id="redis.connection")
    if has_state:
        return f"REDIS_URL is not set: {program} keeps the state of syncs in {directory.path}"
    found = f"REDIS_URL is not set: {program} will keep the state of syncs in {directory.path}"
    return Finding("ok", "Redis", found, id="redis.connection")
