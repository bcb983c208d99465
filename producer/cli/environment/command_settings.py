"""Reads the settings of a command: from the environment, and from the `.env` file what the environment does not set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from producer.cli.environment.env_file import NO_FILE, EnvFile, load_env_file
from producer.cli.terminal import Screen
from worker.environment import SettingProblem
from worker.errors import ConfigurationError
from worker.settings import Settings, load_settings, read_settings, unknown_settings


@dataclass(frozen=True)
class FoundSettings:
    """Settings as far as they can be used, for commands that say what to correct.

    Attributes:
        settings: With defaults for what is malformed.
        problems: What is malformed.
        env_file: What came from the `.env` file.
        file_error: Why the file cannot be read; None if it can be read or does not exist.
    """

    settings: Settings
    problems: tuple[SettingProblem, ...] = ()
    env_file: EnvFile = NO_FILE
    file_error: ConfigurationError | None = None


def command_settings(err: Screen, *, uses_sandbox: bool = False) -> Settings:
    """Returns the settings of a command that needs all of them to be well-formed. Warns of misspelt ones.

    Args:
        err: Where warnings go.
        uses_sandbox: Whether the command uses the sandbox (`--sandbox`). It then reads a `.env` only if an option
            names one.

    Raises:
        ConfigurationError: A setting is malformed, or the file cannot be read.
    """
    env_file = load_env_file(os.environ, only_if_named=uses_sandbox)
    settings = load_settings()
    for sentence in filter(None, [*misspelt_settings(env_file), env_file.warning]):
        err.print_text(sentence, "yellow")
    return settings


def found_settings(*, may_be_missing: bool = False) -> FoundSettings:
    """Returns the settings as far as they can be used, and where they came from.

    Args:
        may_be_missing: As for `load_env_file`.
    """
    env_file, file_error = NO_FILE, None
    try:
        env_file = load_env_file(os.environ, may_be_missing=may_be_missing)
    except ConfigurationError as error:
        file_error = error
    settings, problems = read_settings()
    return FoundSettings(settings, tuple(problems), env_file, file_error)


def settings_with(values: Mapping[str, str]) -> tuple[Settings, list[SettingProblem]]:
    """Returns the settings as far as they can be used, with other values for some, by setting name; and what is
    malformed.
    """
    return read_settings(**values)


def misspelt_settings(env_file: EnvFile) -> list[str]:
    """Returns one sentence for each variable of the environment, and of the file, that looks like a misspelt setting.

    A file is shared with other programs: of it, only names that are close to one of ours are reported.
    """
    present = {name.upper() for name in os.environ}
    others = [*present, *env_file.names]
    in_file = [
        sentence
        for sentence in unknown_settings(others, only_misspelt=True)
        if sentence.split(" ", 1)[0] not in present
    ]
    return [*unknown_settings(), *(f"{sentence} (in {env_file.path})" for sentence in in_file)]
