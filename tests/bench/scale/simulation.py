"""A sync in virtual time: the program's own walks, limiter and scripts, over an in-memory Redis, on a clock that jumps.

What is virtual: the clock, the space, and how long an API and the processor take (`space`). What is left out, because
it costs real time and no virtual time: checkpoints within a lease, heartbeats, polling, the watcher, the personas.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from unittest.mock import patch

import aiohttp

from producer import SyncClient, SyncRequest
from tests.bench.figure import BenchError
from tests.bench.scale.inputs import LEASE_S, Inputs, Way
from tests.bench.scale.space import Calls, FileLines, InlinePages, ProfileApiPages, Ring, Slots
from tests.support.clocks.virtual_time import VirtualTimeLoop
from worker.clusters import Aggregate
from worker.jobs.composition.tasks import batch, walk
from worker.jobs.services import WorkerServices
from worker.mavera import ListPage, MaveraClient
from worker.models.sync import Sync, SyncState
from worker.segment import Source
from worker.settings import Settings, load_settings
from worker.store import Limiter, StorePool, embedded_pool, keys
from worker.store.connection.pool import closing

_JOBS: Mapping[str, Callable[..., Awaitable[None]]] = {"walk": walk, "batch": batch}
_JOB_S = 10 * LEASE_S
_POLL_S = 3.0


@dataclass(frozen=True)
class Simulated:
    """seconds: from the first job's begin to the last page, virtual. calls: requests to Segment. redis_kib: what the
    sync takes in Redis, keys and values."""

    seconds: float
    calls: int
    redis_kib: float


def simulate(way: Way, profiles: int, inputs: Inputs) -> Simulated:
    """Reads a virtual space. Raises BenchError unless every profile is counted once."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = cast(VirtualTimeLoop, runner.get_loop())
        with patch("time.time", loop.time):
            return runner.run(_simulate(way, profiles, inputs, loop))


async def _simulate(way: Way, profiles: int, inputs: Inputs, loop: VirtualTimeLoop) -> Simulated:
    settings = _settings(inputs)
    async with closing(embedded_pool()) as pool:
        space = _Space(way, Ring(profiles), inputs, loop)
        workers = [_VirtualServices(settings, pool, space, loop) for _ in range(inputs.workers)]
        client = SyncClient.from_pool(pool, settings)
        enqueued = await client.enqueue(_request(way))
        await _run_jobs(workers)
        sync = await client.get(enqueued.id)
        _check(sync, profiles)
        assert sync.started_at is not None
        assert sync.fetched_at is not None
        return Simulated(sync.fetched_at - sync.started_at, space.calls.made, await _kib(pool, sync.id))


async def _run_jobs(workers: Sequence[WorkerServices]) -> None:
    """Runs whatever comes into the queue, as many jobs at a time as the workers have slots, until nothing runs."""
    queue, slots = workers[0].queue, workers[0].settings.worker_slots
    free = deque(worker for _ in range(slots) for worker in workers)
    running: set[asyncio.Task[None]] = set()
    woken = asyncio.create_task(queue.wait_for_job(_POLL_S))

    async def run(job_id: str, worker: WorkerServices) -> None:
        sync_id, kind, *numbers = job_id.split(":")
        if kind in _JOBS:
            await _JOBS[kind]({"worker": worker}, sync_id, *map(int, numbers))
        free.append(worker)

    while True:
        taken = (await queue.take_jobs(1, _JOB_S)).jobs if free else []
        running |= {asyncio.create_task(run(job.job_id.decode(), free.popleft())) for job in taken}
        if taken:
            continue
        if not running:
            woken.cancel()
            return
        done, _ = await asyncio.wait({*running, woken}, return_when=asyncio.FIRST_COMPLETED)
        running -= done
        if woken in done:
            woken = asyncio.create_task(queue.wait_for_job(_POLL_S))


def _request(way: Way) -> SyncRequest:
    file = "-" if way is Way.FILE else None  # DuckDB reads files, in real time
    return SyncRequest(space_id="virtual", file=file, strategy="fan-out" if way is Way.FAN_OUT else "chain")


def _settings(inputs: Inputs) -> Settings:
    return load_settings(
        segment_token="virtual",
        mavera_api_key="mvra_test_virtual",
        segment_rate=inputs.rate,
        lease_s=LEASE_S,
        commit_interval_s=2 * LEASE_S,
        heartbeat_s=2 * LEASE_S,
        stall_s=10 * LEASE_S,
    )


class _Space:
    """The virtual space of one simulation, as its jobs read it."""

    def __init__(self, way: Way, ring: Ring, inputs: Inputs, loop: VirtualTimeLoop) -> None:
        self.calls = Calls()
        self._way = way
        self._given = (ring, inputs, self.calls, loop.pass_time)
        self._slots = Slots(inputs)
        self.limiter = self._slots if way is Way.PROFILE_API else None

    def source(self, *, traits: bool) -> Source:
        """A source for one job."""
        match self._way:
            case Way.CHAIN | Way.FAN_OUT:
                return InlinePages(*self._given, traits=traits)
            case Way.PROFILE_API:
                return ProfileApiPages(*self._given, self._slots)
            case Way.FILE:
                return FileLines(*self._given)


class _VirtualServices(WorkerServices):
    """A worker's services with a virtual space instead of Segment, and an empty Mavera."""

    def __init__(self, settings: Settings, pool: StorePool, space: _Space, loop: VirtualTimeLoop) -> None:
        super().__init__(settings, pool, cast(aiohttp.ClientSession, None), clock=loop.time)
        self.mavera = cast(MaveraClient, _EmptyMavera())
        self._space = space

    def source(self, request: SyncRequest, *, traits: bool = True) -> Source:
        return self._space.source(traits=traits)

    def segment_limiter(self, space_id: str) -> Limiter:
        return cast(Limiter | None, self._space.limiter) or super().segment_limiter(space_id)


class _EmptyMavera:
    async def list_page(
        self, family: str, cursor: str | None, *, before: int | None = None, pages: int = 0
    ) -> ListPage:
        return ListPage([], 0, None, "")


def _check(sync: Sync, profiles: int) -> None:
    if sync.state is not SyncState.FINALIZING:
        raise BenchError(f"{sync.state} with {sync.profiles} of {profiles} profiles ({sync.error})")
    in_clusters = sum(cluster.n for cluster in Aggregate.from_bytes(sync.aggregate).clusters.values())
    if not sync.profiles == in_clusters == profiles:
        raise BenchError(f"{sync.profiles} profiles counted, {in_clusters} in clusters, not {profiles}")


async def _kib(pool: StorePool, sync_id: str) -> float:
    key = keys.sync(sync_id)
    return sum(len(field) + len(value) for field, value in (await pool.hash_fields(key)).items()) / 1024
