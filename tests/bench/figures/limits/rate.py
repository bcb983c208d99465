"""How much of a rate limit is used by a dialect that asks once for each profile, and whether there is ever a 429.

The server counts a sliding second, and says what it saw when. What is used is counted from the first request for traits
to the last: the look-up at Mavera, the first list and the last answer are latency, not rate. Several workers share the
limit of one space when each reads it for other rules.
"""

from __future__ import annotations

from producer.sandbox import Entry, SandboxOptions, SpaceSpec
from tests.bench.figure import Goal, Plot, Sample
from tests.bench.testbed import Testbed
from tests.support.servers.redis_server import RedisServer
from worker.clusters import RECIPE
from worker.models.request import SyncRequest

LIMIT = 100
LATENCY_S = 0.15
PROFILES = 600
SPACE = "spa_rate"
VARIANTS = [(workers, jitter_s) for jitter_s in (0.0, 0.03) for workers in (1, 4)]


def _where(workers: int, jitter_s: float) -> str:
    way = f"{jitter_s * 1000:.0f} ms jitter" if jitter_s else "loopback"
    return f"{workers} worker{'s' if workers > 1 else ''}, {way}"


def used(workers: int, jitter_s: float) -> str:
    """The label of what is used of the limit."""
    return f"{_where(workers, jitter_s)}: used of the limit"


def refused(workers: int, jitter_s: float) -> str:
    """The label of how many requests were refused."""
    return f"{_where(workers, jitter_s)}: answers of 429"


class Rate:
    name = "rate"
    title = f"profile-api, {LIMIT} requests in any second allowed, {LATENCY_S * 1000:.0f} ms latency"
    goals: tuple[Goal, ...] = tuple(
        goal
        for variant in VARIANTS
        for goal in (
            Goal(used(*variant), of="value", bound=0.95, at="least"),
            Goal(refused(*variant), of="value", bound=0, at="most"),
        )
    )
    opt_in = False
    plot: Plot | None = None

    def measure(self, redis: RedisServer) -> list[Sample]:
        """The same number of profiles each time, by one worker and by several, on loopback and with jitter."""
        samples = []
        for workers, jitter_s in VARIANTS:
            entries = _read(redis, workers, jitter_s)
            share = per_second(entries) / LIMIT
            samples.append(Sample(used(workers, jitter_s), share, "of the limit"))
            number = sum(entry.status == 429 for entry in entries)
            samples.append(Sample(refused(workers, jitter_s), number, "answers"))
        return samples


def _read(redis: RedisServer, workers: int, jitter_s: float) -> list[Entry]:
    profiles = PROFILES // workers
    spaces = {SPACE: SpaceSpec(profiles, "wide")}
    options = SandboxOptions(spaces, segment_limit=LIMIT, latency_s=LATENCY_S, jitter_s=jitter_s)
    with Testbed(redis, options) as testbed:
        url = f"{testbed.sandbox.url}/v1"
        for _ in range(workers):
            testbed.start_worker(SEGMENT_RATE=str(LIMIT), SEGMENT_BASE_URL=url, WORKER_SLOTS="1")
        testbed.run([_request(number) for number in range(workers)], profiles=profiles)
        return testbed.sandbox.entries()


def _request(number: int) -> SyncRequest:
    rules = RECIPE.model_copy(update={"name": f"recipe-{number}"})
    return SyncRequest(space_id=SPACE, dialect="profile-api", mode="create", rules=rules)


def per_second(entries: list[Entry]) -> float:
    """Requests for traits and lists a second, from the first request for traits to the last."""
    traits = [entry.at for entry in entries if entry.route == "segment.traits"]
    first, last = min(traits), max(traits)
    between = sum(first < entry.at <= last for entry in entries if entry.route.startswith("segment."))
    return between / (last - first)


FIGURE = Rate()
