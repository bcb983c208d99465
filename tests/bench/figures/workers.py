"""Two workers against one, where the processor is what limits; and how it is known that nothing else is.

Workers, sandbox and Redis share the cores of this machine. So the processor time of all of them is measured too: cores
÷ processor time of a profile is what no number of workers could exceed here, and as long as a profile costs two
workers no more of their time than it costs one, they do not hinder each other.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from tests.bench.figure import Goal, Plot, Sample
from tests.bench.process import cpu_s
from tests.bench.stage import Stage
from tests.support.redis_server import RedisServer
from worker.sandbox import SandboxOptions, SpaceSpec

SPACES, PAGES, PAGE_SIZE = 16, 200, 200
SPACE = SpaceSpec(PAGES * PAGE_SIZE, "wide")
PROFILES = SPACES * SPACE.profiles

ONE = "one worker"
TWO = "two workers"
BOUND = "no number of workers could exceed here"


@dataclass(frozen=True)
class _Use:
    """What reading all spaces took: seconds of the clock, and of the processor by who used them."""

    wall_s: float
    workers_s: float
    others_s: float


class Workers:
    name = "workers"
    title = f"Two workers against one: {SPACES} spaces of {PAGES} pages, no latency"
    goals = (Goal(TWO, of="ratio", bound=1.7, at="least"),)
    plot = Plot("value", rows=(ONE, TWO, BOUND), ours=(ONE, TWO))

    def measure(self, redis: RedisServer) -> list[Sample]:
        """One worker, then two, each on a sandbox of their own."""
        one, two = _read(redis, 1), _read(redis, 2)
        bound = len(os.sched_getaffinity(0)) * PROFILES / (two.workers_s + two.others_s)
        return [
            Sample(ONE, PROFILES / one.wall_s, "profiles/s"),
            Sample(TWO, PROFILES / two.wall_s, "profiles/s", one.wall_s / two.wall_s, ONE),
            Sample(
                BOUND,
                bound,
                "profiles/s",
                bound * one.wall_s / PROFILES,
                ONE,
            ),
            Sample("workers' processor time, one", 1e6 * one.workers_s / PROFILES, "µs a profile"),
            Sample(
                "workers' processor time, two",
                1e6 * two.workers_s / PROFILES,
                "µs a profile",
                two.workers_s / one.workers_s,
                ONE,
            ),
            Sample("sandbox's and Redis' processor time", 1e6 * two.others_s / PROFILES, "µs a profile"),
        ]


def _read(redis: RedisServer, workers: int) -> _Use:
    options = SandboxOptions({"spa_warm_up": SpaceSpec(10 * PAGE_SIZE, "wide")}, SPACE, prebuilt=True)
    with Stage(redis, options) as stage:
        pids = [stage.start_worker().process.pid for _ in range(workers)]
        stage.sync("spa_warm_up", profiles=10 * PAGE_SIZE)
        others = [stage.sandbox.pid, redis.pid]
        before_s, others_before_s = _cpu_s(pids), _cpu_s(others)
        outcomes = stage.syncs([f"spa_{number}" for number in range(SPACES)], profiles=SPACE.profiles)
        start = min(outcome.sync.created_at for outcome in outcomes)
        end = max(outcome.sync.created_at + outcome.to_last_page_s for outcome in outcomes)
        return _Use(end - start, _cpu_s(pids) - before_s, _cpu_s(others) - others_before_s)


def _cpu_s(pids: list[int]) -> float:
    return sum(map(cpu_s, pids))


FIGURE = Workers()
