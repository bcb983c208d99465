"""The Dockerfile: a pinned base, hashed wheels only, no privileges, and no more than the program needs."""

from __future__ import annotations

import re

from tests.support.project.dockerfile import dockerfile_stages
from tests.support.project.docs import ROOT
from tests.support.project.lock_files import PYPROJECT, needs, wanted


def test_lock_files_are_installed_without_resolving_versions() -> None:
    recipes = (ROOT / "Makefile").read_text() + (ROOT / "Dockerfile").read_text()
    installs = re.findall(r"install (.*--requirement \S*requirements\S*\.lock)", recipes)
    assert len(installs) == 4
    assert all("--no-deps --require-hashes" in options for options in installs)


def test_both_stages_of_the_image_start_from_the_same_pinned_slim_python() -> None:
    bases = [dict(stage)["FROM"].split()[0] for stage in dockerfile_stages()]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])


def test_the_image_installs_only_hashed_wheels_from_the_lock_file() -> None:
    build, final = dockerfile_stages()
    installs = [arguments for name, arguments in build if name == "RUN" and " install " in arguments]
    assert len(installs) == 3
    locks = ("requirements.lock", '"locks/$extra.lock"')
    for command, lock in zip((installs[0], installs[2]), locks, strict=True):
        assert f"--only-binary :all: --no-deps --require-hashes --requirement {lock}" in command
    assert "for extra in $(echo \"$EXTRAS\" | tr , ' '); do" in installs[2]
    assert "pip --python /opt/segment-personas/bin/python check" in installs[2]
    assert "--no-deps --no-build-isolation ." in installs[1]
    assert not [arguments for name, arguments in final if "install" in arguments or "apt" in arguments]


def test_the_image_runs_without_privileges_and_stops_on_sigterm() -> None:
    final = dict(dockerfile_stages()[-1])
    uid = final["USER"].split(":")[0]
    assert int(uid) > 0
    assert "PYTHONUNBUFFERED=1" in final["ENV"]
    assert final["STOPSIGNAL"] == "SIGTERM"
    assert final["ENTRYPOINT"] == '["segment-personas"]'
    assert final["CMD"] == '["worker"]'


def test_the_image_sheds_the_build_backend_and_nothing_that_the_program_needs() -> None:
    (run,) = (arguments for name, arguments in dockerfile_stages()[0] if name == "RUN" and " uninstall " in arguments)
    removed = set(run.split(" uninstall --yes ")[1].split(" && ")[0].split())
    program = needs(*(str(requirement) for requirement in wanted()))
    assert removed == needs(*PYPROJECT["dependency-groups"]["build"]) - program


def test_the_build_context_holds_what_the_image_copies_and_no_secrets() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    copied = {
        source for name, arguments in dockerfile_stages()[0] if name == "COPY" for source in arguments.split()[:-1]
    }
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
