"""Fan-out beside the chain, where a page with traits takes five times as long as one of the list without them."""

from __future__ import annotations

from producer.sandbox import SandboxOptions, SpaceSpec
from tests.bench.figure import Goal, Plot, Sample
from tests.bench.testbed import Testbed
from tests.support.servers.redis_server import RedisServer

WORKERS = 2
PAGES, PAGE_SIZE = 1000, 200
CHAIN_PAGES = 100
"""Every page of a chain takes as long as the others: a tenth of them tells all in a tenth of the time."""
PAGE_S, LISTING_S = 0.05, 0.01

FAN_OUT = f"fan-out, {WORKERS} workers"
CHAIN = f"the chain, from {CHAIN_PAGES} pages"
TIMES = "the chain's time ÷ fan-out's"


class FanOut:
    name = "fan_out"
    title = f"{PAGES:,} pages × {PAGE_S * 1000:.0f} ms, in a list × {LISTING_S * 1000:.0f} ms"
    goals = (Goal(TIMES, of="value", bound=4.4, at="least"),)
    opt_in = False
    plot = Plot("value", rows=(FAN_OUT, CHAIN), ours=(FAN_OUT, CHAIN))

    def measure(self, redis: RedisServer) -> list[Sample]:
        """The chain on its own space, then fan-out, with the same workers and sandbox."""
        small, large = SpaceSpec(CHAIN_PAGES * PAGE_SIZE, "wide"), SpaceSpec(PAGES * PAGE_SIZE, "wide")
        options = SandboxOptions(
            {"spa_chain": small, "spa_fan_out": large}, latency_s=PAGE_S, listing_latency_s=LISTING_S
        )
        with Testbed(redis, options) as testbed:
            for _ in range(WORKERS):
                testbed.start_worker()
            chain = testbed.sync("spa_chain", profiles=small.profiles, strategy="chain")
            fan_out = testbed.sync("spa_fan_out", profiles=large.profiles, strategy="fan-out")
        chain_s = chain.to_last_page_s / CHAIN_PAGES * PAGES
        return [
            Sample(
                FAN_OUT, fan_out.to_last_page_s, "s", fan_out.to_last_page_s / (PAGES * LISTING_S), "the list's latency"
            ),
            Sample(CHAIN, chain_s, "s", chain_s / (PAGES * PAGE_S), "the pages' latency"),
            Sample(TIMES, chain_s / fan_out.to_last_page_s, "×"),
        ]


FIGURE = FanOut()
