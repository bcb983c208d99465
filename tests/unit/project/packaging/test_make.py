"""Runs the Makefile and `.ci/run` in a separate directory, with stand-ins for the programs that they call."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.support.project.commands import run
from tests.support.project.docs import ROOT
from tests.support.project.lock_files import BENCH_LOCK, INSTALLER_LOCK, PROGRAM_LOCK, TESTS_LOCK


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory with the Makefile and what it looks at, but without the program."""
    locks = [path.relative_to(ROOT) for path in (PROGRAM_LOCK, INSTALLER_LOCK, TESTS_LOCK, BENCH_LOCK)]
    for name in ("Makefile", "pyproject.toml", ".ci/run", *locks):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_make_alone_lists_every_target(checkout: Path) -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (checkout / "Makefile").read_text(), flags=re.MULTILINE)
    assert targets is not None
    listed = run("make", cwd=checkout).stdout
    assert [line.split()[1] for line in listed.splitlines()] == targets[1].split()


def test_an_old_python_is_named_together_with_the_way_out(checkout: Path) -> None:
    script(checkout / "old", 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi')
    made = run("make", "install", "PYTHON=./old", cwd=checkout)
    assert made.returncode == 2
    assert "needs Python 3.11 or newer; ./old is Python 3.9.2" in made.stderr
    assert "make install PYTHON=" in made.stderr


def test_a_python_without_venv_is_named_together_with_the_way_out(checkout: Path) -> None:
    script(checkout / "bare", 'case "$2" in *ensurepip*) exit 1;; esac')
    made = run("make", "install", "PYTHON=./bare", cwd=checkout)
    assert made.returncode == 2
    assert "apt-get install python3-venv" in made.stderr


@pytest.mark.parametrize("target", ["install", "demo", "test", "bench"])
def test_an_environment_is_left_alone_until_a_lock_file_changes(checkout: Path, target: str) -> None:
    stamps = {"test": [".tests-installed"], "bench": [".tests-installed", ".bench-installed"]}
    stamp = stamps.get(target, [".installed"])[-1]
    lock = {"test": TESTS_LOCK, "bench": BENCH_LOCK}.get(target, PROGRAM_LOCK).relative_to(ROOT)
    (checkout / ".venv").mkdir()
    for name in (".created", *stamps.get(target, [".installed"])):
        (checkout / ".venv" / name).touch()
    assert run("make", "--question", f".venv/{stamp}", cwd=checkout).returncode == 0
    assert "Installing" not in run("make", "--dry-run", target, cwd=checkout).stdout
    later = (checkout / ".venv" / stamp).stat().st_mtime + 10
    os.utime(checkout / lock, (later, later))
    assert run("make", "--question", f".venv/{stamp}", cwd=checkout).returncode == 1
    assert "Installing" in run("make", "--dry-run", target, cwd=checkout).stdout


@pytest.mark.parametrize(
    "missing", [[], ["redis-server"], ["chromium"]], ids=["complete", "without-redis", "without-a-browser"]
)
def test_the_gate_installs_what_the_machine_lacks_and_then_runs_make_test(checkout: Path, missing: list[str]) -> None:
    tools = checkout / "tools"
    tools.mkdir()
    for name in ("python3", "redis-server", "chromium", "make", "curl", "node", "apt-get"):
        if name not in missing:
            script(tools / name, f'echo {name} "$@" >> {checkout}/log')
    for name in ("bash", "dirname", "sh"):
        (tools / name).symlink_to(str(shutil.which(name)))
    gate = run(str(tools / "bash"), ".ci/run", cwd=checkout, path=str(tools))
    assert gate.returncode == 0, gate.stderr
    log = [line for line in (checkout / "log").read_text().splitlines() if not line.startswith("python3")]
    installs = [line for line in log if " install " in line]
    packages = {package for line in installs for package in line.split() if re.fullmatch("[a-z][a-z3-]+", package)}
    # libfaketime is looked for in the machine's own folders.
    assert packages - {"apt-get", "install", "libfaketime"} == set(missing)
    assert log[-1] == "make test"


def test_the_gate_can_be_executed() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
