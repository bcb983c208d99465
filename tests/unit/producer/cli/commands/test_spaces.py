"""The file of spaces and accounts on the command line: checked with line and fix, and shown without secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from producer.cli.app import app
from worker.errors import ConfigurationError

FILE = """
[default]
rate = 20
[spaces.a]
token_file = "token"
account = "emea"
warehouse_url = "postgres://u:long-secret-word@h/d"
[accounts.emea]
api_key = "mvra_live_secret_key"
rate = 120
"""

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "spaces.toml"
    file.write_text(FILE)
    (tmp_path / "token").write_text("segment-secret-token")
    monkeypatch.setenv("SPACES_FILE", str(file))
    return file


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["spaces", *arguments])
    if isinstance(result.exception, ConfigurationError):  # which the program turns into exit code 2
        return 2, f"{result.output}{result.exception}"
    return result.exit_code, result.output


def test_a_good_file_is_valid_and_listed_without_secrets(path: Path) -> None:
    assert run("check")[0] == 0
    expected = {"ok": True, "spaces": ["a"], "accounts": ["emea"], "warnings": []}
    assert json.loads(run("check", str(path), "--json")[1]) == expected
    path.write_text(FILE.replace("rate = 120", 'base_url = "http://mavera.example"'))
    assert "accounts.emea.base_url: http://" in run("check")[1]
    path.write_text(FILE)
    code, out = run("list", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["spaces"][0] | {"base_url": 0} == {
        "space": "a",
        "account": "emea",
        "region": "us",
        "base_url": 0,
        "dialect": "auto",
        "rate": 20,
        "token": True,
        "warehouse": True,
    }
    emea = next(row for row in found["accounts"] if row["account"] == "emea")
    assert (emea["rate"], emea["key"], emea["records"]) == (120, True, "live.emea")
    assert "emea" in run("list")[1]
    assert "secret" not in out + run("list")[1]


def test_a_malformed_file_names_line_field_and_fix(path: Path) -> None:
    (path.parent / "token").unlink()
    code, out = run("check", "--json")
    (problem,) = json.loads(out)["problems"]
    assert code == 2
    assert (problem["line"], problem["field"]) == (5, "spaces.a.token_file")
    assert "Create the file" in problem["fix"]
    code, out = run("check")
    assert code == 2
    assert "line 5: spaces.a.token_file" in out
    assert run("list")[0] == 0  # what can be shown without the secret
    path.write_text("[spaces.a]\ntokn = 1\n")
    assert [run(*command)[0] for command in (("check",), ("list",))] == [2, 2]


def test_without_a_file_it_says_which_variable_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_FILE", raising=False)
    for command in ("check", "list"):
        code, out = run(command)
        assert code == 2
        assert "SPACES_FILE is not set" in out
