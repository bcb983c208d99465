"""The server of a state directory: one for all commands, restarted if it is killed, gone with the last of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis

from producer.state import keeper
from producer.state import server as server_module
from producer.state.directory import StateDirectory, StateUnusable
from producer.state.server import NoServerProgram, StateServer, is_running
from producer.state.server_program import ServerProgram
from tests.support.servers.redis_server import Kind, server_binary


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[StateDirectory]:
    directory = StateDirectory(tmp_path / "state")
    yield directory
    if directory.path.exists() and not (directory.path / "probe").exists():
        wait_ended(directory)


@contextmanager
def joined(directory: StateDirectory, kind: Kind = "redis") -> Iterator[StateServer]:
    path, found = server_binary(kind)
    server = StateServer(directory, find_program=lambda _: ServerProgram(path, found, "0", "PATH"))
    server.join()
    try:
        yield server
    finally:
        server.leave()


def client(directory: StateDirectory) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(directory.socket))


def server_pid(directory: StateDirectory) -> int:
    return int(directory.lock("server").read_text() or 0)  # 0 while it is being started


def keeper_pid(directory: StateDirectory) -> int:
    parent = int(Path(f"/proc/{server_pid(directory)}/stat").read_text().rpartition(")")[2].split()[1])
    assert b"keeper.py" in Path(f"/proc/{parent}/cmdline").read_bytes()
    return parent


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def is_free(directory: StateDirectory, name: str) -> bool:
    found = keeper.acquire(str(directory.lock(name)))
    if found is not None:
        os.close(found)
    return found is not None


def wait_ended(directory: StateDirectory) -> None:
    while not (is_free(directory, "keeper") and is_free(directory, "server")):
        time.sleep(0.02)


def until(holds: object) -> None:
    assert callable(holds)
    while not holds():
        time.sleep(0.02)


def test_it_ends_with_its_last_user_and_any_kind_of_server_reads_its_data(directory: StateDirectory) -> None:
    runs = set()
    for expected, kind in enumerate(("redis", "valkey", "redis"), 1):
        with joined(directory, kind) as server, joined(directory, kind):  # type: ignore[arg-type]
            assert client(directory).incr("x") == expected
            runs.add(server.run())
            config = client(directory).config_get("*")
            assert (config["port"], config["appendonly"], config["maxmemory-policy"]) == ("0", "yes", "noeviction")
        wait_ended(directory)
        assert not is_running(directory)
    assert len(runs) == 1  # nothing can have been lost
    assert next(iter(runs))[1] == float("inf")
    for path in (directory.path, directory.data, directory.log):
        assert path.stat().st_mode & 0o077 == 0


def test_twenty_users_at_once_share_one_server(directory: StateDirectory) -> None:
    servers = [StateServer(directory) for _ in range(20)]
    with ThreadPoolExecutor(20) as threads:
        try:
            list(threads.map(StateServer.join, servers))
            assert directory.log.read_text().count("just started") == 1
        finally:
            list(threads.map(StateServer.leave, servers))


def test_a_command_that_waited_long_for_another_one_has_its_own_time(
    directory: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited_s = 0.0

    def acquire(path: str, *, shared: bool = False, wait_s: float = 0.0) -> int | None:
        nonlocal waited_s
        waited_s += 60 if path.endswith("start.lock") else 0
        return keeper.acquire(path, shared=shared, wait_s=wait_s)

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + waited_s, sleep=time.sleep)
    monkeypatch.setattr(server_module, "keeper", SimpleNamespace(**{**vars(keeper), "acquire": acquire}))
    monkeypatch.setattr(server_module, "time", clock)
    with joined(directory):
        assert waited_s == 60
        assert is_running(directory)


def test_a_killed_server_is_started_again_and_counts_as_another_run(directory: StateDirectory) -> None:
    with joined(directory) as server:
        before, pid = server.run(), server_pid(directory)
        client(directory).set("x", "kept")
        kill(pid)
        until(lambda: is_running(directory) and server_pid(directory) not in (0, pid))
        assert client(directory).get("x") == b"kept"
        name, age_s = server.run()
        assert name != before[0]
        assert age_s < float("inf")


@pytest.mark.parametrize("with_server", [False, True])
def test_a_killed_keeper_is_replaced(directory: StateDirectory, *, with_server: bool) -> None:
    with joined(directory):
        client(directory).set("x", "kept")
        old = [keeper_pid(directory), server_pid(directory)]
        for pid in old[: 1 + with_server]:
            kill(pid)
        until(lambda: is_running(directory) and server_pid(directory) not in (0, old[1]))
        assert client(directory).get("x") == b"kept"


def test_a_user_that_is_killed_leaves_no_server(directory: StateDirectory) -> None:
    code = (
        "import sys, time; from pathlib import Path; from producer.state.server import *;"
        "StateServer(StateDirectory(Path(sys.argv[1]))).join(); print('in', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(directory.path)], stdout=subprocess.PIPE) as user:
        assert user.stdout
        assert user.stdout.readline() == b"in\n"
        client(directory).set("x", "kept")
        user.kill()
    wait_ended(directory)
    with joined(directory) as server:
        assert client(directory).get("x") == b"kept"
        assert server.run()[1] == float("inf")


def test_after_a_reboot_a_stale_socket_and_a_reused_process_id_mean_nothing(directory: StateDirectory) -> None:
    with joined(directory) as server:
        client(directory).set("x", "kept")
        before = server.run()[0]
        # All that is left by a power cut: files, and locks that no process holds. The process id is this test's now.
        left = {path: path.read_bytes() for path in directory.path.rglob("*") if path.is_file()}
    wait_ended(directory)
    for path, content in left.items():
        path.write_bytes(content)
    for name in ("server", "keeper"):
        directory.lock(name).write_text(str(os.getpid()))
    directory.socket.touch()
    with joined(directory) as server:
        assert client(directory).get("x") == b"kept"
        assert server.run()[0] != before  # the last moments may be lost


def test_a_server_that_cannot_start_is_reported_with_the_reason(directory: StateDirectory) -> None:
    with joined(directory):
        client(directory).set("x", "kept")
    wait_ended(directory)
    manifest = next(directory.data.glob("appendonlydir/*.manifest"))
    manifest.write_text("nonsense\n")
    with pytest.raises(StateUnusable, match=r"does not start: .*manifest") as caught, joined(directory):
        pass
    assert str(directory.log) in caught.value.hint


def test_without_a_program_the_sentence_says_what_to_install(directory: StateDirectory) -> None:
    with pytest.raises(NoServerProgram) as caught:
        StateServer(directory, find_program=lambda _: None).join()
    assert "redis-server" in str(caught.value)
    assert "REDIS_URL" in caught.value.hint


def test_a_long_path_works(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / ("d" * 120) / "state")
    with joined(directory):
        assert client(directory).incr("x") == 1
    wait_ended(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize(("options", "reason"), [("size=64k", "No space left"), ("size=1m,ro", "Read-only")])
def test_a_full_or_read_only_disk_is_refused_before_anything_starts(tmp_path: Path, options: str, reason: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(tmp_path)], check=True)
    try:
        with pytest.raises(StateUnusable, match=reason) as caught, joined(StateDirectory(tmp_path / "state")):
            pass
        assert "SEGMENT_PERSONAS_HOME" in caught.value.hint
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
