"""Redis commands that a page costs, in a chain and in fan-out: ours, arq's, and those of looking for jobs."""

from __future__ import annotations

from producer.sandbox import SandboxOptions, SpaceSpec
from tests.bench.figure import Goal, Plot, Sample
from tests.bench.testbed import OUT_OF_THE_WAY, SEGMENT_RATE, Outcome, Testbed
from tests.bench.traffic import Purpose, Traffic, watched
from tests.support.servers.redis_server import RedisServer

CHAIN_PAGES, FAN_OUT_PAGES = 60, 240
PAGE_SIZE, PAGE_S, LISTING_S = 200, 0.05, 0.01
WORKERS = 2
WARM_UP = SpaceSpec(60)
JOBS = 2
"""Of a chain: a walk and a finalizer, for it is shorter than a lease."""

CHAIN_BOUND = 1.5
"""A slot of the rate limit for each page, a checkpoint for about five pages, and heartbeats."""

OURS = "chain: ours, a page (slot, checkpoint, heartbeat)"
FAN_OUT = f"fan-out, {WORKERS} workers: ours and arq's, a page"


class Commands:
    name = "commands"
    title = f"Redis commands, pages × {PAGE_S * 1000:.0f} ms"
    goals = (Goal(OURS, of="value", bound=CHAIN_BOUND), Goal(FAN_OUT, of="value", bound=10))
    opt_in = False
    plot: Plot | None = None

    def measure(self, redis: RedisServer) -> list[Sample]:
        """One sync in each way on warm workers, with all traffic watched."""
        chain, outcome = _watched(redis, CHAIN_PAGES, workers=1, strategy="chain", rate=SEGMENT_RATE)
        fan_out, _ = _watched(
            redis, FAN_OUT_PAGES, workers=WORKERS, strategy="fan-out", rate=OUT_OF_THE_WAY["SEGMENT_RATE"]
        )
        sent = chain.sent
        for_pages = fan_out.sent[Purpose.READING] + fan_out.sent[Purpose.ARQ]
        return [
            Sample(OURS, sent[Purpose.READING] / CHAIN_PAGES, "a page"),
            Sample("chain: ours, once a sync", sent[Purpose.SYNC], "a sync"),
            Sample("chain: arq's, a job", sent[Purpose.ARQ] / JOBS, "a job"),
            Sample("chain: polling", sent[Purpose.POLLING] / outcome.to_end_s, "a second"),
            Sample("chain: watcher and signs of life", sent[Purpose.HOUSEKEEPING] / outcome.to_end_s, "a second"),
            Sample("chain: all of them, a page", sent.total() / CHAIN_PAGES, "a page"),
            Sample("chain: with what runs inside scripts, a page", chain.executed / CHAIN_PAGES, "a page"),
            Sample(FAN_OUT, for_pages / FAN_OUT_PAGES, "a page"),
            Sample("fan-out: all of them, a page", fan_out.sent.total() / FAN_OUT_PAGES, "a page"),
            Sample("fan-out: with what runs inside scripts, a page", fan_out.executed / FAN_OUT_PAGES, "a page"),
        ]


def _watched(redis: RedisServer, pages: int, *, workers: int, strategy: str, rate: str) -> tuple[Traffic, Outcome]:
    space = SpaceSpec(pages * PAGE_SIZE, "wide")
    spaces = {"spa_warm_up": WARM_UP, "spa_ours": space}
    options = SandboxOptions(spaces, latency_s=PAGE_S, listing_latency_s=LISTING_S)
    with Testbed(redis, options) as testbed:
        for _ in range(workers):
            testbed.start_worker(SEGMENT_RATE=rate)
        testbed.sync("spa_warm_up", profiles=WARM_UP.profiles)
        with testbed.redis.client() as client, watched(client) as traffic:
            outcome = testbed.sync("spa_ours", profiles=space.profiles, strategy=strategy)
    return traffic, outcome


FIGURE = Commands()
