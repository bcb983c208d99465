"""Commands without REDIS_URL that are killed at one point of their work, or start all at once: nothing is doubled."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from producer.sandbox import Fault, Sandbox
from producer.state.directory import StateDirectory
from producer.state.server import is_running
from tests.support.processes.command_line import Command, Terminal, cli
from tests.support.scenarios.scenario import SOON_SETTLED
from tests.support.scenarios.state_commands import (
    CLUSTERS,
    PROFILES,
    assert_bought_once,
    document,
    printed_command,
    slowly,
    wait_stopped,
)

POINTS = {
    "queued": "before_begin:1:kill",
    "counted": "after_commit:1:kill",
    "claimed, not sent": "after_claim:2:kill",
    "bought, not recorded": "before_record:2:kill",
    "all recorded": "before_complete:1:kill",
}


@pytest.mark.parametrize("point", POINTS)
async def test_the_command_after_a_killed_one_buys_each_persona_once(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory, point: str
) -> None:
    env |= SOON_SETTLED
    killed = await (await Command.start("sync", "spa_1", env=env, kill_at=POINTS[point])).end()
    assert killed.code == -signal.SIGKILL
    await wait_stopped(directory)
    done = await cli("sync", "spa_1", "--json", env=env)
    assert "already requested" in done.err
    found = document(done)
    assert (found["status"], found["profiles_fetched"]) == ("completed", PROFILES)
    assert_bought_once(sandbox)
    assert len(json.loads((await cli("history", "spa_1", "--json", env=env)).out)) == 1


async def test_a_terminal_continues_an_unconfirmed_sync_only_after_a_yes(sandbox: Sandbox, env: dict[str, str]) -> None:
    sandbox.add_fault(Fault("segment", "hold"))
    first = await Command.start("sync", "spa_1", "--yes", env=env)
    await sandbox.journal.wait_arrived("segment.page", 1)
    first.interrupt()
    assert (await first.end()).code == 130
    sandbox.clear_faults()

    refused = await cli("preview", "spa_1", env=env)
    assert refused.code == 4
    assert "No process works on it" in refused.err
    assert printed_command(refused, "resume")

    for answer, code, bought in (("n\n", 3, 0), ("y\n", 0, CLUSTERS)):
        terminal = await Terminal.start("sync", "spa_1", env=env, columns=120)
        await terminal.until("Continue it? [y/N]")
        assert not sandbox.personas
        terminal.type(answer)
        done = await terminal.end()
        assert (done.code, len(sandbox.personas)) == (code, bought), done.out
        assert ("segment-personas cancel syn_" in done.out) is (code == 3)
    assert_bought_once(sandbox)


async def test_twenty_commands_at_once_share_one_server_and_one_sync(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory
) -> None:
    sandbox.add_fault(Fault("mavera", "hold", route="create", at=1))
    env = slowly(env)
    syncs = [await Command.start("sync", "spa_1", "--json", env=env) for _ in range(8)]
    others = [await Command.start(*words, env=env) for words in (("list",), ("personas", "list"), ("history", "spa_1"))]
    others += [await Command.start("list", env=env) for _ in range(9)]
    # All but the one that has started the sync follow it.
    waiting = {asyncio.create_task(sync.until("already requested")) for sync in syncs}
    while len(waiting) > 1:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert {(await other.end()).code for other in others} == {0}
    sandbox.clear_faults()
    documents = [document(await sync.end()) for sync in syncs]
    assert len({found["sync_id"] for found in documents}) == 1
    assert_bought_once(sandbox)
    assert sandbox.journal.arrived["segment.page"] == 1
    assert directory.log.read_text().count("just started") == 1
    await wait_stopped(directory)
    assert not is_running(directory)
