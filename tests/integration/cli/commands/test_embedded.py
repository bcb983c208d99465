"""Commands without a common Redis keep their own state."""

from __future__ import annotations

import re
from unittest.mock import Mock

import pytest

from producer.sandbox import Sandbox
from producer.state.server import NoServerProgram
from tests.support.scenarios.sync_commands import SyncCommands
from worker.store import StorePool


async def test_a_preview_without_redis_is_applied_by_a_command_without_redis(
    runner: SyncCommands, sandbox: Sandbox
) -> None:
    assert await runner.sync("spa_1", preview=True, embedded=True) == 0
    assert re.search(r"\n  REDIS_URL= segment-personas apply syn_\w+\n$", runner.err)
    assert sandbox.posts == []


async def test_without_a_server_program_a_preview_is_gone_with_its_command(
    runner: SyncCommands, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.state.server.StateServer._spawn_keeper", Mock(side_effect=NoServerProgram))
    assert await runner.sync("spa_1", preview=True, embedded=True) == 0
    assert "in memory and ends with this command" in runner.err
    assert runner.err.endswith("To read the space again and apply it:\n  REDIS_URL= segment-personas sync spa_1\n")
    assert sandbox.posts == []


async def test_embedded_keeps_its_own_state_also_where_there_is_a_redis(
    runner: SyncCommands, real_pool: StorePool
) -> None:
    before = await real_pool.dbsize()
    assert await runner.sync("spa_1", embedded=True) == 0
    assert await real_pool.dbsize() == before


async def test_embedded_is_over_when_patience_is(runner: SyncCommands) -> None:
    assert await runner.sync("large", embedded=True, timeout_s=0.05) == 4
    assert "Timed out after 0.05 s." in runner.err
    assert re.search(r"\n  REDIS_URL= segment-personas resume syn_\w+\n", runner.err)
