"""Fixtures of commands without REDIS_URL: a sandbox, and a state directory of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec
from producer.state.directory import StateDirectory
from tests.support.processes.workers import environment
from tests.support.scenarios.state_commands import CREDITS, PROFILES


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions({}, default_space=SpaceSpec(PROFILES, "recipe"), credits=CREDITS)) as box:
        yield box


@pytest.fixture
def directory(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "state")


@pytest.fixture
def env(sandbox: Sandbox, directory: StateDirectory) -> dict[str, str]:
    return environment(None, sandbox, SEGMENT_PERSONAS_HOME=str(directory.path))
