"""A server that counts a sliding window, and workers that ask it as fast as their limiters let them, in sleepy time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass

from producer.sandbox.rate_limit import SlidingWindow
from tests.support.clocks.virtual_time import now
from worker.store import Limiter, RateScope, StorePool, embedded_pool
from worker.store.connection.pool import closing
from worker.store.ratelimit.limiter import MustWait

LONG_S = 1000.0


@dataclass(frozen=True)
class Load:
    """Who asks, and over what. jitter_s: the longest that a request is on its way, any time up to it is as likely.

    callers: in each worker. answer_s: from a request's arrival to its answer. late: whether workers' wake-ups are:
    mostly by less than a millisecond, at times by more than a slot may be.
    """

    rate: float
    limit: int
    workers: int = 1
    callers: int = 32
    jitter_s: float = 0.0
    answer_s: float = 0.15
    late: bool = True


class Outcome:
    """What the server saw: when requests arrived, and how many it refused."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.refused = 0
        self.by_worker: Counter[int] = Counter()

    @property
    def per_second(self) -> float:
        """Requests a second that were let through, from the first to the last arrival."""
        ordered = sorted(self.arrivals)
        return (len(ordered) - 1 - self.refused) / (ordered[-1] - ordered[0])


async def ask(load: Load, seconds: float, seed: int = 1) -> Outcome:
    """Workers with a Redis of their own ask for so long; a refusal makes everyone wait for a second."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(closing(embedded_pool()))
        return await Run(load, pool, seed).run(seconds)


class Run:
    """One run of a load."""

    def __init__(self, load: Load, pool: StorePool, seed: int) -> None:
        scope = RateScope.per_second("space", load.rate)
        self._load = load
        self._chance = random.Random(seed)
        self._window = SlidingWindow(load.limit, 1.0)
        self._seen = Outcome()
        self.limiters = [Limiter(pool, scope, clock=now, sleep=self._sleep) for _ in range(load.workers)]

    async def run(self, seconds: float) -> Outcome:
        """Asks for so long."""
        callers = [
            asyncio.create_task(self._ask(n)) for n in range(self._load.workers) for _ in range(self._load.callers)
        ]
        try:
            done, _ = await asyncio.wait(callers, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for failed in done:
                failed.result()
        finally:
            for caller in callers:
                caller.cancel()
            await asyncio.wait(callers)
        return self._seen

    async def _sleep(self, seconds: float) -> None:
        late_s = self._chance.uniform(0, 0.012 if self._chance.random() < 0.02 else 0.001) if self._load.late else 0.0
        await asyncio.sleep(seconds + late_s)

    async def _ask(self, number: int) -> None:
        limiter = self.limiters[number]
        while True:
            try:
                await limiter.wait_for_slot(LONG_S)
            except MustWait as wait:
                await asyncio.sleep(wait.wait_s)
                continue
            await asyncio.sleep(self._chance.uniform(0, self._load.jitter_s))
            allowed = self._window.hit(now()).allowed
            self._seen.arrivals.append(now())
            self._seen.by_worker[number] += 1
            await asyncio.sleep(self._load.answer_s)
            if not allowed:
                self._seen.refused += 1
                await limiter.penalise(1.0)
