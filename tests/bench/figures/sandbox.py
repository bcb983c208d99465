"""How it is known that the sandbox is not what limits the other figures: how much faster it serves the same pages to a
client that does nothing with them, and how busy it is while we read."""

from __future__ import annotations

from producer.sandbox import SandboxOptions, SpaceSpec
from tests.bench.figure import Goal, Plot, Sample
from tests.bench.figures.throughput import PAGES, PROFILES, WARM_UP
from tests.bench.process import cpu_s
from tests.bench.rivals import raw_chain
from tests.bench.testbed import Testbed
from tests.support.servers.redis_server import RedisServer

CHAINS = 4


class SandboxLimit:
    name = "sandbox"
    title = "The sandbox is not the limit: pages a second, no latency"
    goals: tuple[Goal, ...] = ()
    opt_in = False
    plot: Plot | None = None

    def measure(self, redis: RedisServer) -> list[Sample]:
        """Ours and the bare client, on one sandbox and the same pages."""
        options = SandboxOptions({"spa_warm_up": WARM_UP}, SpaceSpec(PROFILES, "wide"))
        with Testbed(redis, options) as testbed:
            worker = testbed.start_worker()
            testbed.sync("spa_warm_up", profiles=WARM_UP.profiles)
            busy_s = cpu_s(testbed.sandbox.pid)
            seconds = testbed.sync("spa_ours", profiles=PROFILES).fetching_s
            busy_s = cpu_s(testbed.sandbox.pid) - busy_s
            worker.close()
            chain = raw_chain.requests_a_second(testbed.sandbox.segment_url, ["spa_raw"])
            chains = raw_chain.requests_a_second(testbed.sandbox.segment_url, [f"spa_raw_{n}" for n in range(CHAINS)])
        ours = PAGES / seconds
        return [
            Sample("ours, one worker", ours, "pages/s"),
            Sample("a bare client, one chain", chain, "pages/s", chain / ours, "ours"),
            Sample(f"a bare client, {CHAINS} chains at once", chains, "pages/s", chains / ours, "ours"),
            Sample("the sandbox's processor while we read", 100 * busy_s / seconds, "% of a core"),
        ]


FIGURE = SandboxLimit()
