"""The surroundings of one run: an empty Redis, and a sandbox and workers that end with it.

Workers have the settings that they have in production, but for what would otherwise be measured instead of the
program: the rates. And one Redis serves all runs, because no persona is bought while a Redis is younger than
`MAVERA_SETTLE_S`: it is waited for once, and not for long.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from producer import SyncClient, SyncRequest
from producer.sandbox import SandboxOptions
from tests.bench.figure import BenchError
from tests.bench.sandbox_process import SandboxProcess
from tests.support.processes.workers import WorkerProcess
from tests.support.servers.redis_server import RedisServer
from worker.models.sync import Sync, SyncState
from worker.settings import Settings

TOKEN = "sandbox"
SETTLE_S = 3
OUT_OF_THE_WAY = {
    "SEGMENT_RATE": "100000",
    "MAVERA_RATE": "100000",
    "MAVERA_GAP_S": "0",
    "MAVERA_TIMEOUT_S": "1",
    "MAVERA_SETTLE_S": str(SETTLE_S),
}

#: What Segment allows a space, for figures that stay below it; the limiter then works as it does in production.
SEGMENT_RATE = "100"

#: Names that Redis shows for its connections, so that traffic can be told apart.
WORKER, BENCH = "worker", "bench"

_LONGEST_S = 120.0


@dataclass(frozen=True)
class Outcome:
    """A sync that has completed. asked_at: seconds of the monotonic clock, just before it was enqueued."""

    sync: Sync
    asked_at: float

    @property
    def fetching_s(self) -> float:
        """From the first job's begin to the last page."""
        return self._between(self.sync.started_at, self.sync.fetched_at)

    @property
    def to_last_page_s(self) -> float:
        """From enqueueing to the last page."""
        return self._between(self.sync.created_at, self.sync.fetched_at)

    @property
    def to_end_s(self) -> float:
        """From enqueueing to completion."""
        return self._between(self.sync.created_at, self.sync.finished_at)

    @staticmethod
    def _between(start: float | None, end: float | None) -> float:
        if start is None or end is None:
            raise BenchError("a completed sync lacks a time")
        return end - start


@contextmanager
def settled_redis() -> Iterator[RedisServer]:
    """A Redis that has run for long enough; for all runs, one after the other."""
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            with server.client() as client:
                # Its age is in whole seconds, of which the worker does not believe the last.
                while client.info("server")["uptime_in_seconds"] <= SETTLE_S:
                    time.sleep(0.1)
            yield server
        finally:
            server.kill()


class Testbed:
    """A context. redis: empty at its begin. sandbox: running inside it.

    awake: as of `SandboxProcess`, where a sandbox and one worker have a core each.
    """

    def __init__(self, redis: RedisServer, options: SandboxOptions, *, awake: bool = False) -> None:
        self.redis = redis
        self.sandbox = SandboxProcess(options, awake=awake)
        self._stack = ExitStack()
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            with self.redis.client() as client:
                client.flushall()
                client.script_flush()
            stack.enter_context(self.sandbox)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for log in sorted(self.folder.glob("*.log")):
                print(f"{log.name} ends with:\n{log.read_text()[-2000:]}", file=sys.stderr)
        self._stack.close()

    def start_worker(self, **settings: str) -> WorkerProcess:
        """A worker process that takes jobs; it ends with the testbed at the latest."""
        ours = {name.upper() for name in Settings.model_fields}
        env = {name: value for name, value in os.environ.items() if name.upper() not in ours}
        env |= {
            "REDIS_URL": f"{self.redis.url}?client_name={WORKER}",
            "SEGMENT_TOKEN": TOKEN,
            "SEGMENT_BASE_URL": self.sandbox.segment_url,
            "MAVERA_API_KEY": "mvra_test_sandbox",
            "MAVERA_BASE_URL": self.sandbox.mavera_url,
            **OUT_OF_THE_WAY,
            **settings,
        }
        worker = WorkerProcess(env, self.folder / f"worker-{next(self._numbers)}.log")
        self._stack.callback(worker.close)
        worker.wait_ready()
        return worker

    def sync(self, space_id: str, *, profiles: int, **options: Any) -> Outcome:
        """Enqueues a sync and waits for its end; it makes personas of its own. options: of the SyncRequest.

        Raises BenchError unless it completes with so many profiles.
        """
        (outcome,) = self.syncs([space_id], profiles=profiles, **options)
        return outcome

    def syncs(self, space_ids: Sequence[str], *, profiles: int, **options: Any) -> list[Outcome]:
        """The same for several spaces at once."""
        return self.run([_request(space_id, options) for space_id in space_ids], profiles=profiles)

    def run(self, requests: Sequence[SyncRequest], *, profiles: int) -> list[Outcome]:
        """The same for any requests at once."""
        return asyncio.run(self._syncs(requests, profiles))

    @contextmanager
    def under_way(self, space_id: str, **options: Any) -> Iterator[None]:
        """A sync that has counted its first profiles when the block begins, and is cancelled at its end."""
        sync_id = asyncio.run(self._begin(_request(space_id, options)))
        try:
            yield
        finally:
            asyncio.run(self._cancel(sync_id))

    def _client(self) -> SyncClient:
        return SyncClient(f"{self.redis.url}?client_name={BENCH}")

    async def _syncs(self, requests: Sequence[SyncRequest], profiles: int) -> list[Outcome]:
        async with self._client() as client:
            asked = [(time.monotonic(), await client.enqueue(request)) for request in requests]
            ended = [(await _end(client, sync.id), asked_at) for asked_at, sync in asked]
        for sync, _ in ended:
            if sync.state is not SyncState.COMPLETED or sync.profiles != profiles:
                counted = f"{sync.profiles} of {profiles} profiles"
                raise BenchError(f"{sync.request.space_id}: {sync.state} with {counted} ({sync.error})")
        return [Outcome(sync, asked_at) for sync, asked_at in ended]

    async def _begin(self, request: SyncRequest) -> str:
        async with self._client() as client:
            sync_id = (await client.enqueue(request)).id
            async for sync in client.follow(sync_id, every_s=0.05, timeout_s=_LONGEST_S):
                if sync.profiles and sync.state is SyncState.FETCHING:
                    return sync_id
        raise BenchError(f"{request.space_id}: {sync.state} before it could be seen fetching ({sync.error})")

    async def _cancel(self, sync_id: str) -> None:
        async with self._client() as client:
            await client.cancel(sync_id)


def _request(space_id: str, options: Mapping[str, Any]) -> SyncRequest:
    return SyncRequest(space_id=space_id, mode="create", **options)


async def _end(client: SyncClient, sync_id: str) -> Sync:
    try:
        return await client.wait(sync_id, timeout_s=_LONGEST_S)
    except TimeoutError as error:
        raise BenchError(str(error)) from None
