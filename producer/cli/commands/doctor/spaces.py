"""Checks `SPACES_FILE` for `doctor`: the file, and the settings of one space or the key of each account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import aiohttp

from producer.cli.commands.doctor.findings import Finding, describe_api_error
from producer.cli.commands.doctor.mavera import check_account
from producer.cli.commands.spaces import fallbacks_of
from producer.cli.space_settings import settings_from
from worker.errors import ApiError, ConfigurationError
from worker.jobs.api_factories import mavera_client
from worker.jobs.space_directory import open_spaces
from worker.settings import Settings
from worker.spaces.mistakes import MalformedSpaces
from worker.spaces.watched_file import read_spaces

SUBJECT = "Spaces"


@dataclass(frozen=True)
class FoundSpaces:
    """The result of the check of the spaces file.

    Attributes:
        findings: About the file.
        settings: Those of the space that is checked; without one, those of the process.
        accounts: Without a space: name → settings of each account of the file.
    """

    findings: Sequence[Finding]
    settings: Settings
    accounts: Mapping[str, Settings] = field(default_factory=dict)


def check_spaces_file(settings: Settings, space_id: str | None) -> FoundSpaces:
    """Checks the file and its secrets, and looks up a space in it. Without `SPACES_FILE`, nothing is found."""
    path = settings.spaces_file
    if path is None:
        return FoundSpaces([], settings)
    try:
        found = read_spaces(path, fallbacks_of(settings))
        findings = [Finding("ok", SUBJECT, f"{path} is valid: {found.summary}", id="spaces.file")]
        if found.unprotected_warning:
            findings.append(Finding("warn", SUBJECT, found.unprotected_warning, id="spaces.tls"))
    except MalformedSpaces as error:
        findings = [
            Finding("fail", SUBJECT, f"{path}, {replace(mistake, fix='')}", mistake.fix, id=f"spaces.problem.{number}")
            for number, mistake in enumerate(error.mistakes, 1)
        ]
    try:
        spaces = open_spaces(settings, needs_secrets=False)
        assert spaces is not None
        if space_id is not None:
            return FoundSpaces(findings, settings_from(spaces, space_id))
        names = spaces.account_names()
        return FoundSpaces(findings, settings, {name: spaces.settings_of_account(name) for name in names})
    except ConfigurationError as error:
        if not findings or findings[0].verdict == "ok":
            findings.append(Finding("fail", SUBJECT, str(error), error.hint, id="spaces.space"))
        return FoundSpaces(findings, settings)


async def check_accounts(accounts: Mapping[str, Settings], session: aiohttp.ClientSession) -> AsyncIterator[Finding]:
    """Asks Mavera about each account whose key is known."""
    for name, settings in accounts.items():
        if settings.mavera_api_key is None:
            continue
        try:
            findings = await check_account(settings, mavera_client(settings, session))
        except ApiError as error:
            findings = [Finding("fail", "Mavera", *describe_api_error(error), id="mavera.access")]
        for finding in findings:
            yield replace(finding, found=f"account {name}: {finding.found}", id=f"{finding.id}.{name}")
