"""What `from producer import SyncClient` loads: a host application pays for nothing that enqueueing does not need."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("aiohttp", "arq", "duckdb", "fakeredis", "rich", "sqlglot", "typer")
NOT_FOR_CLIENTS = (
    "worker.http.client",
    "worker.jobs.arq_worker",
    "worker.jobs.services",
    "worker.mavera",
    "worker.segment",
    "producer.cli",
    "producer.sandbox",
)
MOST_OF_OURS = 93
"""Measured: 93. With the HTTP clients, arq's worker and the persona texts there were 112."""

PROGRAM = """
import json, sys
before = set(sys.modules)
from producer import SyncClient
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    modules: list[str] = json.loads(done.stdout)
    return modules


def test_the_client_loads_no_http_client_and_no_arq(loaded: list[str]) -> None:
    assert "producer.client" in loaded
    assert [name for name in loaded if name.split(".")[0] in HEAVY] == []


def test_the_client_loads_no_worker_source_or_persona_text(loaded: list[str]) -> None:
    unwanted = tuple(f"{name}." for name in NOT_FOR_CLIENTS)
    assert [name for name in loaded if f"{name}.".startswith(unwanted)] == []


def test_the_client_loads_few_of_our_modules(loaded: list[str]) -> None:
    assert len([name for name in loaded if name.split(".")[0] in {"worker", "producer"}]) <= MOST_OF_OURS
