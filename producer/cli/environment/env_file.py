"""The `.env` file of the working directory: which file is read, what a command takes from it, and writing it.

Only settings of this program are taken, and only those that the environment does not set. `--env-file` or
SEGMENT_PERSONAS_ENV_FILE name another file; empty, they turn reading off. Workers in containers (`python -m worker`)
and `SyncClient` read no file.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
import tempfile
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from producer.cli.environment.env_text import MalformedLine, line_of, parse_env, with_values
from worker.environment import ENV_FILE_VARIABLE, FILE_SUFFIX, PREFIX, strip_value, variables_of
from worker.errors import ConfigurationError
from worker.settings import Settings, secret_settings

DEFAULT_FILE = ".env"
MAX_BYTES = 1 << 20

_HOW_TO_TURN_OFF = "To run without it, add --no-env-file before the command."


@dataclass(frozen=True)
class EnvFile:
    """The content of a `.env` file.

    Attributes:
        path: The file as it was named; None if no file was read.
        names: The variables that it sets, of all programs.
        taken: The variables of this program that a command takes from it.
        overridden: Those that it does not take, because the environment sets them.
        warning: What is wrong with the file's permissions; empty if nothing is.
    """

    path: Path | None = None
    names: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    overridden: tuple[str, ...] = ()
    warning: str = ""


NO_FILE = EnvFile()


def env_file_path(environ: Mapping[str, str]) -> Path | None:
    """Returns the file that commands read; None if reading is turned off. The default one need not exist."""
    name = environ.get(ENV_FILE_VARIABLE, DEFAULT_FILE)
    return Path(name) if name else None


def load_env_file(
    environ: MutableMapping[str, str], *, only_if_named: bool = False, may_be_missing: bool = False
) -> EnvFile:
    """Adds the settings of the file to the environment, except those that it sets, even to nothing.

    Args:
        environ: The environment; changed in place.
        only_if_named: Read a file only if an option or a variable names it.
        may_be_missing: Whether a file that is named need not exist.

    Raises:
        ConfigurationError: The file cannot be read. The message names file and line, and never a value.
    """
    path = env_file_path(environ)
    named = ENV_FILE_VARIABLE in environ
    if path is None or (only_if_named and not named):
        return NO_FILE
    if (not named and not _is_file(path)) or (may_be_missing and not path.exists()):
        return NO_FILE
    text, status = read_env_text(path, named=named)
    values = _values(path, text)
    taken, overridden = _settings_in(values, environ)
    environ.update({name.upper(): values[name] for name in taken})
    return EnvFile(path, tuple(values), taken, overridden, _warning(path, status, values))


def read_env_text(path: Path, *, named: bool) -> tuple[str, os.stat_result]:
    """Returns the text of a file, and what the system says about it.

    Args:
        path: The file.
        named: Whether the user named it. One that merely lies in the working directory must be the user's own: in a
            directory like /tmp, anyone could have put it there.

    Raises:
        ConfigurationError: It cannot be read, or belongs to another user.
    """
    try:
        with path.open("rb") as opened:
            status = os.fstat(opened.fileno())
            if not named and status.st_uid not in {0, os.geteuid()} and os.geteuid() != 0:
                raise ConfigurationError(
                    f"{path} belongs to another user, so it is not read.",
                    hint=f"If you trust it, add --env-file {path} before the command. {_HOW_TO_TURN_OFF}",
                )
            content = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this cannot be a file name"
        raise ConfigurationError(f"{path} cannot be read: {reason}.", hint=_HOW_TO_TURN_OFF) from None
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{path} has more than {MAX_BYTES:,} bytes, so it is not read.", hint=_HOW_TO_TURN_OFF)
    try:
        return content.decode(), status
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text.", hint=_HOW_TO_TURN_OFF) from None


@dataclass(frozen=True)
class Edit:
    """The changes that writing settings into a file would make.

    Attributes:
        before: The text of the file; None if it does not exist.
        after: The text with the settings. Other lines and comments are kept.
        replaced: The variables whose value would be another one.
        left: Settings that are not written, because the file already names a file for them, or the reverse.
    """

    before: str | None
    after: str
    replaced: tuple[str, ...]
    left: tuple[str, ...]


def plan_edit(path: Path, values: Mapping[str, str]) -> Edit:
    """Returns what writing `values` into a file would change. Nothing is written.

    Args:
        path: The file; it need not exist.
        values: Variable → value, by short names. A setting keeps the variable by which the file sets it
            (`SEGMENT_PERSONAS_SEGMENT_TOKEN`).

    Raises:
        ConfigurationError: The file cannot be read.
    """
    before = read_env_text(path, named=True)[0] if path.exists() else None
    present = {name.upper(): (name, value) for name, value in _values(path, before or "").items()}
    changed: dict[str, str] = {}
    replaced: list[str] = []
    left: list[str] = []
    for variable, value in values.items():
        other = variable.removesuffix(FILE_SUFFIX) if variable.endswith(FILE_SUFFIX) else variable + FILE_SUFFIX
        if any(present.get(name, ("", ""))[1] for name in (other, PREFIX + other)):
            left.append(variable)
            continue
        prefixed = PREFIX + variable
        name, old = present.get(prefixed) or present.get(variable) or (variable, "")
        if strip_value(old) == value:
            continue
        changed[name] = value
        if old:
            replaced.append(name)
    return Edit(before, with_values(before or "", changed), tuple(replaced), tuple(left))


def check_writable(path: Path) -> None:
    """Raises ConfigurationError if a file cannot be written, before anything is asked for it."""
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ConfigurationError(f"{path} cannot be written: the directory {folder} does not exist.")
    if path.exists() and not path.is_file():
        raise ConfigurationError(f"{path} is not a regular file, so it is not written.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"{path} cannot be written: the directory {folder} is not yours to change.")


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read. At every moment, the file is the old one or the new one.

    Raises:
        ConfigurationError: It cannot be written.
    """
    target = path.resolve()
    try:
        before = target.stat() if target.exists() else None
        number, name = tempfile.mkstemp(prefix=f"{target.name}.", dir=target.parent)  # O_EXCL and mode 0600
        try:
            with open(number, "w", encoding="utf-8", newline="") as file:
                if before is not None:
                    with contextlib.suppress(OSError):  # only root may give a file away
                        os.fchown(number, before.st_uid, before.st_gid)
                file.write(text)
                file.flush()
                os.fsync(number)
            if before is None:
                _move_to_new(name, target)
            else:
                os.replace(name, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None


def _move_to_new(name: str, target: Path) -> None:
    """Renames a file; unlike a rename, fails if the target has appeared meanwhile, where the file system can tell."""
    try:
        os.link(name, target)
    except PermissionError:  # a file system without hard links
        os.rename(name, target)


def _is_file(path: Path) -> bool:
    """Returns whether there is a file or a named pipe; a directory may be a virtual environment."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    except OSError:
        return True  # reading it says what is wrong
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode)


def _values(path: Path, text: str) -> dict[str, str]:
    """Returns the variables of a file that have a value. Raises ConfigurationError."""
    ours = set(_by_variable())
    values = {}
    try:
        for name, value in parse_env(text).items():
            if value is not None:
                values[name] = value
            elif name.upper() in ours:
                raise ConfigurationError(f"{path}, line {line_of(text, name)}: {name} has no = and no value.")
    except MalformedLine as error:
        raise ConfigurationError(
            f"{path}, line {error.line}: this is not NAME=value, or a quote is not closed.", hint=_HOW_TO_TURN_OFF
        ) from None
    for name, value in values.items():
        if "\0" in value and name.upper() in ours:
            raise ConfigurationError(f"{path}, line {line_of(text, name)}: the value of {name} has a NUL character.")
    return values


def _settings_in(values: Iterable[str], environ: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns which of the variables a command takes from a file, and which the environment overrides.

    A setting has several variables: one of them in the environment overrides all of them in the file.
    """
    by_variable = _by_variable()
    set_already = {by_variable.get(name.upper(), name.upper()) for name in environ}
    taken: list[str] = []
    overridden: list[str] = []
    for name in values:
        variable = name.upper()
        if variable == ENV_FILE_VARIABLE or not (variable in by_variable or variable.startswith(PREFIX)):
            continue
        (overridden if by_variable.get(variable, variable) in set_already else taken).append(name)
    return tuple(taken), tuple(overridden)


def setting_of(variable: str) -> str | None:
    """Returns the setting that a variable sets, by whatever name; None if it sets none."""
    return _by_variable().get(variable.upper())


def _by_variable() -> dict[str, str]:
    """Each variable that a setting may be read from → the setting."""
    secrets = secret_settings()
    return {variable: name for name in Settings.model_fields for variable in variables_of(name, secrets)}


def _warning(path: Path, status: os.stat_result, values: Mapping[str, str]) -> str:
    """Returns a sentence if others may read the secrets of a file."""
    secrets = {variable for name in secret_settings() for variable in variables_of(name, ())}
    if not status.st_mode & (stat.S_IRGRP | stat.S_IROTH) or not stat.S_ISREG(status.st_mode):
        return ""
    if not any(value and name.upper() in secrets for name, value in values.items()):
        return ""
    fix = f"chmod 600 {shlex.quote(str(path))}"
    return f"{path} holds secrets, and other users of this machine may read it. To keep them out:\n  {fix}"
