"""The window that a claim cannot close: from the last look at its deadline to the arrival of the POST that it permits.

What is measured ends at the server, so it is more than the window itself, which ends with the system call that sends.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from producer.sandbox import SandboxOptions, SpaceSpec, profiles
from tests.bench.figure import Goal, Plot, Sample
from tests.bench.testbed import Testbed
from tests.support.servers.redis_server import RedisServer
from worker.clusters import RECIPE, Aggregate, fold, summarise
from worker.http.client import new_session
from worker.jobs.api_factories import mavera_client
from worker.mavera import build_payload, make_reference
from worker.settings import load_settings

POSTS = 200


class Window:
    name = "window"
    title = f"From the last look at a claim's deadline to the arrival of the POST, {POSTS} times"
    goals: tuple[Goal, ...] = ()
    opt_in = False
    plot: Plot | None = None

    def measure(self, redis: RedisServer) -> list[Sample]:
        """POSTs one after the other on an open connection, as a finalizer sends them."""
        with Testbed(redis, SandboxOptions({})) as testbed:
            looked_at = asyncio.run(_post(testbed.sandbox.mavera_url))
            arrived = [entry.at for entry in testbed.sandbox.entries() if entry.route == "mavera.create"]
        windows = [1e6 * (arrival - look) for look, arrival in zip(looked_at, arrived, strict=True)]
        return [
            Sample("median", statistics.median(windows), "µs"),
            Sample("longest", max(windows), "µs"),
        ]


async def _post(url: str) -> list[float]:
    """Sends the POSTs; returns when each was permitted, monotonic seconds."""
    aggregate = Aggregate()
    fold(aggregate, list(profiles(SpaceSpec(60, "recipe"))))
    payload = build_payload(summarise(aggregate)[0], make_reference("spa", "users", "recipe", "high_value"), RECIPE)
    looked_at: list[float] = []

    def permit() -> bool:
        looked_at.append(time.monotonic())
        return True

    async with new_session() as session:
        settings = load_settings(mavera_api_key="mvra_test_sandbox", mavera_base_url=url)
        client = mavera_client(settings, session)
        for _ in range(POSTS):
            await client.create(payload, permit)
    return looked_at


FIGURE = Window()
