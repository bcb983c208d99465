"""A sandbox, a Redis, a worker in this process, and the commands that use them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec
from tests.support.scenarios.sync_commands import SyncCommands, running_worker, settings_of
from tests.support.servers.redis_server import RedisServer
from worker.settings import Settings
from worker.store import StorePool


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """The recipe's space twice, a large slow one, and an empty one; any other space is unknown."""
    spaces = {"spa_1": SpaceSpec(60), "spa_2": SpaceSpec(60), "large": SpaceSpec(1_000_000), "empty": SpaceSpec(0)}
    async with Sandbox(SandboxOptions(spaces, latency_s=0.01)) as box:
        yield box


@pytest.fixture
def settings(session_redis: RedisServer, real_pool: StorePool, sandbox: Sandbox) -> Settings:
    return settings_of(session_redis.url, sandbox)


@pytest.fixture
async def _worker(settings: Settings) -> AsyncIterator[None]:
    async with running_worker(settings):
        yield


@pytest.fixture
def runner(settings: Settings, capsys: pytest.CaptureFixture[str]) -> SyncCommands:
    return SyncCommands(settings, capsys)
