"""Builds every command line that is printed for the user.

A printed command can be pasted: with the name by which the program was started, quoted for the shell, and with
the user's own arguments where a command is run again.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path

NAME = "segment-personas"


def program() -> str:
    """Returns what starts this program in the user's shell, with the options before the command.

    It is the program's name if the shell finds it, else its path.
    """
    path = Path(sys.argv[0])
    if path.name == "__main__.py" and path.parent.name == "producer":  # python -m producer
        path = Path(sys.executable).with_name(NAME)
    found = shutil.which(NAME)
    by_name = path.name != NAME or not path.exists() or (found and Path(found).samefile(path))
    return shlex.join([NAME if by_name else str(path), *_before_command(sys.argv[1:])])


def typed_arguments() -> list[str]:
    """Returns what the user typed, beginning with the command."""
    arguments = sys.argv[1:]
    return arguments[len(_before_command(arguments)) :]


def _before_command(arguments: Sequence[str]) -> list[str]:
    """Returns the options before the command which say where settings come from."""
    count = 0
    while count < len(arguments):
        if arguments[count] == "--env-file":
            count += 2
        elif arguments[count] == "--no-env-file" or arguments[count].startswith("--env-file="):
            count += 1
        else:
            break
    return list(arguments[:count])


_assignments: ContextVar[str] = ContextVar("_assignments", default="")


def without_redis_url() -> None:
    """Makes all commands that are printed later ignore `REDIS_URL`, as `--embedded` does."""
    from worker.environment import variables_of
    from worker.settings import secret_settings

    names = [name for name in variables_of("redis_url", secret_settings()) if os.environ.get(name)] or ["REDIS_URL"]
    _assignments.set("".join(f"{name}= " for name in names))


def command(*words: str) -> str:
    """Returns a command line of this program, for the shell."""
    return f"{_assignments.get()}{program()} {shlex.join(words)}"


def with_program_name(hint: str) -> str:
    """Returns a hint of the engine with the commands in backquotes as this program was started."""
    return hint.replace(f"`{NAME} ", f"`{program()} ")


def run_again(
    arguments: Sequence[str],
    *,
    name: str | None = None,
    accept: bool = False,
    allow_partial: bool = False,
    max_credits: int | None = None,
) -> str:
    """Returns the user's own command line once more.

    Args:
        arguments: What the user typed after the program's name, beginning with the name of a command.
        name: Another command in its place, such as `sync` instead of `preview`.
        accept: Whether to add `--accept`.
        allow_partial: Whether to add `--allow-partial`.
        max_credits: A budget instead of the one that was given, in credits.
    """
    words = [name or arguments[0], *arguments[1:]]
    tail = words[words.index("--") :] if "--" in words else []
    words = words[: len(words) - len(tail)]
    if words[0] != "preview":
        words = [word for word in words if word != "--exit-code"]
    if max_credits is not None:
        words = _without_value(words, "--max-credits")
        words += ["--max-credits", str(max_credits)]
    for wanted, flag in ((accept, "--accept"), (allow_partial, "--allow-partial")):
        if wanted and flag not in words:
            words.append(flag)
    return command(*words, *tail)


def _without_value(words: Sequence[str], option: str) -> list[str]:
    """Returns the words without an option and its value, in either form."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word == option:
            skip = True
        elif not word.startswith(f"{option}="):
            kept.append(word)
    return kept
