"""Asks for the Segment token, the space and the Mavera key, which a first sync needs, and checks each immediately.

The checks are those of `doctor`. A value that the environment or `.env` sets is checked first; at a terminal, the user
may type another one, and is asked again until Segment and Mavera accept it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from producer.cli.commands.doctor.findings import Finding, describe_api_error, finding_line
from producer.cli.commands.doctor.mavera import check_account
from producer.cli.commands.doctor.segment import judge_access, read_first_page
from producer.cli.commands.init.questions import Questions
from producer.cli.environment.command_settings import FoundSettings, settings_with
from producer.cli.environment.env_file import setting_of
from producer.cli.request_pacer import open_request_pacer
from producer.cli.terminal import Screen
from worker.environment import FILE_SUFFIX, read_variables, variables_of
from worker.errors import ApiError, ConfigurationError, InvalidRequest, Retry
from worker.http.client import new_session
from worker.jobs.api_factories import mavera_client
from worker.models.request import SyncRequest
from worker.settings import Settings, secret_settings

Check = Callable[[Settings], Coroutine[Any, Any, list[Finding]]]


@dataclass(frozen=True)
class Credential:
    """A setting that `init` asks for.

    Attributes:
        setting: Its name.
        title: What it is.
        where: Where the user finds it.
    """

    setting: str
    title: str
    where: str

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return self.setting.upper()

    @property
    def is_secret(self) -> bool:
        """Whether it must not be shown."""
        return self.setting in secret_settings()


TOKEN = Credential(
    "segment_token",
    "Segment access token",
    "In Segment, open Unify > Unify settings > API access, and create an access token of the space.",
)
SPACE = Credential("segment_space_id", "Segment space id", "The id is on the same page, and begins with spa_.")
KEY = Credential(
    "mavera_api_key",
    "Mavera API key",
    "In Mavera (app.mavera.io), open Settings > Developer > API Keys, and create a key. It begins with mvra_live_.",
)

CHECKED_WITH = ("segment_region", "segment_dialect", "segment_base_url", "mavera_base_url")
"""Settings that decide what the checks ask. Those that the environment sets are written beside the credentials."""


class Credentials:
    """The three credentials of a user, from the environment, from `.env`, or typed.

    Args:
        err: Where questions and findings go.
        found: The settings before the first question.
        questions: Asks at the terminal; None: nothing may be asked (`--yes`).
    """

    def __init__(self, err: Screen, found: FoundSettings, questions: Questions | None) -> None:
        self._err = err
        self._found = found
        self._questions = questions
        self._in_file = {setting for name in found.env_file.taken if (setting := setting_of(name))}
        self._typed: dict[str, str] = {}
        self._region_asked = False

    @property
    def settings(self) -> Settings:
        """The settings with what was typed."""
        return settings_with(self._typed)[0]

    @property
    def exported(self) -> tuple[str, ...]:
        """Variables of the environment that hide what was typed."""
        secrets = secret_settings()
        hiding = {variable for name in self._typed for variable in variables_of(name, secrets)}
        return tuple(name for name in os.environ if name.upper() in hiding and setting_of(name) not in self._in_file)

    def collect(self) -> Settings:
        """Asks for what is missing, and checks everything.

        Raises:
            ConfigurationError: Nothing may be asked, and a value is missing or refused.
            ApiError: Nothing may be asked, and Segment or Mavera refuses a value or cannot be reached.
        """
        if self._questions is None:
            self.settings.require(TOKEN.setting, SPACE.setting, KEY.setting)
        for credentials, check in (((TOKEN, SPACE), _check_segment), ((KEY,), _check_mavera)):
            for credential in credentials:
                self._obtain(credential)
            self._check_until_accepted(credentials, check)
        return self.settings

    def to_write(self) -> dict[str, str]:
        """Returns what `.env` does not set yet: by variable, what was typed or came from the environment."""
        names = (TOKEN.setting, SPACE.setting, KEY.setting, *CHECKED_WITH)
        from_environment = read_variables(os.environ, [*names], secret_settings()).values
        values = {}
        for name in names:
            if name in self._typed:
                values[name.upper()] = self._typed[name]
            elif name in from_environment and name not in self._in_file:
                file = self._secret_file(name)
                values[name.upper() + (FILE_SUFFIX if file else "")] = file or from_environment[name]
        return values

    def _obtain(self, credential: Credential) -> None:
        """Asks for a credential, unless the environment or a secret file has it."""
        if self._questions is None:
            return
        known = getattr(self.settings, credential.setting)
        if known and (credential.setting not in self._in_file or self._secret_file(credential.setting)):
            self._err.print_text(f"{credential.title}: {credential.variable} is set.")
            return
        self._err.print_text(f"\n{credential.where}")
        for problem in self._found.problems:
            if setting_of(problem.variable) == credential.setting:
                self._err.print_text(f"{problem}.", "yellow")
        kept = f"the value in {self._found.env_file.path}" if credential.is_secret else known
        self._ask(credential, keep=f"Enter keeps {kept}" if known else "")

    def _ask(self, credential: Credential, *, keep: str) -> None:
        """Asks until a well-formed value is typed.

        Args:
            credential: The setting to ask for.
            keep: What an empty answer means; if empty, the question is asked again.
        """
        assert self._questions is not None
        prompt = f"{credential.title}{f' [{keep}]' if keep else ''}: "
        while True:
            value = self._questions.ask(prompt, secret=credential.is_secret)
            if not value and keep:
                return
            problem = self._problem(credential, value) if value else ""
            if value and not problem:
                self._typed[credential.setting] = value
                return
            if problem:
                self._err.print_text(problem, "yellow")

    def _problem(self, credential: Credential, value: str) -> str:
        """Returns why a value cannot be used; empty if it can. It does not quote the value, which may be a misplaced
        secret.
        """
        settings, problems = settings_with({**self._typed, credential.setting: value})
        variables = variables_of(credential.setting, secret_settings())
        sentences = [problem.sentence for problem in problems if problem.variable in variables]
        if credential is SPACE and (settings.segment_token and value == settings.segment_token.get_secret_value()):
            sentences.append("this is the access token, not the id of the space")
        elif credential is SPACE and not _is_space_id(value):
            sentences.append("it has at most 128 ASCII letters, digits and characters of . _ ~ -")
        return f"{credential.title}: {'; '.join(sentences)}." if sentences else ""

    def _check_until_accepted(self, credentials: Sequence[Credential], check: Check) -> None:
        while True:
            error: ApiError | None = None
            try:
                findings = asyncio.run(check(self.settings))
            except ApiError as caught:
                if self._questions is None:
                    raise
                error = caught
                findings = [
                    Finding("fail", credentials[0].title.split()[0], *describe_api_error(error), id="init.access")
                ]
            for finding in findings:
                self._err.print_views(finding_line(finding))
            if error is None:
                return
            self._ask_again(credentials, error)

    def _ask_again(self, credentials: Sequence[Credential], error: ApiError) -> None:
        """Asks for what may have caused an error."""
        assert self._questions is not None
        if isinstance(error, Retry):
            self._questions.ask("Press Enter to try again, or Ctrl-C to stop: ")
            return
        if TOKEN in credentials and self._may_be_in_eu():
            self._region_asked = True
            if self._questions.confirm("Is the Segment workspace in the EU?", default=False):
                self._typed["segment_region"] = "eu"
                return
        for credential in credentials:
            if file := self._secret_file(credential.setting):
                raise ConfigurationError(
                    f"{credential.title}: it comes from {file}.", hint="Correct that file, and try again."
                )
            if credential is not SPACE or error.code != "segment_unauthorized":
                self._ask(credential, keep="Enter keeps it")

    def _may_be_in_eu(self) -> bool:
        settings = self.settings
        chosen = settings.segment_base_url or "segment_region" in settings.model_fields_set
        return not (chosen or self._region_asked)

    def _secret_file(self, name: str) -> str:
        """Returns the file that holds a secret setting; empty if it is not in a file."""
        if name not in secret_settings() or name in self._typed:
            return ""
        named = (os.environ.get(variable + FILE_SUFFIX, "") for variable in variables_of(name, ()))
        return next((os.path.abspath(file) for file in named if file), "")


async def _check_segment(settings: Settings) -> list[Finding]:
    space_id = settings.segment_space_id or ""
    if not _is_space_id(space_id):
        raise ConfigurationError(f"{SPACE.variable}: {space_id!r} is not a valid space id.", hint=SPACE.where)
    request = SyncRequest(space_id=space_id, dialect=settings.segment_dialect)
    async with new_session() as session, open_request_pacer(settings, space_id) as pace:
        finding = judge_access(settings, await read_first_page(settings, session, request, pace), space_id)
    if finding.verdict == "fail":  # no other value would help
        raise ConfigurationError(finding.found, hint=finding.advice)
    return [finding]


async def _check_mavera(settings: Settings) -> list[Finding]:
    async with new_session() as session:
        return await check_account(settings, mavera_client(settings, session))


def _is_space_id(text: str) -> bool:
    try:
        SyncRequest(space_id=text)
    except InvalidRequest:
        return False
    return True
