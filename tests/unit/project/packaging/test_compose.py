"""The Compose file: valid by its schema; its services restart, keep their data, and have no rights to spare."""

from __future__ import annotations

import sys

import pytest

from tests.support.project.commands import run
from tests.support.project.compose import COMPOSE, SERVICES
from tests.support.project.dockerfile import dockerfile_stages
from tests.support.project.docs import ROOT
from worker.settings import Settings, secret_settings

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
