"""How much of a rate limit is used by a dialect that asks once for each profile, and whether there is ever a 429."""

from __future__ import annotations

from tests.bench.figure import Goal, Plot, Sample
from tests.bench.stage import Stage
from tests.support.redis_server import RedisServer
from worker.sandbox import SandboxOptions, SpaceSpec

LIMIT = 100
LATENCY_S = 0.15
PROFILES = 1000

USED = "used of the limit"
REFUSED = "answers of 429"


class Rate:
    name = "rate"
    title = f"profile-api, {LIMIT} requests in any second allowed, {LATENCY_S * 1000:.0f} ms latency"
    goals: tuple[Goal, ...] = (
        Goal(USED, of="value", bound=0.95, at="least"),
        Goal(REFUSED, of="value", bound=0, at="most"),
    )
    plot: Plot | None = None

    def measure(self, redis: RedisServer) -> list[Sample]:
        """One worker reads a space at the server's own limit; every request counts, the lists too."""
        spec = SpaceSpec(PROFILES, "wide")
        options = SandboxOptions({"spa_rate": spec}, segment_limit=LIMIT, latency_s=LATENCY_S)
        with Stage(redis, options) as stage:
            stage.start_worker(SEGMENT_RATE=str(LIMIT), SEGMENT_BASE_URL=f"{stage.sandbox.url}/v1")
            outcome = stage.sync("spa_rate", profiles=PROFILES, dialect="profile-api")
            counts = stage.sandbox.counts()
        asked = sum(number for (route, _), number in counts.items() if route.startswith("segment."))
        refused = sum(number for (_, status), number in counts.items() if status == 429)
        return [
            Sample(USED, asked / outcome.fetching_s / LIMIT, "of the limit"),
            Sample("requests", asked, "requests"),
            Sample(REFUSED, refused, "answers"),
        ]


FIGURE = Rate()
