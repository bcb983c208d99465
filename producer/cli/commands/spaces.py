"""`segment-personas spaces`: checks and shows the spaces file, without requests to an API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from producer.cli.environment.command_settings import command_settings
from producer.cli.terminal import stderr, stdout
from worker.errors import ConfigurationError
from worker.jobs.space_directory import SpaceDirectory, open_spaces
from worker.jobs.store_factories import mavera_account
from worker.settings import Settings
from worker.spaces.mistakes import MalformedSpaces, Mistake
from worker.spaces.spaces_file import Fallbacks
from worker.spaces.watched_file import read_spaces


def check(file: str | None, *, json: bool) -> int:
    """Says whether a file and its secrets can be used, and if not why: 0 or 2."""
    settings, out = command_settings(stderr()), stdout()
    path = Path(file) if file else settings.spaces_file
    if path is None:
        raise ConfigurationError("SPACES_FILE is not set.", hint="Name a file: segment-personas spaces check FILE")
    try:
        found = read_spaces(path, fallbacks_of(settings))
    except MalformedSpaces as error:
        _show_mistakes(path, error.mistakes, json=json)
        return 2
    warnings = [found.unprotected_warning] if found.unprotected_warning else []
    if json:
        accounts = [*found.accounts]
        out.write_json({"ok": True, "spaces": [*found.spaces], "accounts": accounts, "warnings": warnings})
    else:
        for warning in warnings:
            stderr().print_text(f"{path}: {warning}", "yellow")
        out.print_text(f"{path} is valid: {found.summary}.")
    return 0


def fallbacks_of(settings: Settings) -> Fallbacks:
    """Returns what the environment has for spaces and accounts that say nothing themselves."""
    key = settings.mavera_api_key
    return Fallbacks(settings.segment_token is not None, key.get_secret_value() if key else "")


def show(*, json: bool) -> int:
    """Shows spaces and accounts as they are used, without secrets."""
    settings, out = command_settings(stderr()), stdout()
    settings.require("spaces_file")
    spaces = open_spaces(settings, needs_secrets=False)
    assert spaces is not None
    document = _document(spaces)
    if json:
        out.write_json(document)
    else:
        out.print_views(_table(document["spaces"], "space"), _table(document["accounts"], "account"))
    return 0


def _document(spaces: SpaceDirectory[Settings]) -> dict[str, list[dict[str, Any]]]:
    file = spaces.file.current()
    rows = []
    for space_id in file.spaces:
        settings = spaces.settings_of(space_id)
        rows.append(
            {
                "space": space_id,
                "account": file.account_of(space_id),
                "region": settings.segment_region,
                "base_url": settings.segment_base_url,
                "dialect": settings.segment_dialect,
                "rate": settings.segment_rate,
                "token": settings.segment_token is not None,
                "warehouse": spaces.warehouse_url(space_id) is not None,
            }
        )
    accounts = []
    for name in spaces.account_names():
        settings = spaces.settings_of_account(name)
        if name not in file.accounts and settings.mavera_api_key is None:
            continue  # the account default of a process without MAVERA_API_KEY
        accounts.append(
            {
                "account": name,
                "base_url": settings.mavera_base_url,
                "rate": settings.mavera_rate,
                "gap_s": settings.mavera_gap_s,
                "key": settings.mavera_api_key is not None,
                "records": mavera_account(settings) or None,
            }
        )
    return {"spaces": rows, "accounts": accounts}


def _show_mistakes(path: Path, mistakes: Sequence[Mistake], *, json: bool) -> None:
    if json:
        stdout().write_json({"ok": False, "problems": [asdict(mistake) for mistake in mistakes]})
        return
    for mistake in mistakes:
        stderr().print_text(f"{path}, {mistake}", "red")


def _table(rows: Sequence[Mapping[str, object]], first: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in rows[0] if rows else (first,):
        table.add_column(name.replace("_", " ").capitalize(), overflow="fold")
    for row in rows:
        table.add_row(*map(_shown, row.values()))
    return table


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)
