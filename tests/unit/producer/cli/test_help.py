"""Help: every command, option and exit code is explained, at once and without starting anything."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import typer.main
from typer.testing import CliRunner

from producer.cli import app

pytestmark = pytest.mark.usefixtures("bare_environment")

COMMANDS = (
    *("sync", "preview", "apply", "status", "list", "history", "cancel", "resume"),
    *("worker", "init", "doctor", "sandbox", "suggest"),
)


def test_help_lists_every_command_and_the_exit_codes() -> None:
    result = CliRunner().invoke(app.app, ["--help"])
    assert result.exit_code == 0
    assert all(f"│ {command} " in result.output for command in (*COMMANDS, "clusters", "state"))
    assert all(f" {code} " in " ".join(result.output.split()) for code in (0, 1, 2, 3, 4, 130))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_a_sentence_for_each_option(command: str) -> None:
    result = CliRunner().invoke(app.app, [command, "--help"])
    assert result.exit_code == 0
    for parameter in typer.main.get_command(app.app).commands[command].params:  # type: ignore[attr-defined]
        if parameter.param_type_name == "option":
            assert re.search(rf"{parameter.opts[0]} .*\w+ \w+", result.output), parameter.name


@pytest.mark.parametrize("arguments", [("--help",), ("sync", "-h"), ("doctor", "--help"), ("clusters", "--help"), ()])
def test_help_imports_no_heavy_module(arguments: tuple[str, ...]) -> None:
    """Pydantic is not in the list: typer itself imports it for the help of a command."""
    shown_at_the_end = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    code = f"{shown_at_the_end}; from producer.cli import app; app.main()"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert "Usage: segment-personas" in done.stdout
    imported = {name.partition(".")[0] for name in done.stderr.split()}
    assert "typer" in imported
    assert imported.isdisjoint({"aiohttp", "arq", "fakeredis", "orjson", "redis", "worker"})


def test_the_command_line_imports_nothing_but_typer_before_a_command_runs() -> None:
    code = "import sys, producer.cli.app; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    heavy = {"aiohttp", "arq", "asyncio", "fakeredis", "orjson", "pydantic", "redis", "rich", "worker"}
    assert heavy & set(done.stdout.split()) == set()


def test_help_has_panels_examples_and_exit_codes() -> None:
    top, of_sync, of_preview = (
        CliRunner().invoke(app.app, [*words, "--help"]).output for words in ((), ("sync",), ("preview",))
    )
    assert all(f"─ {panel} ─" in top for panel in ("Run", "Inspect", "Control", "Set up", "Serve"))
    assert "--install-completion" in top
    for shown in (of_sync, of_preview):
        assert all(f"─ {panel} ─" in shown for panel in ("Scope", "Source", "Budget", "Output"))
        assert "Examples:" in shown
    assert "--exit-code" in of_preview
    assert "--exit-code" not in of_sync
    assert "--yes" not in of_preview


@pytest.mark.parametrize(
    "command", [(name,) for name in COMMANDS] + [("personas", "list"), ("clusters", "check"), ("state", "reset")]
)
def test_the_exit_codes_are_at_the_foot_of_every_help(command: tuple[str, ...]) -> None:
    shown = " ".join(CliRunner().invoke(app.app, [*command, "--help"]).output.split())
    assert "Exit codes: 0 completed" in shown
    assert "4 try later" in shown
