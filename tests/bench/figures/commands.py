"""Redis commands that a page of a chain costs: ours, arq's, and those of looking for jobs."""

from __future__ import annotations

from tests.bench.figure import Goal, Plot, Sample
from tests.bench.stage import Stage
from tests.bench.traffic import Purpose, watched
from tests.support.redis_server import RedisServer
from worker.sandbox import SandboxOptions, SpaceSpec

PAGES, PAGE_SIZE, LATENCY_S = 60, 200, 0.05
PROFILES = PAGES * PAGE_SIZE
JOBS = 2
"""A walk and a finalizer: the chain is shorter than a lease."""

OURS = "ours, a page (slot, checkpoint, heartbeat)"


class Commands:
    name = "commands"
    title = f"Redis commands of one chain of {PAGES} pages × {LATENCY_S * 1000:.0f} ms"
    goals = (Goal(OURS, of="value", bound=1),)
    plot: Plot | None = None

    def measure(self, redis: RedisServer) -> list[Sample]:
        """One sync on a warm worker, with all traffic watched."""
        warm_up = SpaceSpec(60)
        spaces = {"spa_warm_up": warm_up, "spa_ours": SpaceSpec(PROFILES, "wide")}
        with Stage(redis, SandboxOptions(spaces, latency_s=LATENCY_S, prebuilt=True)) as stage:
            stage.start_worker()
            stage.sync("spa_warm_up", profiles=warm_up.profiles)
            with stage.redis.client() as client, watched(client) as traffic:
                outcome = stage.sync("spa_ours", profiles=PROFILES)
        sent, total = traffic.sent, traffic.sent.total()
        return [
            Sample(OURS, sent[Purpose.WALK] / PAGES, "a page"),
            Sample("ours, once a sync", sent[Purpose.SYNC], "a sync"),
            Sample("arq's, a job", sent[Purpose.ARQ] / JOBS, "a job"),
            Sample("polling", sent[Purpose.POLLING] / outcome.to_end_s, "a second"),
            Sample("watcher and signs of life", sent[Purpose.HOUSEKEEPING] / outcome.to_end_s, "a second"),
            Sample("all of them, a page", total / PAGES, "a page"),
            Sample("all of them and what runs inside scripts, a page", traffic.executed / PAGES, "a page"),
        ]


FIGURE = Commands()
