"""Profiles a second of one worker when the API costs nothing, beside loops that cluster as the recipe does."""

from __future__ import annotations

from producer.sandbox import SandboxOptions, SpaceSpec
from tests.bench.figure import BenchError, Goal, Plot, Sample
from tests.bench.rivals import loop_process
from tests.bench.testbed import Testbed
from tests.support.servers.redis_server import RedisServer

PAGES, PAGE_SIZE = 1000, 200
PROFILES = PAGES * PAGE_SIZE
WARM_UP = SpaceSpec(10 * PAGE_SIZE, "wide")

OURS = "ours, one worker"
LOOP = "requests loop, the recipe's clustering"
DLT = "dlt's RESTClient, the recipe's clustering"
TIMES_DLT = "ours ÷ dlt's"


class Throughput:
    name = "throughput"
    title = f"No latency: {PAGES:,} pages of {PAGE_SIZE} profiles with 10 traits"
    goals = (
        Goal(OURS, of="value", bound=300_000, at="least"),
        Goal(TIMES_DLT, of="value", bound=3, at="least"),
    )
    opt_in = False
    plot = Plot("value", rows=(OURS, LOOP, DLT), ours=(OURS,))

    def measure(self, redis: RedisServer) -> list[Sample]:
        """Ours on a worker that has worked before, then the loops, on one sandbox."""
        options = SandboxOptions({"spa_warm_up": WARM_UP}, SpaceSpec(PROFILES, "wide"))
        with Testbed(redis, options, awake=True) as testbed:
            worker = testbed.start_worker()
            testbed.sync("spa_warm_up", profiles=WARM_UP.profiles)
            ours = PROFILES / testbed.sync("spa_ours", profiles=PROFILES).fetching_s
            worker.close()
            loop = _profiles_a_second(testbed, "requests_loop")
            dlt = _profiles_a_second(testbed, "dlt_client")
        return [
            Sample(OURS, ours, "profiles/s"),
            Sample(LOOP, loop, "profiles/s"),
            Sample(DLT, dlt, "profiles/s"),
            Sample("ours ÷ the requests loop's", ours / loop, "×"),
            Sample(TIMES_DLT, ours / dlt, "×"),
        ]


def _profiles_a_second(testbed: Testbed, rival: str) -> float:
    result = loop_process.read_space(rival, testbed.sandbox.segment_url, f"spa_{rival}")
    if result.profiles != PROFILES:
        raise BenchError(f"{rival}: {result.profiles} of {PROFILES} profiles")
    return PROFILES / result.seconds


FIGURE = Throughput()
