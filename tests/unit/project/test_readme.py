"""The README says what the program is: its tables are held against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from worker.clusters.rules.toml_file import parse_rules
from worker.settings import Settings

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
TESTS = {
    name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", path.read_text())
}


def test_every_setting_stands_in_the_table_with_its_default_and_meaning() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*)`)? ?\| (.*) \|$", README, re.MULTILINE)
    expected = []
    for name, field in Settings.model_fields.items():
        default = field.default
        text = "" if default is None else f"{default:g}" if isinstance(default, int | float) else str(default)
        expected.append((name.upper(), text, field.description))
    assert rows == expected


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", README))))
def test_every_test_that_the_readme_names_exists(name: str) -> None:
    assert name in TESTS


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([\w/.]+)\)", README))))
def test_every_file_that_the_readme_links_to_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
def test_every_clusters_file_that_the_readme_shows_is_well_formed(text: str) -> None:
    assert parse_rules(text).clusters
