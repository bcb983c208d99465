"""The built-in rules: the TOML files beside this module. `RECIPE` is the default."""

from collections.abc import Mapping
from functools import cache
from importlib import resources

from worker.clusters.rules.rules import Rules
from worker.clusters.rules.toml_file import parse_rules

BUILTIN_RULES: Mapping[str, str] = {
    file.name.removesuffix(".toml"): file.read_text("utf-8")
    for file in sorted(resources.files(__name__).iterdir(), key=lambda file: file.name)
    if file.name.endswith(".toml")
}
"""Text of each file by name."""


@cache
def load_builtin_rules(name: str) -> Rules:
    """Loads built-in rules by name. Raises KeyError if there are none of that name."""
    return parse_rules(BUILTIN_RULES[name])


RECIPE: Rules = load_builtin_rules("recipe")
"""The rules of the original recipe: four clusters by lifetime value, number of purchases and churn risk."""
