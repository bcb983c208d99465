"""Profiles a second of one worker when the API costs nothing, beside the plain loop."""

from __future__ import annotations

from tests.bench.figure import Goal, Sample
from tests.bench.rivals import requests_loop
from tests.bench.stage import Stage
from tests.support.redis_server import RedisServer
from worker.sandbox import SandboxOptions, SpaceSpec

PAGES, PAGE_SIZE = 1000, 200
PROFILES = PAGES * PAGE_SIZE
WARM_UP = SpaceSpec(10 * PAGE_SIZE, "wide")

OURS = "ours, one worker"


class Throughput:
    name = "throughput"
    title = f"No latency: {PAGES:,} pages of {PAGE_SIZE} profiles with 10 traits"
    goals: tuple[Goal, ...] = ()

    def measure(self, redis: RedisServer) -> list[Sample]:
        """Ours on a worker that has worked before, then the loop, on one sandbox."""
        options = SandboxOptions({"spa_warm_up": WARM_UP}, SpaceSpec(PROFILES, "wide"), prebuilt=True)
        with Stage(redis, options) as stage:
            worker = stage.start_worker()
            stage.sync("spa_warm_up", profiles=WARM_UP.profiles)
            ours = PROFILES / stage.sync("spa_ours", profiles=PROFILES).fetching_s
            worker.close()
            loop = requests_loop.read_space(stage.sandbox.segment_url, "spa_loop")
        rival = loop.profiles / loop.seconds
        return [
            Sample(OURS, ours, "profiles/s", ours / rival, "requests loop"),
            Sample("requests loop", rival, "profiles/s"),
        ]


FIGURE = Throughput()
