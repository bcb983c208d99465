"""The rules that ship with the program, as the TOML files beside this module. `RECIPE` are the default."""

from collections.abc import Mapping
from functools import cache
from importlib import resources

from worker.clusters.rules.rules import Rules
from worker.clusters.rules.toml_file import parse_rules

SHIPPED: Mapping[str, str] = {
    file.name.removesuffix(".toml"): file.read_text("utf-8")
    for file in sorted(resources.files("worker.clusters.rules").iterdir(), key=lambda file: file.name)
    if file.name.endswith(".toml")
}
"""Name → text of each file."""


@cache
def shipped(name: str) -> Rules:
    """The rules of a shipped file. Raises KeyError if there is none of that name."""
    return parse_rules(SHIPPED[name])


RECIPE: Rules = shipped("recipe")
"""The rules of the original recipe: four clusters from lifetime value, number of purchases and risk of churn."""
