"""Fifty million profiles from Parquet shards, end to end: time and peak memory of one worker. Only if it is named."""

from __future__ import annotations

from producer.sandbox import SandboxOptions
from tests.bench import shards
from tests.bench.figure import Goal, Plot, Sample
from tests.bench.process import peak_memory_mib
from tests.bench.testbed import Testbed
from tests.support.servers.redis_server import RedisServer

PROFILES = 50_000_000
SHARDS = 200
SYNC, PEAK = "from enqueueing to completion", "worker's peak"


class ShardsOf50Million:
    name = "shards-50m"
    title = f"{PROFILES:,} profiles with 8 traits from {SHARDS} Parquet files, one worker"
    goals = (Goal(PEAK, of="value", bound=1536),)
    plot: Plot | None = None
    opt_in = True

    def measure(self, redis: RedisServer) -> list[Sample]:
        """One sync by a fresh worker. Writing the files takes about as long, and is not measured."""
        with Testbed(redis, SandboxOptions({})) as testbed:
            shards.write_parquet(testbed.folder / "export", PROFILES, SHARDS)
            worker = testbed.start_worker(FILES_DIR=str(testbed.folder))
            outcome = testbed.sync("spa_file", profiles=PROFILES, file="export")
            peak = peak_memory_mib(worker.process.pid)
        return [
            Sample(SYNC, outcome.to_end_s, "s"),
            Sample("profiles a second while they are read", PROFILES / outcome.fetching_s, "profiles/s"),
            Sample(PEAK, peak, "MiB"),
        ]


FIGURE = ShardsOf50Million()
