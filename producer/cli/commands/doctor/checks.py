"""`segment-personas doctor`: looks at everything that a sync needs, and creates nothing.

One page of Segment, some more where their times decide between strategies, and of Mavera one free list and the usage of
the account are all that it asks the APIs for. Each line says what was found and what to do about it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict

import aiohttp

from producer.cli.command_lines import command, with_program_name
from producer.cli.commands.doctor.access_checks import check_account, judge_access, read_first_page
from producer.cli.commands.doctor.findings import (
    Finding,
    describe_api_error,
    finding_line,
    judge_env_file,
    judge_filter,
    judge_outbox,
    judge_personas,
    judge_redis,
    judge_strategy,
    judge_traits,
    measure_coverage,
)
from producer.cli.commands.doctor.spaces import check_accounts, check_spaces_file
from producer.cli.commands.doctor.warehouse import NO_TABLE, TableChoice, check_warehouse
from producer.cli.commands.segment_pacing import RequestPacer, open_request_pacer
from producer.cli.connect import open_pool
from producer.cli.environment.command_settings import FoundSettings, found_settings, misspelt_settings
from producer.cli.run_command import run_command
from producer.cli.sync_options import read_columns
from producer.cli.terminal import stdout
from producer.rules_file import load_chosen_rules
from producer.state.pool import directory_of
from producer.state.server import NoServerProgram
from producer.state.server_program import find_server_program
from worker.clusters import RECIPE, Rules
from worker.errors import ApiError, ConfigurationError, InvalidRequest, PersonasError, StoreUnavailable
from worker.http.client import new_session
from worker.jobs.api_factories import mavera_client, segment_source
from worker.jobs.personas.lookup.orphans import Owner, find_orphans
from worker.jobs.personas.lookup.persona_list import age_order, find_twins
from worker.jobs.store_factories import mavera_account, persona_store, worker_registry
from worker.mavera import MaveraClient, Persona, list_pages, make_reference
from worker.models.request import SyncRequest
from worker.settings import Settings
from worker.store import PersonaRecord
from worker.store.probe import check_store
from worker.store.webhooks.outbox_store import OutboxStore

PATIENCE_S = 3.0

MEASURED_PAGES = 3
"""Pages of either kind whose time is taken; their median counts."""


def run_doctor(
    space_id: str | None,
    *,
    json: bool,
    clusters: str | None = None,
    table: str | None = None,
    columns: str | None = None,
) -> int:
    """Runs the doctor with the settings of this process; a malformed one is a finding and stops no other check.

    Args:
        space_id: The space to look into.
        json: Whether to print one JSON document.
        clusters: The clusters file.
        table: The table of the warehouse to look into instead of Segment.
        columns: Its columns, as `--columns` has them.
    """
    found = found_settings()
    settings = found.settings

    async def run(*_: object) -> int:
        source = TableChoice(table, read_columns(table, columns))
        return await doctor(settings, space_id, json=json, clusters=clusters, found=found, source=source)

    return run_command(run, settings)


async def doctor(
    settings: Settings,
    space_id: str | None,
    *,
    json: bool,
    clusters: str | None = None,
    found: FoundSettings | None = None,
    source: TableChoice = NO_TABLE,
) -> int:
    """Prints each finding as it comes; returns 0, or 1 if one of them is a failure.

    Args:
        settings: What the checks go by; malformed settings have their defaults.
        space_id: The space to look into.
        json: Whether to print one JSON document.
        clusters: The clusters file.
        found: Where the settings came from, and what is malformed; None: nothing is known of that.
        source: The table to look into instead of Segment.
    """
    out, findings = stdout(), []
    found = found or FoundSettings(settings)
    before, rules = _judge_environment(found), RECIPE
    try:
        rules = load_chosen_rules(settings, clusters)
    except ConfigurationError as error:
        advice = "Correct the file or its name; until then, the default clusters are checked."
        before.append(Finding("fail", "Clusters", str(error), advice, id="clusters.file"))
    async for finding in _chain_findings(
        before, run_checks(settings, space_id, rules, well_formed=not found.problems, source=source)
    ):
        findings.append(finding)
        if not json:
            out.print_views(finding_line(finding))
    failed = any(finding.verdict == "fail" for finding in findings)
    if json:
        out.write_json({"ok": not failed, "findings": [{"id": finding.id, **asdict(finding)} for finding in findings]})
    return int(failed)


async def _chain_findings(first: Sequence[Finding], others: AsyncIterator[Finding]) -> AsyncIterator[Finding]:
    for finding in first:
        yield finding
    async for finding in others:
        yield finding


def _judge_environment(found: FoundSettings) -> list[Finding]:
    """What is malformed or misspelt in the environment and in `.env`, and what `.env` sets."""
    findings = []
    for number, problem in enumerate(found.problems, 1):
        name = problem.variable or f"combination.{number}"
        advice = f"Correct {problem.variable or 'one of them'}; until then, the default is checked."
        findings.append(Finding("fail", "Settings", str(problem), advice, id=f"settings.malformed.{name}"))
    if found.file_error:
        advice = f"{found.file_error.hint} Until then, only the environment is checked.".lstrip()
        findings.append(Finding("fail", "Settings", str(found.file_error), advice, id="settings.env_file"))
    for sentence in misspelt_settings(found.env_file):
        name = sentence.split(" ", 1)[0]
        findings.append(
            Finding("warn", "Settings", sentence, "Rename or remove the variable.", id=f"settings.unknown.{name}")
        )
    return [*findings, *judge_env_file(found.env_file)]


async def run_checks(
    settings: Settings,
    space_id: str | None,
    rules: Rules = RECIPE,
    *,
    well_formed: bool = True,
    source: TableChoice = NO_TABLE,
) -> AsyncIterator[Finding]:
    """Yields the finding of each check.

    Args:
        settings: The settings to check.
        space_id: The space to look into; None: that of the settings.
        rules: The clusters to check the space against.
        well_formed: Whether all settings are well-formed.
        source: The table to look into instead of Segment.
    """
    space_id = space_id or settings.segment_space_id
    spaces = check_spaces_file(settings, space_id)
    settings = spaces.settings
    for finding in spaces.findings:
        yield finding
    needed = (
        () if spaces.accounts else ("segment_token", "mavera_api_key") if source.table is None else ("mavera_api_key",)
    )
    yield _check_settings(settings, needed, well_formed=well_formed)
    if settings.unprotected_warning:
        yield Finding("warn", "Settings", settings.unprotected_warning, id="settings.tls")
    async for finding in _check_redis(settings):
        yield finding
    async with new_session() as session:
        if source.table is None:
            async for finding in _check_segment(settings, session, space_id, rules):
                yield finding
        if source.table is not None or settings.warehouse_url is not None:
            async for finding in check_warehouse(settings, space_id, rules, source):
                yield finding
        if spaces.accounts:
            async for finding in check_accounts(spaces.accounts, session):
                yield finding
            return
        async for finding in _check_mavera(settings, session, space_id, rules):
            yield finding


def _check_settings(settings: Settings, needed: Sequence[str], *, well_formed: bool) -> Finding:
    missing = [name.upper() for name in needed if getattr(settings, name) is None]
    if missing:
        return Finding(
            "warn",
            "Settings",
            f"not set: {', '.join(missing)}",
            f"Export {'it' if len(missing) == 1 else 'them'} where the worker runs.",
            id="settings.required",
        )
    found = f"{'well-formed, and ' if well_formed else ''}every setting that a worker needs is set"
    return Finding("ok", "Settings", found, id="settings.required")


async def _check_redis(settings: Settings) -> AsyncIterator[Finding]:
    found = "" if settings.redis_url is not None else _state_directory(settings)
    if isinstance(found, Finding):
        yield found
        return
    try:
        async with open_pool(settings) as pool:
            health = await check_store(pool)
            registry = worker_registry(pool, settings)
            outbox = await OutboxStore(pool, mavera_account(settings)).status()
            alive, all_alive = await registry.living_workers(), await registry.living_workers_of_all_accounts()
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
    """What keeps the state without `REDIS_URL`, if it was used before; else a finding of what will. Creates nothing."""
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


async def _check_segment(
    settings: Settings, session: aiohttp.ClientSession, space_id: str | None, rules: Rules
) -> AsyncIterator[Finding]:
    if settings.segment_token is None and (space_id is not None or settings.spaces_file is None):
        advice = with_program_name("Export a token that may read the space. `segment-personas init` asks for it.")
        yield Finding("fail", "Segment", "SEGMENT_TOKEN is not set", advice, id="segment.access")
        return
    if space_id is None:
        advice = "Give one (doctor SPACE_ID), or export SEGMENT_SPACE_ID."
        yield Finding("warn", "Segment", "no space id is given, so no space is checked", advice, id="segment.access")
        return
    try:
        request = SyncRequest(space_id=space_id, dialect=settings.segment_dialect, rules=rules)
    except InvalidRequest:
        found = f"{space_id!r} is not a valid space id"
        yield Finding("fail", "Segment", found, "Copy it from Segment: spa_…", id="segment.access")
        return
    async with open_request_pacer(settings, space_id) as pace:
        async for finding in _check_space(settings, session, request, pace):
            yield finding


async def _check_space(
    settings: Settings, session: aiohttp.ClientSession, request: SyncRequest, pace: RequestPacer
) -> AsyncIterator[Finding]:
    """What is in a space."""
    space_id, rules = request.space_id, request.rules
    try:
        first = await read_first_page(settings, session, request, pace)
    except ApiError as error:
        yield Finding("fail", "Segment", *describe_api_error(error), id="segment.access")
        return
    yield judge_access(settings, first, space_id)
    if first.page.doubt or not first.page.profiles:
        return
    profiles = first.profiles
    now = time.time()
    for finding in judge_traits(measure_coverage(profiles, rules, as_of=now), len(profiles), space_id):
        yield finding
    for finding in judge_filter(profiles, rules, as_of=now):
        yield finding
    if first.dialect == "inline" and first.has_usual_scheme and first.page.next_cursor is not None:
        yield await _compare_strategies(settings, session, request.model_copy(update={"dialect": "inline"}), pace)


async def _compare_strategies(
    settings: Settings, session: aiohttp.ClientSession, request: SyncRequest, pace: RequestPacer
) -> Finding:
    """Measures the first page of a space of several, with traits and without."""
    clock = asyncio.get_running_loop().time
    sources = [segment_source(settings, session, request, traits=traits) for traits in (True, False)]
    times: list[list[float]] = [[], []]
    lengths = [0, 0]
    try:
        for _ in range(MEASURED_PAGES):
            for kind, source in enumerate(sources):
                await pace.slot()
                asked_at = clock()
                lengths[kind] = len((await source.fetch_page("", 1)).profiles)
                times[kind].append(clock() - asked_at)
    except ApiError as error:
        return Finding("warn", "Strategy", *describe_api_error(error), id="strategy")
    if lengths[0] < lengths[1]:
        found = (
            f"a page has {lengths[0]} profiles with their traits and {lengths[1]} without, so fan-out cannot be used"
        )
        return Finding("ok", "Strategy", found, id="strategy")
    return judge_strategy(statistics.median(times[0]), statistics.median(times[1]), settings.segment_rate)


async def _check_mavera(
    settings: Settings, session: aiohttp.ClientSession, space_id: str | None, rules: Rules
) -> AsyncIterator[Finding]:
    if settings.mavera_api_key is None:
        advice = with_program_name("Export the key of your account. `segment-personas init` asks for it.")
        yield Finding("fail", "Mavera", "MAVERA_API_KEY is not set", advice, id="mavera.access")
        return
    client = mavera_client(settings, session)
    try:
        findings = await check_account(settings, client)
    except ApiError as error:
        yield Finding("fail", "Mavera", *describe_api_error(error), id="mavera.access")
        return
    for finding in findings:
        yield finding
    if space_id is not None:
        for finding in await _check_personas(settings, client, Owner(space_id, "users", rules.name), rules):
            yield finding


async def _check_personas(settings: Settings, client: MaveraClient, place: Owner, rules: Rules) -> list[Finding]:
    """Looks for personas of the space that are there twice, or that the rules leave behind."""
    family = make_reference(place.space_id, place.collection, place.rules, "").family
    listed: list[Persona] = []
    try:
        async for page in list_pages(client, family, lambda send: send()):
            listed += (one for one in page.personas if one.reference and one.reference.family == family)
        records = await _read_records(settings)
    except ApiError as error:
        return [Finding("warn", "Personas", *describe_api_error(error), id="personas.surplus")]
    found = {str(one.reference): one.id for one in sorted(listed, key=age_order, reverse=True)}
    return judge_personas(find_twins(listed), find_orphans(records, found, place, rules.cluster_keys), place)


async def _read_records(settings: Settings) -> dict[str, PersonaRecord]:
    """Returns the records in Redis; empty if Redis does not answer, which another finding reports."""
    try:
        async with open_pool(settings) as pool:
            return await persona_store(pool, settings).all_records()
    except PersonasError:
        return {}
