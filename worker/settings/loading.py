"""Reads the settings of this process from its environment, and says which variables are malformed or misspelt."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import ValidationError

from worker.environment import SettingProblem, Variables, read_variables, unknown_variables
from worker.errors import ConfigurationError
from worker.input_values import describe_problem
from worker.settings.settings import ClientConfig, Settings

Config = TypeVar("Config", bound=ClientConfig)

_CAPITALS = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b")


def load_settings(**overrides: object) -> Settings:
    """Returns the settings of this process; `overrides` win over the environment.

    Raises:
        ConfigurationError: Variables are malformed. It names each, and never its value: it may be a secret.
    """
    settings, problems = read_settings(**overrides)
    _refuse(problems)
    return settings


def read_settings(**overrides: object) -> tuple[Settings, list[SettingProblem]]:
    """Returns the settings of this process with defaults where they are malformed, and what is malformed."""
    names = Settings.model_fields
    return _validated(Settings, read_variables(os.environ, names, secret_settings()), overrides)


def load_client_config() -> ClientConfig:
    """Returns what a client needs of the environment; other variables are not looked at.

    Raises:
        ConfigurationError: Variables of these are malformed.
    """
    variables = read_variables(os.environ, ClientConfig.model_fields, secret_settings())
    if not {"mavera_api_key", "spaces_file"} & variables.values.keys():
        variables.values.pop("mavera_base_url", None)  # it tells accounts apart, and there is none
    config, problems = _validated(ClientConfig, variables, {})
    _refuse(problems)
    return config


def secret_settings() -> frozenset[str]:
    """Returns the settings whose value may also be in a file that `NAME_FILE` names."""
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    return frozenset(secret)


def unknown_settings(environ: Iterable[str] | None = None, *, only_misspelt: bool = False) -> list[str]:
    """Returns one sentence for each variable that looks like a misspelt setting.

    Args:
        environ: Names of variables; None: those of this process.
        only_misspelt: Leave out variables that merely begin as ours do, such as SEGMENT_WRITE_KEY.
    """
    names = os.environ if environ is None else environ
    return unknown_variables(names, Settings.model_fields, secret_settings(), only_misspelt=only_misspelt)


def _refuse(problems: list[SettingProblem]) -> None:
    if problems:
        raise ConfigurationError("Malformed setting: " + "; ".join(map(str, problems)))


def _validated(
    model: type[Config], variables: Variables, overrides: Mapping[str, object]
) -> tuple[Config, list[SettingProblem]]:
    """Returns the model from what can be used of the variables, and what cannot."""
    values: dict[str, object] = {**variables.values, **overrides}
    problems = [*variables.problems]
    while True:
        try:
            return model.model_validate(values), problems
        except ValidationError as error:
            unusable: set[str] = set()
            for problem in error.errors(include_input=False, include_url=False):
                sentence = describe_problem(model, problem)
                name = str(problem["loc"][0]) if problem["loc"] else ""
                problems.append(SettingProblem(variables.sources.get(name, name.upper()), sentence))
                unusable |= {name} if name else {one.lower() for one in _CAPITALS.findall(sentence)}
            kept = {name: value for name, value in values.items() if name not in unusable}
            if len(kept) == len(values):
                raise ConfigurationError("Malformed setting: " + "; ".join(map(str, problems))) from None
            values = kept
