"""Checks the names of files that the command line takes.

After a shell has expanded `--from-file part-*`, all but the first file are among the space ids.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from worker.errors import ConfigurationError

_DATA = re.compile(
    r"\.(json|jsonl|ndjson|csv|tsv|txt|parquet|avro|orc|xlsx?|gz|gzip|bz2|xz|zst|zstd|lz4|zip|tar|tgz|part)$", re.I
)
"""How names of data files end. No space id of Segment does."""


def check_file_names(arguments: Sequence[str], files: Sequence[str]) -> None:
    """Refuses a second file, and names of files among the space ids.

    Args:
        arguments: The space ids, as given.
        files: The values of `--from-file`, as given.

    Raises:
        ConfigurationError: More than one file is named, or a space id is the name of a file.
    """
    others = [*files[1:], *(name for name in arguments if _is_file(name, files))]
    if not others:
        return
    if not files:
        raise ConfigurationError(f"{others[0]} is a file, not a space.", hint=f"Write --from-file {others[0]}.")
    raise ConfigurationError(
        f"--from-file takes one name; {_shortened(others)} cannot be given too.",
        hint="Name the directory, or put the pattern in quotes for the shell: --from-file 'part-*.csv'.",
    )


def describe_terminal_input(file: str | None) -> str:
    """Returns how to end the profiles that are typed or pasted; empty if they do not come from a terminal.

    Args:
        file: The value of `--from-file`.
    """
    if file != "-" or sys.stdin is None or not sys.stdin.isatty():
        return ""
    return "Reading profiles from this terminal, one JSON object a line. To end them: Ctrl-D on an empty line."


def _is_file(name: str, files: Sequence[str]) -> bool:
    if _DATA.search(name):
        return True
    # Shards may have no ending (`part-00001`), and files of workers need not be here.
    # A file may also be named after its space.
    others = [file for file in files if os.path.basename(file) != name]
    return any(_shape(name) == _shape(file) or os.path.isfile(name) for file in others)


def _shape(name: str) -> str:
    """Returns a name without its numbers. Names without a number have none."""
    base = os.path.basename(name)
    return re.sub(r"\d+", "0", base) if re.search(r"\d", base) else f"={base}"


def _shortened(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"
