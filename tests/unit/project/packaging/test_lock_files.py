"""Every lock file is hashed, complete, within what pyproject.toml allows, and agrees with the others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.project.commands import run
from tests.support.project.docs import ROOT
from tests.support.project.lock_files import (
    BENCH_LOCK,
    EXTRAS_LOCKS,
    INSTALLER_LOCK,
    PROGRAM_LOCK,
    PYPROJECT,
    TESTS_LOCK,
    locked,
    needs,
    wanted,
)


def test_every_line_of_a_lock_file_is_a_pin_or_one_of_its_hashes() -> None:
    requirement = re.compile(r"[a-z0-9-]+==[^ ]+( ; [^\\]+)? \\")
    hashed = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
    for path in (PROGRAM_LOCK, INSTALLER_LOCK, TESTS_LOCK, BENCH_LOCK, *EXTRAS_LOCKS.values()):
        after_requirement = False
        for line in path.read_text().splitlines():
            is_hash = hashed.fullmatch(line) is not None
            assert is_hash or (requirement.fullmatch(line) and not after_requirement), (path, line)
            after_requirement = not is_hash
        assert not after_requirement, path


@pytest.mark.parametrize(
    ("path", "groups"),
    [(PROGRAM_LOCK, ["build"]), (TESTS_LOCK, ["build", "test"]), (BENCH_LOCK, ["bench"])],
    ids=["program", "tests", "bench"],
)
def test_a_lock_file_pins_every_dependency_to_a_version_that_pyproject_allows(path: Path, groups: list[str]) -> None:
    pins = locked(path)
    for requirement in wanted(*groups):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, f"{requirement}: run `make lock`"


def test_the_installer_is_pinned_to_a_version_that_pyproject_allows() -> None:
    (installer,) = map(Requirement, PYPROJECT["dependency-groups"]["installer"])
    assert locked(INSTALLER_LOCK)[installer.name] in installer.specifier, "run `make lock`"


def test_the_tests_run_on_the_very_versions_that_are_shipped() -> None:
    program, tests, everything = (locked(path) for path in (PROGRAM_LOCK, TESTS_LOCK, EXTRAS_LOCKS["all"]))
    assert program.items() < tests.items()
    assert program.items() < everything.items()
    for extra, path in EXTRAS_LOCKS.items():
        pins = locked(path)
        assert pins.items() <= everything.items(), extra
        assert {name: tests[name] for name in pins.keys() & tests.keys()}.items() <= pins.items(), extra


def test_what_the_benchmark_adds_leaves_every_version_as_the_tests_have_it() -> None:
    tests, bench = locked(TESTS_LOCK), locked(BENCH_LOCK)
    shared = tests.keys() & bench.keys()
    assert {name: bench[name] for name in shared} == {name: tests[name] for name in shared}


def test_the_gate_does_not_need_what_only_the_benchmark_measures() -> None:
    assert "dlt" in locked(BENCH_LOCK)
    assert not locked(TESTS_LOCK).keys() & {"dlt"}


def test_no_committed_file_names_a_package_registry() -> None:
    hosts = [
        ".".join(parts)
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "org"),
            ("deb", "debian", "org"),
            ("ghcr", "io"),
            ("docker", "io"),
        )
    ]
    options = ["-z", "--cached", "--others", "--exclude-standard"]
    listed = run("git", "-c", "safe.directory=*", "ls-files", *options, cwd=ROOT).stdout
    paths = [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]
    assert ROOT / "Dockerfile" in paths
    for path in paths:
        content = path.read_text(errors="replace")
        assert not [host for host in hosts if host in content], path


@pytest.mark.parametrize(
    ("path", "groups"), [(PROGRAM_LOCK, ["build"]), (TESTS_LOCK, ["build", "test"])], ids=["program", "tests"]
)
def test_a_lock_file_is_complete_since_pip_resolves_nothing(path: Path, groups: list[str]) -> None:
    assert needs(*(str(requirement) for requirement in wanted(*groups))) <= locked(path).keys()


def test_every_extra_has_a_lock_that_pins_what_it_names() -> None:
    extras: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]
    assert EXTRAS_LOCKS.keys() == {*extras, "all"}
    assert f"\nEXTRAS = {' '.join(sorted(extras))}\n" in (ROOT / "Makefile").read_text()
    for extra, names in extras.items():
        for requirement in map(Requirement, names):
            assert locked(EXTRAS_LOCKS[extra])[canonicalize_name(requirement.name)] in requirement.specifier, extra


@pytest.mark.parametrize("extra", ["object-storage", "otel", "postgres"])  # the tests have these installed
def test_the_lock_of_an_extra_is_complete(extra: str) -> None:
    names = PYPROJECT["project"]["optional-dependencies"][extra]
    assert needs(*names, *map(str, wanted())) <= locked(EXTRAS_LOCKS[extra]).keys()
