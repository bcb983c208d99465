"""Files of traits and clusters on the command line: checked, shown, and refused before anything is asked for."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from producer.cli import app
from producer.cli.sync_options import SyncOptions, build_requests
from producer.rules_file import load_chosen_rules
from worker.clusters import RECIPE
from worker.clusters.rules.builtin import BUILTIN_RULES
from worker.clusters.rules.toml_file import schema
from worker.errors import ConfigurationError
from worker.settings import Settings, load_settings

MINE = """\
name = "mine"
[[traits]]
name = "plan"
type = "category"
[[clusters]]
key = "paying"
when = { trait = "plan", in = ["pro", "team"] }
[[clusters]]
key = "rest"
persona.type = "B2B"
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The program in this process: exit code, standard output, standard error."""

    def program(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["segment-personas", *arguments])
        with pytest.raises(SystemExit) as end:
            app.main()
        assert isinstance(end.value.code, int)
        return end.value.code, *capsys.readouterr()

    return program


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


def test_a_good_file_is_confirmed(run: Run, mine: Path) -> None:
    assert run("clusters", "check", str(mine)) == (0, f"{mine} is valid: 1 trait, 2 clusters.\n", "")
    code, out, _ = run("clusters", "check", str(mine), "--json")
    assert (code, json.loads(out)) == (0, {"ok": True, "name": "mine", "clusters": ["paying", "rest"]})


def test_a_bad_file_is_reported_line_by_line(run: Run, mine: Path) -> None:
    mine.write_text(MINE.replace("in =", "gt =").replace('"category"', '"word"'))
    code, out, err = run("clusters", "check", str(mine))
    assert (code, out) == (2, "")
    assert f"{mine}, line 4: trait plan, type: it is one of" in err
    assert f"{mine}, line 7: cluster paying, when.gt: write a number" in err
    code, out, _ = run("clusters", "check", str(mine), "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (2, False)
    assert [(problem["line"], problem["field"]) for problem in found["problems"]] == [
        (4, "trait plan, type"),
        (7, "cluster paying, when.gt"),
    ]


@pytest.mark.parametrize("command", [("clusters", "check"), ("clusters", "show"), ("sync", "spa_1", "--clusters")])
def test_a_file_that_cannot_be_read_is_named(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe4'")
    for file, said in (
        (
            "nowhere.toml",
            "The file nowhere.toml does not exist, and no file of this name ships with the program (recipe",
        ),
        (str(tmp_path), f"{tmp_path} cannot be read: Is a directory."),
        (str(tmp_path / "latin.toml"), "is not UTF-8 text."),
    ):
        code, _, err = run(*command, file)
        assert code == 2
        assert said in err


def test_a_sync_with_a_bad_file_does_not_begin(run: Run, mine: Path) -> None:
    mine.write_text(MINE.replace("in =", "im ="))
    code, out, err = run("sync", "spa_1", "--sandbox", "--clusters", str(mine))
    assert (code, out) == (2, "")
    assert f"{mine} cannot be used:\n  line 7: cluster paying, when.im: this field does not exist" in err


def test_rules_are_shown_in_words(run: Run, mine: Path) -> None:
    _, out, _ = run("clusters", "show")
    assert "recipe: 5 traits, 4 clusters" in out
    assert "│ LTV > $500 and churn risk < 15% │" in out
    mine.write_text('filter = { trait = "plan", missing = false }\n' + MINE)
    _, out, _ = run("clusters", "show", str(mine))
    assert "Only profiles with: plan is present" in out
    assert '│ plan is "pro" or "team" │' in out
    assert "everyone else           │ type " in out


def test_rules_are_shown_as_json_with_everything_that_holds_by_default(run: Run) -> None:
    _, out, _ = run("clusters", "show", "--json")
    shown = json.loads(out)
    assert shown["clusters"][0]["label"] == "High Value"
    assert shown["traits"][0]["missing"] == 0


def test_a_shipped_file_is_printed_to_make_ones_own_of_it(run: Run, mine: Path) -> None:
    for name, text in BUILTIN_RULES.items():
        assert run("clusters", "show", name, "--toml")[1] == text
        assert run("clusters", "check", name)[0] == 0
    assert run("clusters", "show", "--toml")[1] == BUILTIN_RULES["recipe"]
    assert tomllib.loads(run("clusters", "show", str(mine), "--toml")[1])["name"] == "mine"


def test_the_schema_for_editors_is_printed(run: Run) -> None:
    assert json.loads(run("clusters", "schema")[1]) == schema()


def test_the_option_wins_over_the_setting_and_the_setting_over_the_default(mine: Path) -> None:
    assert load_chosen_rules(load_settings(), None) is RECIPE
    settings = load_settings(clusters_file=str(mine))
    assert load_chosen_rules(settings, None).name == "mine"
    assert load_chosen_rules(settings, "recipe") == RECIPE


def test_the_rules_of_the_file_travel_in_the_request(mine: Path) -> None:
    options = SyncOptions(space_ids=("a", "b"), clusters=str(mine))
    assert [request.rules.name for request in build_requests(load_settings(), options)] == ["mine", "mine"]
    with pytest.raises(ConfigurationError, match="nowhere"):
        build_requests(load_settings(), SyncOptions(space_ids=("a",), clusters="nowhere.toml"))
