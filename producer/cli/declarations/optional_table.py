"""`--from-warehouse [TABLE]`: an option whose value may be left out, which typer does not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

OPTION = "--from-warehouse"
_AUTO = "auto"


class SourceCommand(TyperCommand):
    """A command with `--from-warehouse`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments, with the table that `--from-warehouse` means if it names none."""
        return super().parse_args(ctx, with_table(args))


def with_table(words: Sequence[str]) -> list[str]:
    """Returns the words with a value for each `--from-warehouse` that has none.

    It has none at the end, before another option, and before a space.
    """
    found: list[str] = []
    for index, word in enumerate(words):
        if word == "--":
            return [*found, *words[index:]]
        following = words[index + 1] if index + 1 < len(words) else "-"
        found.append(f"{OPTION}={_AUTO}" if word == OPTION and following.startswith(("-", "spa_")) else word)
    return found
