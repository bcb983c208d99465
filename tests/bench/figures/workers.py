"""Two workers against one, where the processor is what limits; and how it is known that nothing else is.

Workers, sandbox and Redis share the cores of this machine. So the processor time of all of them is measured too: cores
÷ processor time of a profile is what no number of workers could exceed here; and the same is done from files, where
no sandbox takes a part of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from producer.sandbox import SandboxOptions, SpaceSpec
from tests.bench import profiles_file
from tests.bench.figure import Goal, Plot, Sample
from tests.bench.process import cpu_s
from tests.bench.testbed import Outcome, Testbed
from tests.support.servers.redis_server import RedisServer

SPACES, PAGES, PAGE_SIZE = 16, 200, 200
SPACE = SpaceSpec(PAGES * PAGE_SIZE, "wide")
WARM_UP = SpaceSpec(10 * PAGE_SIZE, "wide")
PROFILES = SPACES * SPACE.profiles

ONE, TWO, BOUND = "one worker", "two workers", "no number of workers could exceed here"
ONE_FILES, TWO_FILES = "one worker, from files", "two workers, from files"

_FILE = "profiles.ndjson"


@dataclass(frozen=True)
class _Use:
    """What reading all spaces took: seconds of the clock, and of the processor by who used them."""

    wall_s: float
    workers_s: float
    others_s: float

    @property
    def speed(self) -> float:
        """Profiles a second."""
        return PROFILES / self.wall_s

    @property
    def bound(self) -> float:
        """Profiles a second if every core of this machine were busy with nothing else."""
        return len(os.sched_getaffinity(0)) * PROFILES / (self.workers_s + self.others_s)


class Workers:
    name = "workers"
    title = f"Two workers against one: {SPACES} spaces of {SPACE.profiles:,} profiles, no latency"
    goals = (
        Goal(TWO, of="ratio", bound=1.7, at="least"),
        Goal(TWO_FILES, of="ratio", bound=1.7, at="least"),
    )
    opt_in = False
    plot = Plot("value", rows=(ONE, TWO, BOUND, ONE_FILES, TWO_FILES), ours=(ONE, TWO, ONE_FILES, TWO_FILES))

    def measure(self, redis: RedisServer) -> list[Sample]:
        """One worker, then two, each on a sandbox of their own; then the same from files."""
        one, two = _use(redis, 1, _from_sandbox), _use(redis, 2, _from_sandbox)
        one_files, two_files = _use(redis, 1, _from_files), _use(redis, 2, _from_files)
        return [
            Sample(ONE, one.speed, "profiles/s"),
            Sample(TWO, two.speed, "profiles/s", two.speed / one.speed, ONE),
            Sample(BOUND, two.bound, "profiles/s", two.bound / one.speed, ONE),
            Sample("workers' processor time, one", 1e6 * one.workers_s / PROFILES, "µs a profile"),
            Sample(
                "workers' processor time, two",
                1e6 * two.workers_s / PROFILES,
                "µs a profile",
                two.workers_s / one.workers_s,
                ONE,
            ),
            Sample("sandbox's and Redis' processor time", 1e6 * two.others_s / PROFILES, "µs a profile"),
            Sample(ONE_FILES, one_files.speed, "profiles/s"),
            Sample(TWO_FILES, two_files.speed, "profiles/s", two_files.speed / one_files.speed, ONE_FILES),
        ]


def _from_sandbox(testbed: Testbed, names: list[str]) -> list[Outcome]:
    return testbed.syncs(names, profiles=SPACE.profiles)


def _from_files(testbed: Testbed, names: list[str]) -> list[Outcome]:
    profiles_file.write(testbed.folder / _FILE, SPACE.profiles)
    return testbed.syncs(names, profiles=SPACE.profiles, file=_FILE)


def _use(redis: RedisServer, workers: int, read: Callable[[Testbed, list[str]], list[Outcome]]) -> _Use:
    with Testbed(redis, SandboxOptions({"spa_warm_up": WARM_UP}, SPACE)) as testbed:
        pids = [testbed.start_worker(FILES_DIR=str(testbed.folder)).process.pid for _ in range(workers)]
        testbed.sync("spa_warm_up", profiles=WARM_UP.profiles)
        others = [testbed.sandbox.pid, redis.pid]
        before_s, others_before_s = _cpu_s(pids), _cpu_s(others)
        outcomes = read(testbed, [f"spa_{number}" for number in range(SPACES)])
        start = min(outcome.sync.created_at for outcome in outcomes)
        end = max(outcome.sync.created_at + outcome.to_last_page_s for outcome in outcomes)
        return _Use(end - start, _cpu_s(pids) - before_s, _cpu_s(others) - others_before_s)


def _cpu_s(pids: list[int]) -> float:
    return sum(map(cpu_s, pids))


FIGURE = Workers()
