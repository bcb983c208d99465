"""The Compose file, parsed."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML

from tests.support.project.docs import ROOT

COMPOSE: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
