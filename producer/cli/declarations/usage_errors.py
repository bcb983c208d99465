"""Options whose values people write in several ways, and one sentence for each value that cannot be used.

Typer checks numbers and choices with pydantic or click, by its version, and shows their messages as they are; those of
pydantic are replaced here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

_CHOICES = re.compile(r"is not one of (.*?)\.?$")


class Group(TyperGroup):
    """A group of commands that explains malformed options in the words of this program."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = explain(error)
            raise


def explain(error: typer.BadParameter) -> str:
    """Returns what an option expects; the unchanged message if it is not an error of pydantic."""
    details = getattr(error.__cause__, "errors", None)
    if details is None:
        return error.message
    problem = details(include_url=False)[0]
    return _sentence(problem["type"], problem.get("ctx", {}), error.message)


def _sentence(kind: str, context: Mapping[str, Any], message: str) -> str:
    if choices := _CHOICES.search(message):
        return f"must be one of: {choices[1].replace(chr(39), '')}."
    if kind.startswith("int"):
        return "must be a whole number, such as 100."
    if kind.startswith(("float", "finite")):
        return "must be a number, such as 0.5 or 10."
    for name, words in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below")):
        if name in context:
            return f"must be {words} {context[name]:,}, such as {_inside(name, context[name])}."
    return message.removeprefix("Value error, ")


def _inside(bound: str, value: float) -> float:
    return {"gt": value + 1, "lt": value - 1}.get(bound, value)


def seconds_of(text: str | None) -> float:
    """Returns the seconds of `--timeout`; infinity without it. Raises ConfigurationError."""
    from worker.errors import ConfigurationError
    from worker.input_values import read_seconds

    if text is None:
        return float("inf")
    seconds = read_seconds(text)
    if not isinstance(seconds, float) or seconds < 0:
        raise ConfigurationError("--timeout: must be a time in seconds of at least 0, such as 90, 30m or 2h.")
    return seconds


def alert_after_of(text: str | None) -> float | None:
    """Returns the seconds of `--alert-after`; None without it. Raises ConfigurationError."""
    from worker.errors import ConfigurationError
    from worker.input_values import read_seconds

    if text is None:
        return None
    seconds = read_seconds(text)
    if not isinstance(seconds, float) or seconds < 3600:
        raise ConfigurationError("--alert-after: must be a time of at least an hour, such as 26h or 2d.")
    return seconds


def share_of(text: str | None) -> float | None:
    """Returns the share of `--sample`; None without it. Raises ConfigurationError."""
    from worker.errors import ConfigurationError
    from worker.input_values import read_share

    if text is None:
        return None
    share = read_share(text)
    if not isinstance(share, float) or not 0 < share < 1:
        raise ConfigurationError(
            "--sample: must be a share above 0 and below 1, such as 0.05 or 5%: one profile in twenty."
        )
    return share
