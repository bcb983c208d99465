"""Reads settings from environment variables; their values are checked later.

A setting `mavera_rate` is read from `MAVERA_RATE` or from `SEGMENT_PERSONAS_MAVERA_RATE`, which wins: in an environment
that several programs share, short names collide. A secret may also be in a file, named by the variable with `_FILE`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PREFIX = "SEGMENT_PERSONAS_"
FILE_SUFFIX = "_FILE"
MAX_FILE_BYTES = 65_536

ENV_FILE_VARIABLE = f"{PREFIX}ENV_FILE"
"""Names the file from which the command line reads further variables."""

_NO_SETTINGS = frozenset({ENV_FILE_VARIABLE, f"{PREFIX}HOME"})
"""Variables of this program that are read before its settings."""

_OUR_PREFIXES = (PREFIX, "SEGMENT_", "MAVERA_", "GUARD_", "PERSONA_")
_MAX_DISTANCE = 2
_QUOTES = "\"'"


@dataclass(frozen=True)
class SettingProblem:
    """A setting that cannot be used.

    Attributes:
        variable: The environment variable to correct; empty if several settings do not fit each other.
        sentence: What is wrong, without the value.
    """

    variable: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.sentence}" if self.variable else self.sentence


@dataclass(frozen=True)
class Variables:
    """The values of settings in the environment.

    Attributes:
        values: Setting name → text.
        sources: Setting name → the variable that its text came from.
        problems: Variables that cannot be read.
    """

    values: dict[str, str]
    sources: dict[str, str]
    problems: list[SettingProblem]


def read_variables(environ: Mapping[str, str], names: Iterable[str], secret_names: Collection[str]) -> Variables:
    """Reads the variables of `names`. Empty variables and files count as not set.

    Args:
        environ: The environment.
        names: Settings, in small letters.
        secret_names: Those of them that may be in a file.
    """
    found = Variables({}, {}, [])
    by_name = {name.upper(): value for name, value in environ.items()} | dict(environ)
    for name in names:
        for variable in (PREFIX + name.upper(), name.upper()):
            try:
                text = _read_one(by_name, variable, in_file=name in secret_names)
            except _Unreadable as error:
                found.problems.append(error.problem)
                break
            if text:
                found.values[name], found.sources[name] = text, variable
                break
    return found


def variables_of(name: str, secret_names: Collection[str]) -> tuple[str, ...]:
    """Every environment variable that a setting may be read from, the one that wins first."""
    plain = (PREFIX + name.upper(), name.upper())
    return (*plain, *(variable + FILE_SUFFIX for variable in plain)) if name in secret_names else plain


def unknown_variables(
    environ: Iterable[str], names: Iterable[str], secret_names: Collection[str], *, only_misspelt: bool = False
) -> list[str]:
    """Returns one sentence for each variable that looks like a setting of ours and is none.

    A variable looks like one if it has a prefix of ours, or is at most two letters away from a setting; from one
    without a prefix (`REDIS_URL`) only if that one is not set, since other programs have variables like it.

    Args:
        environ: Names of variables.
        names: Settings, in small letters.
        secret_names: Those of them that may be in a file.
        only_misspelt: Leave out variables that have a prefix of ours and are not close to a setting.
    """
    settings = {name.upper() for name in names}
    files = {f"{name.upper()}{FILE_SUFFIX}" for name in secret_names}
    known = settings | files | {PREFIX + name for name in settings | files} | _NO_SETTINGS
    present = {name.upper() for name in environ}
    sentences = []
    for variable in sorted(present - known):
        plain = variable.removeprefix(PREFIX)
        meant = _closest(plain, settings | files)
        ours = plain.startswith(_OUR_PREFIXES) or variable != plain or (meant or "").startswith(_OUR_PREFIXES)
        of_others = not ours and (meant is None or meant in present)
        if of_others or (only_misspelt and meant is None):
            continue
        advice = f"; did you mean {variable[: len(variable) - len(plain)]}{meant}?" if meant else ""
        sentences.append(f"{variable} is not a setting of segment-personas and has no effect{advice}")
    return sentences


def strip_value(text: str) -> str:
    """Returns the text without surrounding white space (a CR among it) and one pair of quotes."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in _QUOTES:
        text = text[1:-1].strip()
    return text


def read_secret_file(file: str) -> str:
    """Reads the text of a file that holds one secret, without surrounding white space and quotes.

    Raises:
        ValueError: The file cannot be read. The message says why, and does not contain its name.
    """
    try:
        with open(file, "rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this cannot be a file name"
        raise ValueError(f"the file cannot be read ({reason})") from None
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"the file has more than {MAX_FILE_BYTES:,} bytes")
    try:
        return strip_value(content.decode())
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text") from None


def file_identity(path: Path) -> tuple[int, ...]:
    """Returns what changes when a file does, also when another file takes its name; empty if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class _Unreadable(Exception):
    def __init__(self, variable: str, sentence: str) -> None:
        super().__init__(sentence)
        self.problem = SettingProblem(variable, sentence)


def _read_one(environ: Mapping[str, str], variable: str, *, in_file: bool) -> str:
    """Returns the text of a variable or of the file that `variable`_FILE names; empty if neither is set."""
    text = strip_value(environ.get(variable, ""))
    file_variable = variable + FILE_SUFFIX
    file = strip_value(environ.get(file_variable, "")) if in_file else ""
    if not file:
        return text
    try:
        from_file = read_secret_file(file)
    except ValueError as error:
        raise _Unreadable(file_variable, str(error)) from None
    if text and from_file:
        raise _Unreadable(variable, f"{variable} and {file_variable} are both set; keep one of them")
    return text or from_file


def _closest(variable: str, settings: Iterable[str]) -> str | None:
    """Returns the setting that a variable is at most `_MAX_DISTANCE` letters away from; None if there is none."""
    letters = set(variable)
    near = [
        (distance, name)
        for name in settings
        if abs(len(name) - len(variable)) <= _MAX_DISTANCE
        # One edit adds at most one letter to the set and removes one. This spares each start most of the distances.
        and len(letters.symmetric_difference(name)) <= 2 * _MAX_DISTANCE
        and (distance := edit_distance(variable, name)) <= _MAX_DISTANCE
    ]
    return min(near)[1] if near else None


def edit_distance(first: str, second: str) -> int:
    """Returns how many letters to insert, delete, replace or swap with their neighbour turn one text into the other."""
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, left in enumerate(first, 1):
        before, above, row = row, before, [i]
        for j, right in enumerate(second, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if above and i > 1 and j > 1 and left == second[j - 2] and first[i - 2] == right:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]
