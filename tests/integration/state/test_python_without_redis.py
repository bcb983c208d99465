"""`run_sync` without REDIS_URL: it shares the state directory with the command line, and buys nothing twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from producer import Sync, SyncClient, SyncRequest, run_sync
from producer.sandbox import Fault, Sandbox
from producer.state.directory import StateDirectory
from tests.support.processes.command_line import cli
from tests.support.scenarios.checks import until
from tests.support.scenarios.state_commands import (
    CLUSTERS,
    actions,
    assert_bought_once,
    document,
    slowly,
    wait_stopped,
)

REQUEST = SyncRequest(space_id="spa_1")


async def test_python_and_the_command_line_share_the_state_directory(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    env = slowly(env)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    asked: list[str] = []
    enqueue = SyncClient.enqueue

    async def note_and_enqueue(client: SyncClient, *arguments: Any, **options: Any) -> Sync:
        sync = await enqueue(client, *arguments, **options)
        asked.append(sync.id)
        return sync

    monkeypatch.setattr(SyncClient, "enqueue", note_and_enqueue)
    sandbox.add_fault(Fault("segment", "hold"))
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(run_sync, REQUEST, timeout_s=0.1)
    sandbox.clear_faults()
    sandbox.add_fault(Fault("mavera", "hold", route="create", at=1))
    both = asyncio.gather(*(asyncio.to_thread(run_sync, REQUEST) for _ in range(2)))

    async def both_have_asked() -> bool:
        return len(asked) == 3

    await until(both_have_asked)
    sandbox.clear_faults()
    first, second = await both
    assert first.id == second.id == asked[0]  # the one that was interrupted
    assert [outcome.action for outcome in first.personas] == ["created"] * CLUSTERS
    assert_bought_once(sandbox)

    async def inside_a_loop() -> str:
        return run_sync(REQUEST, idempotency_key="night").id

    sync_id = await asyncio.to_thread(asyncio.run, inside_a_loop())
    again = await cli("sync", "spa_1", "--json", "--idempotency-key", "night", env=env)
    assert document(again)["sync_id"] == sync_id
    assert actions(again) == ["unchanged"] * CLUSTERS
    assert_bought_once(sandbox)
    await wait_stopped(directory)
