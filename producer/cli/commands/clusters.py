"""`segment-personas clusters`: checks and shows clusters files, without requests to an API."""

from __future__ import annotations

import json as standard_json
from collections.abc import Sequence
from dataclasses import asdict

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from producer.cli.environment.command_settings import command_settings
from producer.cli.terminal import stderr, stdout
from producer.rules_file import load_chosen_rules, read_rules_text
from worker.clusters import Rules
from worker.clusters.rules.toml_file import MalformedRules, parse_rules, schema
from worker.mavera.text.formatting import describe_condition, describe_trait_definition


def check(file: str, *, json: bool) -> int:
    """Says whether a file can be used, and if not why. Raises ConfigurationError if it cannot be read."""
    out = stdout()
    try:
        rules = parse_rules(read_rules_text(file))
    except MalformedRules as error:
        if json:
            out.write_json({"ok": False, "problems": [asdict(mistake) for mistake in error.mistakes]})
        else:
            err = stderr()
            for mistake in error.mistakes:
                err.print_text(f"{file}, {mistake}", "red")
        return 2
    if json:
        out.write_json({"ok": True, "name": rules.name, "clusters": rules.cluster_keys})
    else:
        out.print_text(f"{file} is valid: {_counted(rules)}.")
    return 0


def show(file: str | None, *, json: bool, toml: bool) -> int:
    """Shows the rules of a file, else those that a sync would use: in words, as JSON, or as the file itself."""
    settings, out = command_settings(stderr()), stdout()
    if toml:
        out.write(read_rules_text(file or settings.clusters_file or "recipe").rstrip("\n"))
        return 0
    rules = load_chosen_rules(settings, file)
    if json:
        out.write_json(rules.model_dump(mode="json", by_alias=True, exclude_none=True))
    else:
        out.print_views(*describe_rules(rules))
    return 0


def print_schema() -> int:
    """Prints the JSON Schema of such a file."""
    stdout().write(standard_json.dumps(schema(), indent=2))
    return 0


def describe_rules(rules: Rules) -> Sequence[RenderableType]:
    """Returns what is read, who counts and what decides, as tables."""
    traits = _table("Trait", "Called", "Read from", "Is")
    for trait in rules.traits:
        traits.add_row(trait.name, trait.label, ", ".join(trait.keys), describe_trait_definition(trait))
    adds_fields = any(cluster.persona for cluster in rules.clusters)
    clusters = _table("Cluster", "Called", "Who", *(["Fields of its persona"] if adds_fields else []))
    for cluster in rules.clusters:
        cells = [cluster.key, cluster.label, describe_condition(cluster.when, rules), ", ".join(cluster.persona)]
        clusters.add_row(*cells[: len(clusters.columns)])
    parts: list[RenderableType] = [Text(f"{rules.name}: {_counted(rules)}", "bold"), traits]
    if rules.filter is not None:
        parts.append(Text(f"Only profiles with: {describe_condition(rules.filter, rules)}"))
    return [*parts, clusters, Text("A profile belongs to the first cluster whose condition it meets.", "dim")]


def _counted(rules: Rules) -> str:
    return f"{_number(len(rules.traits), 'trait')}, {_number(len(rules.clusters), 'cluster')}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _table(*titles: str) -> Table:
    table = Table(box=box.ROUNDED)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table
