"""The Kubernetes manifests: valid by schema, without root, and with the settings and secrets that the program reads."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from tests.support.project.kubernetes import FOLDER, KUSTOMIZATION, PODS, RESOURCES, documents
from worker.settings import Settings, secret_settings

OTHERS = ("kustomize.config.k8s.io/", "keda.sh/")
"""API groups that are not Kubernetes' own: their schemas are not checked."""
WORKER, API = PODS["segment-personas-worker"], PODS["segment-personas-api"]
CONFIG = {text.partition("=")[0] for text in KUSTOMIZATION["configMapGenerator"][0]["literals"]}


def named(kind: str) -> dict[str, dict[str, Any]]:
    """The resources of a kind by name."""
    return {one["metadata"]["name"]: one["spec"] for one in RESOURCES if one["kind"] == kind}


@pytest.mark.parametrize("version", ["1.30", "1.34"])
@pytest.mark.parametrize("path", sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.yaml")))
def test_a_manifest_is_valid(path: str, version: str) -> None:
    for document in documents(path):
        if not document["apiVersion"].startswith(OTHERS):
            kubernetes_validate.validate(document, version, strict=True)


def test_every_file_belongs_to_the_base_or_to_the_component() -> None:
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.yaml")}
    component = {"keda/kustomization.yaml", "keda/scaled-object.yaml"}
    assert files - component == {"kustomization.yaml", *KUSTOMIZATION["resources"]}


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_a_pod_runs_without_root_a_writable_disk_or_kubernetes_rights(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["terminationGracePeriodSeconds"] >= 15
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"].keys() == {"requests", "limits"}
        assert {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")} == {"/tmp"}


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_a_pod_reads_settings_of_the_program_and_secrets_by_reference(pod: dict[str, Any]) -> None:
    (container,) = pod["spec"]["containers"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    files = {f"{name.upper()}_FILE" for name in secret_settings()} | {"API_TOKENS_FILE"}
    assert variables.keys() <= files
    assert {name.lower() for name in CONFIG} <= Settings.model_fields.keys()
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    for path in variables.values():
        folder, _, name = path.rpartition("/")
        secret = volumes[mounts[folder]]["secret"]
        assert secret["secretName"] in {"segment-personas", "segment-personas-api-tokens"}
        assert name in [item["path"] for item in secret.get("items", [{"path": name}])]
    assert not {"SEGMENT_TOKEN_FILE"} & variables.keys() or pod is WORKER


def test_probes_ask_each_process_for_its_own_health() -> None:
    (worker,), (api,) = WORKER["spec"]["containers"], API["spec"]["containers"]
    probes = [worker[f"{name}Probe"]["exec"]["command"][-1] for name in ("liveness", "readiness")]
    assert probes == ["alive", "ready"]
    paths = [api[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "readiness")]
    assert paths == ["/healthz", "/readyz"]


def test_policies_budgets_and_the_service_select_the_pods() -> None:
    selectors = [
        *(spec["podSelector"]["matchLabels"] for spec in named("NetworkPolicy").values()),
        *(spec["selector"]["matchLabels"] for spec in named("PodDisruptionBudget").values()),
    ]
    labels = [pod["metadata"]["labels"] for pod in (API, WORKER)]
    assert sorted(map(str, selectors)) == sorted(map(str, 2 * labels))
    (service,) = named("Service").values()
    assert service["selector"] == API["metadata"]["labels"]
    ports = {one["name"] for pod in (API, WORKER) for one in pod["spec"]["containers"][0]["ports"]}
    assert {one["targetPort"] for one in service["ports"]} <= ports
    allowed = {
        port["port"] for spec in named("NetworkPolicy").values() for rule in spec["ingress"] for port in rule["ports"]
    }
    assert allowed == ports


def test_workers_are_scaled_by_a_metric_that_the_api_serves() -> None:
    scaled, authentication = documents("keda/scaled-object.yaml")
    (trigger,) = scaled["spec"]["triggers"]
    assert scaled["spec"]["scaleTargetRef"]["name"] in PODS
    assert scaled["spec"]["minReplicaCount"] >= 1  # schedules and lost syncs need a living worker
    assert trigger["metadata"]["valueLocation"] == "segment_personas_waiting_syncs"
    (service,) = named("Service")
    assert trigger["metadata"]["url"] == f"http://{service}/metrics"
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
