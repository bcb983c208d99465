"""Finds the clusters file that a command means, and reads it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from worker.clusters import RECIPE, Rules
from worker.clusters.rules.builtin import BUILTIN_RULES, load_builtin_rules
from worker.clusters.rules.toml_file import MAX_TEXT, MalformedRules, parse_rules
from worker.errors import ConfigurationError
from worker.settings import Settings


def load_chosen_rules(settings: Settings, file: str | None) -> Rules:
    """Returns the rules of `file`, else of CLUSTERS_FILE, else the default ones.

    Raises ConfigurationError that says what is wrong with the file, line by line.
    """
    chosen = file or settings.clusters_file
    if chosen is None:
        return RECIPE
    source = "" if file else "CLUSTERS_FILE: "
    try:
        return parse_rules(read_rules_text(chosen))
    except MalformedRules as error:
        lines = "\n".join(f"  {mistake}" for mistake in error.mistakes)
        raise ConfigurationError(f"{source}{chosen} cannot be used:\n{lines}") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{source}{error}", hint=error.hint) from None


def present_rules(settings: Settings, name: str) -> Rules | None:
    """Returns the rules of this name that a sync from here would use; None if it would use others, and none ship."""
    rules = load_chosen_rules(settings, None)
    if rules.name == name:
        return rules
    return load_chosen_rules(settings, name) if name in BUILTIN_RULES else None


def cluster_labels(settings: Settings) -> dict[tuple[str, str], str]:
    """Returns the labels of clusters, as far as they are known here: by the name of the rules, and the key of the
    cluster.
    """
    known = [load_builtin_rules(name) for name in BUILTIN_RULES]
    with suppress(ConfigurationError):  # a file that cannot be used has no labels
        known.append(load_chosen_rules(settings, None))
    return {(rules.name, cluster.key): cluster.label for rules in known for cluster in rules.clusters}


def read_rules_text(file: str) -> str:
    """Returns the text of a file, or of the one that ships under this name. Raises ConfigurationError."""
    if file in BUILTIN_RULES:
        return BUILTIN_RULES[file]
    try:
        with Path(file).open(encoding="utf-8") as lines:
            return lines.read(MAX_TEXT + 1)
    except FileNotFoundError:
        raise ConfigurationError(
            f"The file {file} does not exist, and no file of this name ships with the program "
            f"({', '.join(BUILTIN_RULES)} do)."
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not UTF-8 text.") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None
