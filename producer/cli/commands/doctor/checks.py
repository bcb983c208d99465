"""`segment-personas doctor`: checks everything that a sync needs, and creates nothing.

One page of Segment, some more where their times decide between strategies, and of Mavera one free list and the usage of
the account are all that it asks the APIs for. Each line says what was found and what to do about it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from producer.cli.command_lines import with_program_name
from producer.cli.commands.doctor.findings import (
    Finding,
    finding_document,
    finding_line,
    judge_env_file,
)
from producer.cli.commands.doctor.mavera import check_mavera
from producer.cli.commands.doctor.redis import check_redis
from producer.cli.commands.doctor.segment import check_segment
from producer.cli.commands.doctor.spaces import check_accounts, check_spaces_file
from producer.cli.commands.doctor.warehouse import NO_TABLE, TableChoice, check_warehouse
from producer.cli.environment.command_settings import FoundSettings, found_settings, misspelt_settings
from producer.cli.run_command import run_command
from producer.cli.sync_options import read_columns
from producer.cli.terminal import stdout
from producer.rules_file import load_chosen_rules
from worker.clusters import RECIPE, Rules
from worker.errors import ConfigurationError
from worker.http.client import new_session
from worker.settings import Settings


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
        space_id: The space to check.
        json: Whether to print one JSON document.
        clusters: The clusters file.
        table: The table of the warehouse to check instead of Segment.
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
        space_id: The space to check.
        json: Whether to print one JSON document.
        clusters: The clusters file.
        found: Where the settings came from, and what is malformed; None: nothing is known of that.
        source: The table to check instead of Segment.
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
        out.write_json({"ok": not failed, "findings": [*map(finding_document, findings)]})
    return int(failed)


async def _chain_findings(first: Sequence[Finding], others: AsyncIterator[Finding]) -> AsyncIterator[Finding]:
    for finding in first:
        yield finding
    async for finding in others:
        yield finding


def _judge_environment(found: FoundSettings) -> list[Finding]:
    """Returns what is malformed or misspelt in the environment and in `.env`, and what `.env` sets."""
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
        space_id: The space to check; None: that of the settings.
        rules: The clusters to check the space against.
        well_formed: Whether all settings are well-formed.
        source: The table to check instead of Segment.
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
    async for finding in check_redis(settings):
        yield finding
    async with new_session() as session:
        if source.table is None:
            async for finding in check_segment(settings, session, space_id, rules):
                yield finding
        if source.table is not None or settings.warehouse_url is not None:
            async for finding in check_warehouse(settings, space_id, rules, source):
                yield finding
        if spaces.accounts:
            async for finding in check_accounts(spaces.accounts, session):
                yield finding
            return
        async for finding in check_mavera(settings, session, space_id, rules):
            yield finding


def _check_settings(settings: Settings, needed: Sequence[str], *, well_formed: bool) -> Finding:
    missing = [name.upper() for name in needed if getattr(settings, name) is None]
    if missing:
        them = "it" if len(missing) == 1 else "them"
        # Without a shared Redis the worker runs in this process.
        hint = (
            f"Export {them} where the worker runs."
            if settings.redis_url
            else with_program_name("Run `segment-personas init`.")
        )
        return Finding("warn", "Settings", f"not set: {', '.join(missing)}", hint, id="settings.required")
    found = f"{'well-formed, and ' if well_formed else ''}every setting that a worker needs is set"
    return Finding("ok", "Settings", found, id="settings.required")
