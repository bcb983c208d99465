"""Without REDIS_URL: commands share the state directory, and nothing is counted or bought twice, whatever is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from producer import SyncClient, SyncRequest
from producer.sandbox import Fault, Sandbox, SpaceSpec
from producer.state.directory import StateDirectory
from producer.state.server import is_running
from tests.support.processes.command_line import Command, cli
from tests.support.processes.workers import READY
from tests.support.scenarios.checks import until
from tests.support.scenarios.state_commands import (
    CLUSTERS,
    PROFILES,
    actions,
    assert_bought_once,
    document,
    printed_command,
    server_processes,
    slowly,
    wait_stopped,
)
from tests.support.servers.state_server import state_server


async def test_a_later_command_applies_a_preview_and_a_next_sync_changes_nothing(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory
) -> None:
    assert (await cli("status", "syn_1", env=env)).code == 2
    assert not directory.path.exists()  # a command that only looks starts nothing
    preview = await cli("preview", "spa_1", env=env)
    assert preview.code == 0
    await wait_stopped(directory)
    assert (await cli(*printed_command(preview, "apply"), env=env)).code == 0
    assert_bought_once(sandbox)
    first = await cli("sync", "spa_1", "--json", "--idempotency-key", "night", env=env)
    assert actions(first) == ["unchanged"] * CLUSTERS
    again = await cli("sync", "spa_1", "--json", "--idempotency-key", "night", env=env)
    assert document(again)["sync_id"] == document(first)["sync_id"]
    assert len(json.loads((await cli("history", "spa_1", "--json", env=env)).out)) == 2
    assert len(json.loads((await cli("personas", "list", "--json", env=env)).out)) == CLUSTERS
    sandbox.set_options(spaces={"spa_1": SpaceSpec(6, "recipe")})
    stopped = await cli("sync", "spa_1", "--json", env=env)
    assert json.loads(stopped.out)["error"]["code"] == "guard_profiles", stopped
    assert_bought_once(sandbox)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("route", ["page", "create"])
async def test_an_interrupted_sync_is_continued_and_neither_counts_nor_buys_twice(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory, number: signal.Signals, route: str
) -> None:
    api = "segment" if route == "page" else "mavera"
    sandbox.add_fault(Fault(api, "hold", route=route, at=2 if route == "create" else 1))
    first = await Command.start("sync", "spa_1", env=env)
    await sandbox.journal.wait_arrived(f"{api}.{route}", 2 if route == "create" else 1)
    first.interrupt(number)
    sandbox.clear_faults()
    done = await first.end()
    if number == signal.SIGINT:
        assert done.code == 130
        second = await cli(*printed_command(done, "resume"), "--json", env=env)
    else:
        second = await cli("sync", "spa_1", "--json", env=env)
        assert "already requested" in second.err
    found = document(second)
    assert (found["status"], found["profiles_fetched"]) == ("completed", PROFILES)
    assert_bought_once(sandbox)
    # Of a persona that was found by its reference it is not known what was sent.
    again = actions(await cli("sync", "spa_1", "--json", env=env))
    assert set(again) <= {"unchanged", "updated"}
    assert again.count("unchanged") >= CLUSTERS - 1


async def test_a_command_killed_with_keeper_and_server_is_continued_by_the_next(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory
) -> None:
    sandbox.add_fault(Fault("mavera", "hold", route="create", at=2))
    first = await Command.start("sync", "spa_1", "--json", env=env)
    await sandbox.journal.wait_arrived("mavera.create", 2)
    for pid in (*server_processes(directory), first.pid):
        os.kill(pid, signal.SIGKILL)
    sandbox.clear_faults()
    await first.end()
    assert document(await cli("sync", "spa_1", "--json", env=env))["profiles_fetched"] == PROFILES
    assert_bought_once(sandbox)


async def test_a_sync_outlives_its_server(sandbox: Sandbox, env: dict[str, str], directory: StateDirectory) -> None:
    sandbox.add_fault(Fault("mavera", "hold", route="create", at=2))
    command = await Command.start("sync", "spa_1", "--json", env=slowly(env))
    await sandbox.journal.wait_arrived("mavera.create", 2)
    keeper_pid, server_pid = server_processes(directory)
    os.kill(server_pid, signal.SIGKILL)

    def is_another() -> bool:
        return is_running(directory) and directory.lock("server").read_text() not in ("", str(server_pid))

    await until(lambda: asyncio.to_thread(is_another))
    os.kill(server_processes(directory)[0], signal.SIGKILL)
    sandbox.clear_faults()
    # A run that began a moment ago may lack a claim: what was not asked for yet waits for the settle time.
    command.interrupt()
    await command.end()
    assert document(await cli("sync", "spa_1", "--json", env=env))["status"] == "completed"
    assert_bought_once(sandbox)
    assert keeper_pid


async def test_overlapping_syncs_of_a_space_are_one_sync(sandbox: Sandbox, env: dict[str, str]) -> None:
    sandbox.add_fault(Fault("mavera", "hold", route="create", at=1))
    first = await Command.start("sync", "spa_1", "--json", env=slowly(env))
    await sandbox.journal.wait_arrived("mavera.create", 1)
    second = await Command.start("sync", "spa_1", "--json", env=slowly(env))
    await second.until("already requested")
    [listed] = json.loads((await cli("list", "--json", env=env)).out)
    assert listed["status"] == "finalizing"
    sandbox.clear_faults()
    both = [document(await command.end()) for command in (first, second)]
    assert both[0]["sync_id"] == both[1]["sync_id"] == listed["sync_id"]
    assert_bought_once(sandbox)


async def test_a_sync_of_another_account_is_refused_instead_of_awaited(sandbox: Sandbox, env: dict[str, str]) -> None:
    failed = await cli("preview", "spa_1", env={**env, "MAVERA_API_KEY": "mvra_live_1"})
    assert failed.code == 1
    resumed = await cli(*printed_command(failed, "resume"), env=env)
    assert resumed.code == 2
    assert "another Mavera account" in resumed.err


async def test_a_command_works_on_its_own_syncs_only(sandbox: Sandbox, env: dict[str, str]) -> None:
    sandbox.add_fault(Fault("segment", "hold", at=1))
    first = await Command.start("sync", "spa_1", env=env)
    await sandbox.journal.wait_arrived("segment.page", 1)
    first.interrupt()
    left = await first.end()
    sandbox.clear_faults()
    assert (await cli("sync", "spa_2", "--json", env=env)).code == 0
    assert len(sandbox.personas) == CLUSTERS
    [_, waiting] = json.loads((await cli("list", "--json", env=env)).out)
    assert waiting["status"] == "fetching"
    shown = await cli("status", *printed_command(left, "resume")[1:], env=env)
    assert printed_command(shown, "resume") == printed_command(left, "resume")


async def test_a_sync_of_standard_input_ends_with_its_command(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory
) -> None:
    sync_id = "syn_0000000000000001"
    request = SyncRequest(space_id="spa_1", file="-")
    # What a command leaves that was killed while it read its standard input.
    with state_server(directory) as server:
        async with SyncClient(server.url) as client:
            await client.enqueue(request, sync_id=sync_id)
        refused = await cli("resume", sync_id, env=env)
        assert refused.code == 2
        assert "standard input" in refused.err
        done = await cli("sync", "spa_1", "--json", env=env)
        assert f"{sync_id} read the standard input of a command that has ended: it is cancelled" in done.err
        assert document(done)["profiles_fetched"] == PROFILES
        async with SyncClient(server.url) as client:
            assert (await client.get(sync_id)).state == "cancelled"


async def test_no_wait_needs_a_worker_of_the_same_directory(sandbox: Sandbox, env: dict[str, str]) -> None:
    refused = await cli("sync", "spa_1", "--no-wait", env=env)
    assert refused.code == 2
    assert "worker" in refused.err
    worker = await Command.start("worker", env=env)
    await worker.until(READY)
    assert (await cli("worker", "--check", env=env)).code == 0
    asked = await cli("sync", "spa_1", "--no-wait", env=env)
    assert asked.code == 0
    followed = await cli("status", asked.out.strip(), "--follow", "--json", env=env)
    assert document(followed)["status"] == "completed"
    worker.interrupt(signal.SIGTERM)
    assert (await worker.end()).code == 0
    assert_bought_once(sandbox)


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[None]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
async def test_a_full_disk_is_named_and_the_sync_continues_when_there_is_space(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory
) -> None:
    with small_disk(directory.path):
        sandbox.add_fault(Fault("segment", "hold", at=1))
        command = await Command.start("sync", "spa_1", "--json", env=env)
        await sandbox.journal.wait_arrived("segment.page", 1)
        filler = directory.path / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(b" " * 4096):
                pass
        sandbox.clear_faults()
        await command.until("free some space")
        filler.unlink()
        assert document(await command.end())["profiles_fetched"] == PROFILES
        assert_bought_once(sandbox)
        await wait_stopped(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a directory away needs root")
async def test_a_directory_of_another_user_is_refused_before_anything_is_read(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory
) -> None:
    directory.path.mkdir()
    os.chown(directory.path, 12345, 12345)
    done = await cli("sync", "spa_1", "--json", env=env)
    assert done.code == 2
    assert json.loads(done.out)["error"]["code"] == "state_unusable"
    assert "SEGMENT_PERSONAS_HOME" in done.err
    assert sandbox.journal.arrived["segment.page"] == 0
    assert (await cli("sync", "--sandbox", "--max-profiles", "200", env=env)).code == 0


async def test_the_directory_holds_no_key_and_no_profile(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory
) -> None:
    assert (await cli("sync", "spa_1", "--json", env=env)).code == 0
    files = [path for path in directory.path.rglob("*") if path.is_file()]
    assert files
    for path in files:
        held = path.read_bytes()
        for secret in (b"mvra_", b"@"):
            assert secret not in held, path
