"""Every command that a container of the Compose file or the Kubernetes manifests runs is one that the program has."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from producer.cli.app import app
from tests.support.project.compose import SERVICES
from tests.support.project.kubernetes import PODS
from tests.support.servers.redis_server import RedisServer, server_binary
from worker.__main__ import USAGE, main


def container_commands() -> dict[str, list[str]]:
    """The words after `segment-personas` of each container and health check."""
    found = {name: service["command"] for name, service in SERVICES.items() if "build" in service}
    for name, service in SERVICES.items():
        words = service.get("healthcheck", {}).get("test", [])
        if words[1:2] == ["segment-personas"]:
            found[f"{name} health"] = words[2:]
    for name, pod in PODS.items():
        (container,) = pod["spec"]["containers"]
        found[name] = container["args"]
    return found


COMMANDS = container_commands()
PROBES: list[list[str]] = [
    probe["exec"]["command"]
    for pod in PODS.values()
    for container in pod["spec"]["containers"]
    for probe in (container["livenessProbe"], container["readinessProbe"])
    if "exec" in probe
]


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_the_program_has_the_command_of_a_container(words: list[str]) -> None:
    done = CliRunner().invoke(app, [*words, "--help"])
    assert done.exit_code == 0, done.output
    assert "Usage" in done.output


@pytest.mark.parametrize("words", PROBES, ids=lambda words: words[-1])
def test_a_probe_is_a_check_of_the_worker(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert words[:3] == ["python", "-m", "worker"]
    main(words[3:])
    assert USAGE not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["redis", "demo-redis"])
def test_valkey_starts_with_the_options_of_the_compose_file(name: str, tmp_path: Path) -> None:
    command: list[Any] = SERVICES[name]["command"]
    assert command[0] == "valkey-server"
    server = RedisServer(tmp_path, *command[1:], kind="valkey")
    server.start()
    try:
        with server.client() as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("appendonly") == {"appendonly": command[command.index("--appendonly") + 1]}
    finally:
        server.kill()


def test_valkey_reads_the_header_of_a_file_that_redis_7_4_wrote(tmp_path: Path) -> None:
    binary, _ = server_binary("valkey")
    (tmp_path / "dump.rdb").write_bytes(b"REDIS0012\xff" + bytes(8))
    options = ["--port", "0", "--dir", str(tmp_path), "--save", ""]
    refused = subprocess.run([binary, *options, "--unixsocket", str(tmp_path / "s")], capture_output=True, timeout=60)
    assert b"RDB format version 12" in refused.stdout
    command = SERVICES["redis"]["command"]
    at = command.index("--rdb-version-check")
    server = RedisServer(tmp_path, *command[at : at + 2], "--appendonly", "no", "--rdbchecksum", "no", kind="valkey")
    server.start()
    server.kill()
