"""Many small spaces beside a huge one: whether the small ones stand behind it.

Without latency, the worst case, the huge sync then takes all the processor time that it is given.
"""

from __future__ import annotations

from statistics import median

from producer.sandbox import SandboxOptions, SpaceSpec
from tests.bench.figure import Goal, Plot, Sample
from tests.bench.testbed import Testbed
from tests.support.servers.redis_server import RedisServer

WORKERS = 2
SMALL_SPACES = 200
SMALL = SpaceSpec(1000, "wide")
HUGE = SpaceSpec(1_000_000_000, "wide")

ALONE = "small ones alone"
BESIDE = "small ones beside a huge one, a chain"
BESIDE_FAN_OUT = "small ones beside a huge one in fan-out"


class Many:
    name = "many"
    title = (
        f"{SMALL_SPACES} spaces of {SMALL.profiles:,} profiles, {WORKERS} workers, median from enqueued to completed"
    )
    goals = (Goal(BESIDE, of="ratio", bound=3), Goal(BESIDE_FAN_OUT, of="ratio", bound=3))
    opt_in = False
    plot = Plot("value", rows=(ALONE, BESIDE, BESIDE_FAN_OUT), ours=(ALONE, BESIDE, BESIDE_FAN_OUT))

    def measure(self, redis: RedisServer) -> list[Sample]:
        """The small ones without the huge one and with it, on workers and a sandbox of their own each time."""
        alone = _median_s(redis, None)
        beside, beside_fan_out = _median_s(redis, "chain"), _median_s(redis, "fan-out")
        return [
            Sample(ALONE, alone, "s"),
            Sample(BESIDE, beside, "s", beside / alone, "alone"),
            Sample(BESIDE_FAN_OUT, beside_fan_out, "s", beside_fan_out / alone, "alone"),
        ]


def _median_s(redis: RedisServer, huge: str | None) -> float:
    """Seconds. huge: the strategy in which a huge space is read at the same time; None: there is none."""
    options = SandboxOptions({"spa_huge": HUGE, "spa_warm_up": SMALL}, SMALL)
    with Testbed(redis, options) as testbed:
        for _ in range(WORKERS):
            testbed.start_worker()
        testbed.syncs([f"spa_warm_up_{number}" for number in range(10 * WORKERS)], profiles=SMALL.profiles)
        names = [f"spa_{number}" for number in range(SMALL_SPACES)]
        if huge is None:
            return _median(testbed, names)
        with testbed.under_way("spa_huge", strategy=huge):
            return _median(testbed, names)


def _median(testbed: Testbed, space_ids: list[str]) -> float:
    return median(outcome.to_end_s for outcome in testbed.syncs(space_ids, profiles=SMALL.profiles))


FIGURE = Many()
