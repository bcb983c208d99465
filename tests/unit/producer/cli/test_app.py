"""The program itself: its version, what it imports, and what it starts. Nothing here reaches a Redis or an API."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import producer
from producer.cli import app
from producer.cli.declarations import sync_commands
from producer.cli.run_command import run_command
from producer.cli.sync_options import SyncOptions
from tests.support.processes.cli_in_process import run_in_process
from worker import clusters
from worker.models.request import SyncRequest

pytestmark = pytest.mark.usefixtures("bare_environment")


def test_the_version_is_that_of_the_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run_in_process(capsys, monkeypatch, "--version")
    assert code == 0
    assert re.fullmatch(r"segment-personas \d+\.\d+\.\d+\n", out)


def test_commands_and_workers_import_no_library_that_they_do_not_use() -> None:
    """DuckDB and sqlglot are loaded for the first file, and an HTTP client only where requests are sent."""
    unused = {
        "producer.cli.commands.syncs": {"aiohttp", "arq", "duckdb", "fakeredis", "sqlglot"},
        "worker.jobs.process.worker_process": {"duckdb", "fakeredis", "sqlglot", "typer"},
    }
    for module, libraries in unused.items():
        code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert libraries & set(done.stdout.split()) == set(), module


def test_the_options_defaults_are_those_of_the_request() -> None:
    asked = SyncRequest(space_id="spa_1")
    given = {name: parameter.default for name, parameter in inspect.signature(sync_commands.sync).parameters.items()}
    for options in (given, vars(SyncOptions())):
        assert {name: options[name] for name in ("max_profiles", "min_cluster_size", "mode", "max_credits")} == {
            "max_credits": asked.max_credits,
            "max_profiles": asked.max_profiles,
            "min_cluster_size": asked.min_cluster_size,
            "mode": asked.mode,
        }


RULES = str(Path(inspect.getfile(clusters)).parent / "rules" / "builtin" / "recipe.toml")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The processes that a command in this process starts."""
    found: list[object] = []

    class Recorder(subprocess.Popen[bytes]):
        def __init__(self, arguments: object, *rest: object, **options: object) -> None:
            found.append(arguments)
            raise FileNotFoundError

    monkeypatch.setattr(subprocess, "Popen", Recorder)
    return found


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("status", "syn_1"), "has no syncs yet"),
        (("cancel", "syn_1"), "has no syncs yet"),
        (("resume", "syn_1"), "has no syncs yet"),
        (("apply", "syn_1"), "has no syncs yet"),
        (("list",), "There are no syncs yet"),
        (("history", "spa_1"), "No complete sync of spa_1"),
        (("personas", "list"), "No persona is recorded"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_without_any_state_a_command_says_where_it_looked_and_starts_nothing(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    started: list[object],
    arguments: tuple[str, ...],
    fragment: str,
) -> None:
    home = tmp_path / "state"
    keys = {"SEGMENT_TOKEN": "t", "MAVERA_API_KEY": "k", "SEGMENT_SPACE_ID": "spa_1"}
    _, _, err = run_in_process(capsys, monkeypatch, *arguments, SEGMENT_PERSONAS_HOME=str(home), **keys)
    assert fragment in err
    assert str(home) in err
    assert not started
    assert not home.exists()


@pytest.mark.parametrize("arguments", [("--help",), ("sync", "--help"), ("clusters", "check", RULES), ("--version",)])
def test_help_and_the_check_of_clusters_start_no_server_where_there_is_state(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    started: list[object],
    arguments: tuple[str, ...],
) -> None:
    (tmp_path / "state" / "data").mkdir(parents=True)
    code, _, _ = run_in_process(capsys, monkeypatch, *arguments, SEGMENT_PERSONAS_HOME=str(tmp_path / "state"))
    assert code == 0
    assert not started
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["data"]


def test_a_follower_stopped_before_there_is_a_sync_ends() -> None:
    async def stopped(*_: object) -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(60)
        return 0

    assert run_command(stopped) == 130


def test_python_dash_m_runs_the_program_and_an_import_does_not() -> None:
    done = subprocess.run([sys.executable, "-m", "producer", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("segment-personas ")
    importlib.import_module("producer.__main__")


def test_what_the_front_door_exports_is_there_and_nothing_else() -> None:
    assert all(getattr(producer, name).__name__ == name for name in producer.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        producer.Nonsense  # noqa: B018


def test_a_defect_is_not_dressed_up_as_a_mistake_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(app, "app", broken)
    with pytest.raises(ZeroDivisionError):
        app.main()
