"""How much of a rate limit a worker uses that gets the processor for 20 ms of every 100, and how much is refused.

That is what a CPU limit of a container does to its processes. Here the worker is stopped for the rest of each period,
while the sandbox and Redis continue.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from producer.sandbox import SandboxOptions, SpaceSpec
from tests.bench.figure import Goal, Plot, Sample
from tests.bench.figures.limits.rate import LATENCY_S, per_second
from tests.bench.testbed import Testbed
from tests.support.servers.redis_server import RedisServer

RATE = 50
PROFILES = 300
SPACE = "spa_throttled"
RUNS_S, PERIOD_S = 0.02, 0.1

USED = "used of the limit"
REFUSED = "answers of 429, of all requests"


class Throttled:
    name = "throttled"
    title = f"profile-api, {RATE} requests a second allowed, a worker that runs {RUNS_S * 1000:.0f} ms of every 100"
    goals = (Goal(USED, of="value", bound=0.7, at="least"), Goal(REFUSED, of="value", bound=0.01))
    opt_in = False
    plot: Plot | None = None

    def measure(self, redis: RedisServer) -> list[Sample]:
        """One sync of one worker, throttled from before its begin to its end."""
        options = SandboxOptions({SPACE: SpaceSpec(PROFILES, "wide")}, segment_limit=RATE, latency_s=LATENCY_S)
        with Testbed(redis, options) as testbed:
            worker = testbed.start_worker(SEGMENT_RATE=str(RATE), SEGMENT_BASE_URL=f"{testbed.sandbox.url}/v1")
            with throttled(worker.process.pid):
                testbed.sync(SPACE, profiles=PROFILES, dialect="profile-api")
            entries = testbed.sandbox.entries()
        refused = sum(entry.status == 429 for entry in entries) / len(entries)
        return [
            Sample(USED, per_second(entries) / RATE, "of the limit"),
            Sample(REFUSED, refused, "of all"),
        ]


@contextmanager
def throttled(pid: int) -> Iterator[None]:
    """A process runs for `RUNS_S` of every `PERIOD_S` while the block does."""
    over = threading.Event()

    def throttle() -> None:
        period_at = time.monotonic()
        while not over.wait(max(0.0, period_at - time.monotonic())):
            os.kill(pid, signal.SIGCONT)
            over.wait(RUNS_S)
            os.kill(pid, signal.SIGSTOP)
            period_at += PERIOD_S
        os.kill(pid, signal.SIGCONT)

    thread = threading.Thread(target=throttle)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


FIGURE = Throttled()
