"""Many small spaces beside a huge one: whether the small ones stand behind it.

There is no latency, the worst case: the huge sync then takes all the processor time that it is given.
"""

from __future__ import annotations

from statistics import median

from tests.bench.figure import Goal, Plot, Sample
from tests.bench.stage import Stage
from tests.support.redis_server import RedisServer
from worker.sandbox import SandboxOptions, SpaceSpec

WORKERS = 2
SMALL_SPACES = 200
SMALL = SpaceSpec(1000, "wide")
HUGE = SpaceSpec(1_000_000_000, "wide")

ALONE = "small ones alone"
BESIDE = "small ones beside a huge one"


class Many:
    name = "many"
    title = (
        f"{SMALL_SPACES} spaces of {SMALL.profiles:,} profiles, {WORKERS} workers, median from enqueued to completed"
    )
    goals = (Goal(BESIDE, of="ratio", bound=3),)
    plot = Plot("value", rows=(ALONE, BESIDE), ours=(ALONE, BESIDE))

    def measure(self, redis: RedisServer) -> list[Sample]:
        """The small ones without the huge one and with it, on workers and a sandbox of their own each time."""
        alone, beside = _median_s(redis, huge=False), _median_s(redis, huge=True)
        return [
            Sample(ALONE, alone, "s"),
            Sample(BESIDE, beside, "s", beside / alone, "alone"),
        ]


def _median_s(redis: RedisServer, *, huge: bool) -> float:
    options = SandboxOptions({"spa_huge": HUGE, "spa_warm_up": SMALL}, SMALL, prebuilt=True)
    with Stage(redis, options) as stage:
        for _ in range(WORKERS):
            stage.start_worker()
        stage.syncs([f"spa_warm_up_{number}" for number in range(10 * WORKERS)], profiles=SMALL.profiles)
        names = [f"spa_{number}" for number in range(SMALL_SPACES)]
        if not huge:
            return _median(stage, names)
        with stage.under_way("spa_huge"):
            return _median(stage, names)


def _median(stage: Stage, space_ids: list[str]) -> float:
    return median(outcome.to_end_s for outcome in stage.syncs(space_ids, profiles=SMALL.profiles))


FIGURE = Many()
