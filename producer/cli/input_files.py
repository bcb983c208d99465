"""Files that the command line names: clusters files, and files of profiles.

After a shell has expanded `--from-file part-*`, all but the first file are among the space ids.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from worker.clusters import RECIPE, Rules
from worker.clusters.rules.builtin import BUILTIN_RULES
from worker.clusters.rules.toml_file import MAX_TEXT, MalformedRules, parse_rules
from worker.errors import ConfigurationError
from worker.settings import Settings

_DATA = re.compile(
    r"\.(json|jsonl|ndjson|csv|tsv|txt|parquet|avro|orc|xlsx?|gz|gzip|bz2|xz|zst|zstd|lz4|zip|tar|tgz|part)$", re.I
)
"""How names of data files end. No space id of Segment does."""


def chosen_rules(settings: Settings, file: str | None) -> Rules:
    """The rules of `file`, else of CLUSTERS_FILE, else the default ones.

    Raises ConfigurationError that says what is wrong with the file, line by line.
    """
    chosen = file or settings.clusters_file
    if chosen is None:
        return RECIPE
    source = "" if file else "CLUSTERS_FILE: "
    try:
        return parse_rules(read(chosen))
    except MalformedRules as error:
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        raise ConfigurationError(f"{source}{chosen} cannot be used:\n{lines}") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{source}{error}") from None


def read(file: str) -> str:
    """The text of a file, or of the one that ships under this name. Raises ConfigurationError."""
    if file in BUILTIN_RULES:
        return BUILTIN_RULES[file]
    try:
        with Path(file).open(encoding="utf-8") as lines:
            return lines.read(MAX_TEXT + 1)
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no file {file}, and no file of this name ships with the program ({', '.join(BUILTIN_RULES)} do)."
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not UTF-8 text.") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None


def check_names(arguments: Sequence[str], files: Sequence[str]) -> None:
    """Refuses names of files where they mean something else.

    Args:
        arguments: the space ids, as given.
        files: the values of `--from-file`, as given.

    Raises:
        ConfigurationError: for more than one file, or a space id that is the name of a file.
    """
    others = [*files[1:], *(name for name in arguments if _is_file(name, files))]
    if not others:
        return
    if not files:
        raise ConfigurationError(f"{others[0]} is a file, not a space: write --from-file {others[0]}.")
    raise ConfigurationError(
        f"--from-file reads one file, and {_listed(others)} would be another. Join them first, and read the result: "
        "awk 1 FILES > all.ndjson (of compressed files: zcat FILES | awk 1 > all.ndjson)."
    )


def _is_file(name: str, files: Sequence[str]) -> bool:
    if _DATA.search(name):
        return True
    # Shards may have no ending (`part-00001`), and files of workers need not be here.
    # A file may also be named after its space.
    others = [file for file in files if os.path.basename(file) != name]
    return any(_shape(name) == _shape(file) or os.path.isfile(name) for file in others)


def _shape(name: str) -> str:
    """A name without its numbers. Names without a number have none."""
    base = os.path.basename(name)
    return re.sub(r"\d+", "0", base) if re.search(r"\d", base) else f"={base}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"
