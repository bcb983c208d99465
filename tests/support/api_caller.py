"""A caller of an API in fake time, and requests that fail as a test says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import aiohttp

from tests.support.clocks.fake_time import FakeTime, services_for
from worker.errors import Retry, WaitUntil
from worker.jobs.api_caller import ApiCaller
from worker.jobs.services import WorkerServices
from worker.store import RateScope, StorePool
from worker.store.ratelimit.limiter import MustWait

SCOPE = RateScope("segment:spa_1", gap_s=1e-6)
NOWHERE = "http://127.0.0.1:1"


class Bench:
    """One worker's services in fake time, and a caller of an API that fails as told."""

    def __init__(self, pool: StorePool, session: aiohttp.ClientSession) -> None:
        self.pool, self.session = pool, session
        self.time = FakeTime(pool)

    def services(self, url: str, **settings: object) -> WorkerServices:
        services = services_for(self.pool, self.session, self.time, url, **settings)
        services.retry_policy = replace(services.retry_policy, draw=lambda: 1.0)
        return services

    def caller(self, trouble_ms: int = 0, *, scope: RateScope = SCOPE, **settings: object) -> ApiCaller:
        limiter = self.time.limiter(self.pool, scope)
        return ApiCaller(limiter, "Segment", self.services(NOWHERE, **settings).retry_policy, trouble_ms)

    async def others_wait_s(self, scope: RateScope = SCOPE) -> float:
        """How long another worker's limiter of the same scope would have to wait; 0 if not at all."""
        try:
            await self.time.limiter(self.pool, scope).wait_for_slot(0.0)
        except MustWait as wait:
            return wait.wait_s
        return 0.0


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """A request that fails so, one after the other, then succeeds."""
    left = list(errors)

    async def request() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return request


def always(error: Exception) -> Callable[[], Awaitable[str]]:
    async def request() -> str:
        raise error

    return request


def unavailable() -> Retry:
    return Retry("segment_unavailable", "Segment, space spa_1, page 3: 503", request_id="req_1")


def limited(wait_s: float | None) -> WaitUntil:
    return WaitUntil("segment_rate_limit", "Segment, space spa_1, page 3: 429", wait_s=wait_s)
