"""The Kubernetes manifests, parsed."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML

from tests.support.project.docs import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"


def documents(name: str) -> list[dict[str, Any]]:
    """The documents of one file."""
    return list(YAML(typ="safe").load_all(FOLDER / name))


KUSTOMIZATION = documents("kustomization.yaml")[0]
RESOURCES = [document for name in KUSTOMIZATION["resources"] for document in documents(name)]
PODS = {one["metadata"]["name"]: one["spec"]["template"] for one in RESOURCES if one["kind"] == "Deployment"}
