"""The lock files, and what pyproject.toml and the installed packages ask for."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.project.docs import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROGRAM_LOCK = ROOT / "requirements.lock"
EXTRAS_LOCKS = {path.stem: path for path in sorted((ROOT / "deploy" / "locks").glob("*.lock"))}
TESTS_LOCK = ROOT / "tests" / "requirements.lock"
INSTALLER_LOCK = ROOT / "tests" / "installer.lock"
BENCH_LOCK = ROOT / "tests" / "bench" / "requirements.lock"


def locked(path: Path) -> dict[str, str]:
    """Name to version, for every requirement of a lock file."""
    pins = re.findall(r"^([a-z0-9-]+)==([^ ]+)(?: ;[^\\]+)? \\$", path.read_text(), flags=re.MULTILINE)
    return dict(pins)


def wanted(*groups: str) -> list[Requirement]:
    """What pyproject.toml asks for: the program's dependencies and those of `groups`."""
    names = [*PYPROJECT["project"]["dependencies"]]
    for group in groups:
        names += PYPROJECT["dependency-groups"][group]
    return [Requirement(name) for name in names]


def needs(*names: str) -> set[str]:
    """Everything that the installed packages `names` need at run time, themselves included."""
    found: set[str] = set()
    todo = [Requirement(name) for name in names]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        found.add(name)
        extras = requirement.extras or {""}
        for text in metadata.requires(name) or []:
            child = Requirement(text)
            applies = child.marker is None or any(child.marker.evaluate({"extra": extra}) for extra in extras)
            if applies and canonicalize_name(child.name) not in found:
                todo.append(child)
    return found
