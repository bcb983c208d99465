"""Flat memory: a worker's peak, and what Redis keeps of a sync, for a small space and one 500 times as large."""

from __future__ import annotations

from producer.sandbox import SandboxOptions, SpaceSpec
from tests.bench.figure import Goal, Plot, Sample
from tests.bench.process import peak_memory_mib
from tests.bench.testbed import Testbed
from tests.support.servers.redis_server import RedisServer

FEW, MANY = 10_000, 5_000_000
FEW_PEAK = f"worker's peak, {FEW:,} profiles"
WORKER_PEAK = f"worker's peak, {MANY:,} profiles"
IN_REDIS = f"one sync in Redis, {MANY:,} profiles"


class Memory:
    name = "memory"
    title = f"Memory with {FEW:,} and with {MANY:,} profiles, a fresh worker each"
    goals = (Goal(WORKER_PEAK, of="ratio", bound=1.1), Goal(IN_REDIS, of="value", bound=1024))
    opt_in = False
    plot = Plot("value", rows=(FEW_PEAK, WORKER_PEAK), ours=(FEW_PEAK, WORKER_PEAK))

    def measure(self, redis: RedisServer) -> list[Sample]:
        """Two syncs on one sandbox, each by a worker of its own."""
        spaces = {f"spa_{profiles}": SpaceSpec(profiles, "wide") for profiles in (FEW, MANY)}
        with Testbed(redis, SandboxOptions(spaces)) as testbed:
            few_mib, few_kib = _sync(testbed, FEW)
            many_mib, many_kib = _sync(testbed, MANY)
        against = f"{FEW:,} profiles"
        return [
            Sample(FEW_PEAK, few_mib, "MiB"),
            Sample(WORKER_PEAK, many_mib, "MiB", many_mib / few_mib, against),
            Sample(f"one sync in Redis, {FEW:,} profiles", few_kib, "KiB"),
            Sample(IN_REDIS, many_kib, "KiB", many_kib / few_kib, against),
        ]


def _sync(testbed: Testbed, profiles: int) -> tuple[float, float]:
    """The worker's peak in MiB and the memory of the sync's keys in KiB, its statistics complete."""
    worker = testbed.start_worker()
    outcome = testbed.sync(f"spa_{profiles}", profiles=profiles)
    peak_mib = peak_memory_mib(worker.process.pid)
    worker.close()
    with testbed.redis.client() as client:
        keys = list(client.scan_iter(match=f"*{outcome.sync.id}*"))
        used = sum(client.memory_usage(key, samples=0) or 0 for key in keys)
    return peak_mib, used / 1024


FIGURE = Memory()
