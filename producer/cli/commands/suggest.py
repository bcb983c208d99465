"""`segment-personas suggest`: reads a sample of a space and proposes a clusters file. It creates nothing.

What was found goes to standard error, the file to standard output, so that `> clusters.toml` keeps it.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeVar

from rich import box
from rich.table import Table
from rich.text import Text

from producer.cli.commands.doctor.findings import describe_api_error
from producer.cli.identifiers import check_space_id, missing_space_error
from producer.cli.input_files import check_file_names, describe_terminal_input
from producer.cli.request_pacer import RequestPacer, open_request_pacer
from producer.cli.space_settings import settings_of_space
from producer.cli.sync_options import read_columns
from producer.cli.terminal import Screen, stdout
from producer.embedded import DEMO_SPACE_ID, sandbox_settings
from worker.clusters.suggest.profiling import TraitCandidate
from worker.clusters.suggest.proposal import Suggestion, suggest
from worker.errors import ApiError, ConfigurationError, ResumableStop
from worker.http.client import new_session
from worker.jobs.api_factories import segment_source, warehouse_access
from worker.models.request import SyncRequest
from worker.models.warehouse import WarehouseColumns
from worker.printable import printable
from worker.segment import AutoSource, ProfileApi, Source
from worker.segment.export_file import FileSource, OpenFiles, is_of_one_process, open_any_file
from worker.segment.file_shards import EngineLimits, FileAccess, ShardEngine
from worker.segment.source import ATTEMPTS
from worker.segment.warehouse.profile_sample import read_profiles
from worker.segment.warehouse.table import find_named_table
from worker.settings import Dialect, Settings

T = TypeVar("T")

DEFAULT_PROFILES_OF_PAGES, DEFAULT_PROFILES_OF_REQUESTS = 2000, 200
"""Profiles to read where they come by the page, and where each costs a request."""

MAX_PAGES = 1000
"""Pages that are read at most, for a space may have very small ones."""


@dataclass(frozen=True)
class Sample:
    """The profiles that `suggest` reads.

    Attributes:
        files: The file to read instead of a space; at most one.
        table: The table of the warehouse to read instead; `auto`: one of the usual names.
        columns: Its columns, as `--columns` has them.
        profiles: How many profiles to read; None: 2,000, or 200 with profile-api.
    """

    space_id: str | None = None
    files: tuple[str, ...] = ()
    table: str | None = None
    columns: str | None = None
    profiles: int | None = None
    dialect: Dialect | None = None
    collection: Literal["users", "accounts"] = "users"
    sandbox: bool = False


async def run_suggest(settings: Settings, err: Screen, sample: Sample, *, json: bool) -> int:
    """Prints what a sample of a space holds, and a clusters file for it.

    Returns 1 if no trait of the sample can be used for clusters. Raises ConfigurationError with the reason.
    """
    if notice := describe_terminal_input(next(iter(sample.files), None)):
        err.print_text(notice)
    try:
        entries = await read_sample(settings, sample)
    except ApiError as error:
        message, hint = describe_api_error(error)
        raise ConfigurationError(message, hint=hint) from None
    found = suggest(entries, as_of=time.time())
    _show(found, err, json=json)
    return 0 if found.text else 1


async def read_sample(settings: Settings, sample: Sample) -> Sequence[object]:
    """Returns the profiles of a sample, with all their traits. Raises ApiError and ConfigurationError."""
    check_file_names([] if sample.space_id is None else [sample.space_id], sample.files)
    columns = read_columns(sample.table, sample.columns)
    if sample.table is not None:
        check_sources(sample)
        settings = settings_of_space(settings, sample.space_id or settings.segment_space_id)
        return await _read_table(settings, sample, sample.table, columns)
    if sample.files:
        file, access = sample.files[0], FileAccess(None, anywhere=True)
        if not (is_of_one_process(file) or access.is_pipe(file)):
            engine = ShardEngine(access, EngineLimits(settings.duckdb_memory, settings.threads))
            return await _first_entries(engine, file, sample.profiles or DEFAULT_PROFILES_OF_PAGES)
        with contextlib.closing(OpenFiles(open_any_file)) as files:
            return await _read(FileSource(files, sample.files[0]), sample.profiles, RequestPacer(math.inf))
    request = _request(settings, sample)
    if not sample.sandbox:
        settings = settings_of_space(settings, request.space_id)
    async with contextlib.AsyncExitStack() as stack:
        if sample.sandbox:
            settings = await stack.enter_async_context(sandbox_settings(settings, dialect=request.dialect))
        session = await stack.enter_async_context(new_session())
        # The sandbox has no rate limit that other programs share.
        pace = RequestPacer(settings.segment_rate)
        if not sample.sandbox:
            pace = await stack.enter_async_context(open_request_pacer(settings, request.space_id))
        source = segment_source(settings, session, request, every_trait=True, on_allowance=pace.observe_allowance)
        return await _read(source, sample.profiles, pace)


async def _first_entries(engine: ShardEngine, file: str, limit: int) -> Sequence[object]:
    """Returns the first `limit` profiles of the files that `file` means. Raises ApiError."""
    entries: list[object] = []
    for shard in await engine.list_shards(file):
        entries += await engine.entries(shard, limit - len(entries))
        if len(entries) >= limit:
            break
    return entries


def check_sources(sample: Sample) -> None:
    """Raises ConfigurationError if another source is named beside the warehouse, or an option that it does not have."""
    for given, name in ((sample.files, "--from-file"), (sample.sandbox, "--sandbox"), (sample.dialect, "--dialect")):
        if given:
            raise ConfigurationError(f"{name} cannot be used with --from-warehouse.", hint="Leave one of them out.")


async def _read_table(
    settings: Settings, sample: Sample, table: str, columns: WarehouseColumns | None
) -> Sequence[object]:
    """Some profiles of a table of the warehouse. Raises ApiError."""
    access = warehouse_access(settings, sample.space_id)
    engine = access.open()
    try:
        found = await find_named_table(engine, access.url, table)
        await engine.refuse_writer(found)
        return await read_profiles(
            engine,
            access.url,
            found,
            columns,
            limit=sample.profiles or DEFAULT_PROFILES_OF_PAGES,
            where=access.where,
        )
    finally:
        await engine.close()


def _request(settings: Settings, sample: Sample) -> SyncRequest:
    space_id = sample.space_id or (DEMO_SPACE_ID if sample.sandbox else settings.segment_space_id)
    if space_id is None:
        raise missing_space_error()
    return SyncRequest(
        space_id=check_space_id(space_id),
        dialect=sample.dialect or settings.segment_dialect,
        collection=sample.collection,
    )


async def _read(source: Source, limit: int | None, call: RequestPacer) -> Sequence[object]:
    """Returns the first `limit` profiles of a source; None: the usual number.

    Raises ApiError, also if the list breaks off before.
    """
    entries: list[object] = []
    cursor, listed = "", 0
    for number in range(1, MAX_PAGES + 1):
        for _ in range(ATTEMPTS):
            page = await call(lambda: source.fetch_page(cursor, number, listed))  # noqa: B023
            if not page.doubt:
                break
        limit = limit or _usual(source)
        listed += len(page.profiles)
        wanted = replace(page, profiles=page.profiles[: limit - len(entries)])
        entries += (await source.fetch_traits(wanted, number, call)).profiles
        if len(entries) >= limit:
            break
        if page.doubt:
            raise ResumableStop("listing_incomplete", page.doubt)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    return entries


def _usual(source: Source) -> int:
    """Returns how many profiles to read; known once its first page is read."""
    dialect = source.dialect if isinstance(source, AutoSource) else None
    return (
        DEFAULT_PROFILES_OF_REQUESTS
        if isinstance(source, ProfileApi) or dialect == "profile-api"
        else DEFAULT_PROFILES_OF_PAGES
    )


def _show(found: Suggestion, err: Screen, *, json: bool) -> None:
    out = stdout()
    if json:
        keys = [{name: value for name, value in asdict(one).items() if name not in _INNER} for one in found.survey.keys]
        out.write_json({"profiles": found.survey.profiles, "keys": keys, "file": found.text or None})
        return
    table = Table(box=box.ROUNDED)
    for title in ("Key", "Type", "Profiles", "Values"):
        table.add_column(title, overflow="fold", justify="right" if title == "Profiles" else "left")
    for one in found.survey.keys:
        share = f"{one.held / found.survey.profiles:.0%}"
        table.add_row(Text(printable(one.key)), one.type or "not usable", share, Text(printable(_values(one))))
    err.print_views(Text(f"{found.survey.profiles:,} profiles"), table)
    if found.text:
        out.write(found.text.rstrip("\n"))
    else:
        err.print_text("No usable traits were found in this sample. Define computed traits in Segment first.", "red")


_INNER = {"in_unit", "in_hundred"}


def _values(found: TraitCandidate) -> str:
    """Returns how the values of a key are spread."""
    if found.type is None:
        return found.remark
    if found.type == "boolean":
        return f"{found.words[0][1] / found.held:.0%} yes"
    if found.quantiles:
        low, _, median, _, high = (f"{value:,.12g}" for value in found.quantiles)
        unit = " days ago" if found.type == "date" else ""
        return f"10 % below {low}, half below {median}, 90 % below {high}{unit}"
    return ", ".join(f"{word} {count / found.held:.0%}" for word, count in found.words) or "too few to tell"
