"""The `state` commands: where the state is kept, and how it is moved or removed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

from producer.cli.command_lines import command
from producer.cli.connect import open_pool
from producer.cli.environment.env_file import write_private
from producer.cli.exit_codes import DONE, NOT_AGREED
from producer.cli.terminal import Screen, confirm, stdout
from producer.state.overview import DirectoryOverview, read_overview
from producer.state.pool import directory_of
from producer.state.reset import reset_directory
from producer.state.state_file import decode_state
from producer.state.transfer import MOST_SHOWN, describe_conflict, export_state, import_state
from worker.errors import ConfigurationError
from worker.settings import Settings
from worker.store import StorePool
from worker.store.transfer.state_copy import Merge, StateCopy

_AFTER_RESET = (
    "A reset removes the records of personas. The next sync looks for the personas at Mavera by their reference: those "
    "that it finds are updated once, also if nothing changed; one that Mavera does not list is bought again. History, "
    "drift and guards start again. Previews cannot be applied and syncs cannot be resumed any more."
)


async def where(settings: Settings, err: Screen, *, json: bool) -> int:
    """Shows the state directory, its server, and how much it holds."""
    directory = directory_of(settings)
    found = await read_overview(directory, prefix=settings.redis_prefix)
    used = settings.redis_url is None
    if json:
        counts = asdict(found.counts) if found.counts else dict.fromkeys(("personas", "claims", "syncs", "running"))
        program = asdict(found.program) if found.program else None
        stdout().write_json(
            {
                "directory": str(directory.path),
                "used": used,
                "has_state": found.has_state,
                "server": program,
                "server_running": found.running,
                "bytes": found.size_bytes,
                **counts,
            }
        )
        return DONE
    stdout().write("\n".join(_describe(str(directory.path), found)))
    if not used:
        err.print_text(
            "REDIS_URL is set, so commands keep the state in that Redis and do not use this directory.", "yellow"
        )
    return DONE


async def export(settings: Settings, err: Screen, file: str, *, directory: bool, force: bool) -> int:
    """Writes the state into a file."""
    path = Path(file)
    if not force and await asyncio.to_thread(path.exists):
        raise ConfigurationError(f"{file} exists already.", hint="Name another file, or replace it with `--force`.")
    async with _open(settings, directory=directory, creates=False) as pool:
        copy, text = await export_state(pool)
    await asyncio.to_thread(write_private, path, text)
    err.print_text(f"{_place(settings, directory=directory)}: {_amount(copy)} exported to {file}.")
    err.print_text("The file has no later syncs of that state. To import it where syncs will run:", "dim")
    err.print_text(f"  {command('state', 'import', file)}", "dim")
    return DONE


async def import_(settings: Settings, err: Screen, file: str, *, directory: bool, replace: bool, yes: bool) -> int:
    """Adds the state of a file."""
    try:
        raw = await asyncio.to_thread(Path(file).read_bytes)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None
    copy = decode_state(file, raw)
    place = _place(settings, directory=directory)
    async with _open(settings, directory=directory, creates=True) as pool:
        planned = await import_state(pool, copy, replace=replace, dry_run=True)
        for one in planned.conflicts[:MOST_SHOWN]:
            err.print_text(f"Will be replaced: {describe_conflict(one)}", "yellow")
        if not planned.changes:
            err.print_text(f"{place} already has everything in {file}. Nothing was changed.")
            return DONE
        question = f"Import {_amount(planned.changes)} into {place}?"
        if not yes and err.can_ask and not await confirm(err, question):
            return NOT_AGREED
        merged = await import_state(pool, copy, replace=replace)
    err.print_text(f"{place}: {_amount(merged.changes)} imported.")
    for sentence in _remarks(merged):
        err.print_text(sentence, "dim")
    return DONE


async def reset(settings: Settings, err: Screen, *, yes: bool) -> int:
    """Removes all state from the state directory."""
    directory = directory_of(settings)
    if not directory.has_state:
        err.print_text(f"{directory.path} has no state. Nothing was removed.")
        return DONE
    err.print_text(_AFTER_RESET)
    err.print_text(f"To keep the records: {command('state', 'export', 'FILE', '--directory')}", "dim")
    if not yes:
        if not err.can_ask:
            raise ConfigurationError(
                "`state reset` asks before it removes anything, and standard input is not a terminal.",
                hint="To remove the state without a question, add --yes.",
            )
        if not await confirm(err, f"Remove all state from {directory.path}?"):
            return NOT_AGREED
    await asyncio.to_thread(reset_directory, directory)
    err.print_text(f"All state was removed from {directory.path}. The personas at Mavera are unchanged.")
    return DONE


@contextlib.asynccontextmanager
async def _open(settings: Settings, *, directory: bool, creates: bool) -> AsyncIterator[StorePool]:
    chosen = settings.model_copy(update={"redis_url": None}) if directory else settings
    async with open_pool(chosen, creates=creates) as pool:
        yield pool


def _place(settings: Settings, *, directory: bool) -> str:
    if directory or settings.redis_url is None:
        return str(directory_of(settings).path)
    return "The Redis of REDIS_URL"


def _amount(copy: StateCopy) -> str:
    """Describes a copy: `3 records, 1 claim and 2 histories`."""
    records, claims, histories = len(copy.records), len(copy.claims), len(copy.histories)
    return (
        f"{records:,} {_noun(records, 'record')}, {claims:,} {_noun(claims, 'claim')} and "
        f"{histories:,} {_noun(histories, 'history', 'histories')}"
    )


def _noun(number: int, one: str, many: str = "") -> str:
    return one if number == 1 else many or f"{one}s"


def _remarks(merged: Merge) -> list[str]:
    remarks = []
    if merged.settled_claims:
        remarks.append(f"Left out: {merged.settled_claims:,} claims on personas that have a record.")
    if merged.changes.claims:
        remarks.append(
            "A claim is a purchase in doubt: before the next sync of its cluster buys, it waits MAVERA_SETTLE_S and "
            "looks for the persona at Mavera."
        )
    if merged.changes.records or merged.changes.claims:
        remarks.append("New personas are bought there only after MAVERA_SETTLE_S, in case the file is not the latest.")
    return remarks


def _describe(path: str, found: DirectoryOverview) -> list[str]:
    state = "running" if found.running else "not running; the next command starts it"
    server = f"{found.program}, {state}" if found.program else "none: no redis-server or valkey-server was found"
    lines = [f"Directory  {path}", f"Server     {server}"]
    if not found.has_state:
        return [*lines, "State      none yet", ""]
    lines.append(f"Size       {found.size_bytes / 1024:,.0f} KiB")
    if found.counts:
        counts = found.counts
        lines.append(
            f"State      {counts.personas:,} personas, {counts.claims:,} claims, {counts.syncs:,} syncs "
            f"({counts.running:,} not ended)"
        )
    else:
        lines.append("State      kept; counted only while the server runs")
    return [*lines, ""]
