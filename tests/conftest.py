"""Fixtures for every suite: a Redis of one's own, fake or real, and worker processes that never outlive a test."""

from __future__ import annotations

import atexit
import gc
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.examples import load_profile
from tests.support.item_order import long_tests_first
from tests.support.processes.command_line import logging_as_it_was
from tests.support.processes.fork_server import ForkServer, share_fork_server, shared_fork_server
from tests.support.processes.workers import WorkerProcess
from tests.support.servers.postgres_server import PostgresServer, running_postgres
from tests.support.servers.redis_server import RedisServer
from worker.store import StorePool, embedded_pool, redis_pool

# A proxy of the environment must not come between the tests and this machine.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

# Commands without REDIS_URL keep their state there: not in that of the person who runs the tests.
STATE_HOMES = tempfile.mkdtemp(prefix="segment-personas-")
atexit.register(shutil.rmtree, STATE_HOMES, ignore_errors=True)

# Settings of the person who runs the tests stay out of them.
os.environ["SEGMENT_PERSONAS_ENV_FILE"] = ""

# A shell that runs the tests in the background has them, and every command that they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


load_profile()
share_fork_server()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collected tests and imported modules stay until the end. A search for garbage among them frees nothing, and takes
    a third of the time of the collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = long_tests_first(items)


@pytest.fixture(autouse=True)
def logging_stays_as_it_was() -> Iterator[None]:
    """Commands that run in the test's own process set up logging for all of it."""
    with logging_as_it_was():
        yield


@pytest.fixture(autouse=True)
def state_home() -> None:
    """A separate state directory for each test, made when a command first uses it."""
    os.environ["XDG_STATE_HOME"] = f"{STATE_HOMES}/{next(_numbers)}"


_numbers = itertools.count()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A redis-server of this test's own, which it may stop, kill and pause."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["redis", "valkey"])
def server_of_any_kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis, then a Valkey, of this test's own."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = RedisServer(folder, kind=request.param)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def session_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One redis-server for many tests, which leave it as they find it: running."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def session_postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL for many tests, each of which uses other tables or databases."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test, which it may stop and kill."""
    with running_postgres() as server:
        yield server


@pytest.fixture
async def fake_pool() -> AsyncIterator[StorePool]:
    """The store's client over an in-memory Redis."""
    pool = embedded_pool()
    yield pool
    await pool.aclose()


@pytest.fixture
async def real_pool(session_redis: RedisServer) -> AsyncIterator[StorePool]:
    """The store's client over a real, empty redis-server."""
    pool = redis_pool(session_redis.url, max_wait_s=5)
    await pool.flushall()
    yield pool
    await pool.aclose()


@pytest.fixture(params=["fake", "real"])
def pool(request: pytest.FixtureRequest) -> StorePool:
    """Both, one after the other: what holds must hold on either."""
    chosen: StorePool = request.getfixturevalue(f"{request.param}_pool")
    return chosen


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts worker processes and ends whatever is left of them. Call: `start_worker(env)`, and `plan=...` for how it
    ends, or `arq=True` for arq's command line; or `start_worker(env, command=...)`, and nothing is spared it."""
    started: list[WorkerProcess] = []

    def start(
        env: dict[str, str],
        *,
        ready: bool = True,
        plan: str = "",
        arq: bool = False,
        command: Sequence[str] | None = None,
        fork_server: ForkServer | None = None,
    ) -> WorkerProcess:
        log = tmp_path / f"worker-{len(started)}.log"
        if command is None:
            worker = WorkerProcess(env, log, fork_server=fork_server or shared_fork_server(), plan=plan, arq=arq)
        else:
            worker = WorkerProcess(env, log, command)
        started.append(worker)
        if ready:
            worker.wait_ready()
        return worker

    yield start
    for worker in started:
        worker.ask_to_stop()
    for worker in started:
        worker.close()
