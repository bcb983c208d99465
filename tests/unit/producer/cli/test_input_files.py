"""Names of files among the arguments are recognised, and spaces are left alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from producer.cli.input_files import check_file_names, describe_terminal_input
from worker.errors import ConfigurationError


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["spa_1"], []),
        (["spa_1", "spa.2"], []),
        (["spa_1"], ["profiles.ndjson"]),
        (["spa_1"], ["/exports/spa_1"]),
        (["spa_1"], ["/exports/spa_1.ndjson.gz"]),
        ([], ["part-0.json"]),
        (["production"], ["-"]),
    ],
)
def test_spaces_and_one_file_are_what_they_are(arguments: list[str], files: list[str]) -> None:
    check_file_names(arguments, files)


def test_a_file_on_the_disk_is_not_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("export-a", "export-b"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigurationError, match="export-b cannot be given"):
        check_file_names(["export-b"], ["export-a"])


def test_profiles_from_a_terminal_are_announced_with_how_to_end_them(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()
    with open(master), open(slave) as terminal, open(os.devnull) as other:
        monkeypatch.setattr(sys, "stdin", terminal)
        assert "Ctrl-D" in describe_terminal_input("-")
        assert describe_terminal_input("profiles.ndjson") == ""
        assert describe_terminal_input(None) == ""
        monkeypatch.setattr(sys, "stdin", other)
        assert describe_terminal_input("-") == ""
    monkeypatch.setattr(sys, "stdin", None)
    assert describe_terminal_input("-") == ""
