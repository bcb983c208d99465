"""What is not reading: how soon an enqueued sync begins, how soon its first persona is bought, and an idle worker."""

from __future__ import annotations

import time
from statistics import median

from producer.sandbox import Entry, SandboxOptions, SpaceSpec
from tests.bench.figure import BenchError, Goal, Plot, Sample
from tests.bench.process import cpu_s
from tests.bench.testbed import Outcome, Testbed
from tests.support.servers.redis_server import RedisServer

SYNCS = 10
IDLE_S = 4.0
SPACE = SpaceSpec(60, "recipe")

FIRST_REQUEST = "enqueue to first page request at Segment"
FIRST_POST = "last page request to first POST at Mavera"
IDLE = "idle worker"


class Hops:
    name = "hops"
    title = f"Hops, the median of {SYNCS} syncs of one page each, no latency; and an idle worker"
    goals = (
        Goal(FIRST_REQUEST, of="value", bound=20),
        Goal(FIRST_POST, of="value", bound=100),
        Goal(IDLE, of="value", bound=0.5),
    )
    opt_in = False
    plot: Plot | None = None

    def measure(self, redis: RedisServer) -> list[Sample]:
        """One worker: first idle, then one small sync after the other."""
        with Testbed(redis, SandboxOptions({}, SPACE)) as testbed:
            worker = testbed.start_worker()
            testbed.sync("spa_warm_up", profiles=SPACE.profiles)
            idle = _cpu_share(worker.process.pid)
            outcomes = [testbed.sync(f"spa_{number}", profiles=SPACE.profiles) for number in range(SYNCS)]
            entries = testbed.sandbox.entries()
        hops = [_hops(outcome, entries) for outcome in outcomes]
        to_mavera, to_segment, to_post = (1000 * median(column) for column in zip(*hops, strict=True))
        return [
            Sample("enqueue to first request (look-up at Mavera)", to_mavera, "ms"),
            Sample(FIRST_REQUEST, to_segment, "ms"),
            Sample(FIRST_POST, to_post, "ms"),
            Sample(IDLE, 100 * idle, "% of a core"),
        ]


def _cpu_share(pid: int) -> float:
    """The share of a core that a process takes over some seconds."""
    start, used = time.monotonic(), cpu_s(pid)
    time.sleep(IDLE_S)
    return (cpu_s(pid) - used) / (time.monotonic() - start)


def _hops(outcome: Outcome, entries: list[Entry]) -> tuple[float, float, float]:
    """Seconds: enqueueing to the first request at Mavera, to the first at Segment; last page to the first POST."""
    space_id, asked_at = outcome.sync.request.space_id, outcome.asked_at
    pages = [entry.at for entry in entries if entry.scope == space_id and entry.route == "segment.page"]
    if not pages:
        raise BenchError(f"the sandbox saw no page of {space_id}")
    looked_up = _first(entries, "mavera.list", asked_at)
    return looked_up - asked_at, min(pages) - asked_at, _first(entries, "mavera.create", max(pages)) - max(pages)


def _first(entries: list[Entry], route: str, after: float) -> float:
    return min(entry.at for entry in entries if entry.route == route and entry.at >= after)


FIGURE = Hops()
