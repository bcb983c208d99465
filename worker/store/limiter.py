"""One rate limit for all workers.

A caller reserves the next slot, or a batch of slots, in Redis and gets a *duration* to wait, so no worker's clock
counts. Batches grow while the limit is what callers wait for, and shrink to one slot when slots go unused; a slot
that its caller reaches more than 20 ms late is void, because a late request would meet the slots of others in one
window.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from worker.store import keys
from worker.store.pool import StorePool
from worker.store.scripts import run_script

LATE_S = 0.02
SLOW_S = 0.1
MARGIN = 0.98
"""Share of a limit that is used: at 100 % a jitter of 1 ms overruns a sliding window."""


class MustWait(Exception):
    """The next slot is further away than the caller would wait; nothing was reserved. wait_s: seconds until it."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"the next slot is {wait_s:.1f} s away")
        self.wait_s = wait_s


@dataclass(frozen=True)
class RateScope:
    """What shares one limit: a Segment space, or a Mavera account.

    gap_s: least seconds between two requests. most: requests in any window of `window_s` seconds; 0: the gap says it
    all.
    """

    name: str
    gap_s: float
    most: int = 0
    window_s: float = 0.0

    @classmethod
    def per_second(cls, name: str, rate: float) -> RateScope:
        """An evenly paced limit of `rate` requests a second."""
        return cls(name, gap_s=1 / (rate * MARGIN))

    @classmethod
    def per_minute(cls, name: str, rate: int, gap_s: float) -> RateScope:
        """A limit of `rate` requests in any 60 seconds, which may come at once but for `gap_s`."""
        return cls(name, gap_s=gap_s, most=max(1, int(rate * MARGIN)), window_s=60.0)


class Limiter:
    """Slots of one scope for one caller. clock and sleep come from outside for tests."""

    MAX_BATCH_S = 0.25
    TRIES = 3

    def __init__(
        self,
        pool: StorePool,
        scope: RateScope,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._pool = pool
        self._scope = scope
        self._clock = clock
        self._sleep = sleep
        self._slots: deque[float] = deque()
        self._batch = 1
        self._lock = asyncio.Lock()

    async def slot(self, longest_s: float) -> None:
        """Returns when the caller may send one request. Raises MustWait if that is more than `longest_s` away."""
        while True:
            async with self._lock:
                at = await self._next(longest_s)
            wait_s = at - self._clock()
            if wait_s > 0:
                await self._sleep(wait_s)
            if self._clock() - at <= LATE_S:
                return

    async def penalise(self, wait_s: float) -> None:
        """Nobody sends anything for `wait_s` seconds: the API said so."""
        await run_script(self._pool, "penalise", [keys.limit(self._scope.name)], int(wait_s * 1e6))
        async with self._lock:
            self._slots.clear()

    async def _next(self, longest_s: float) -> float:
        now = self._clock()
        while self._slots:
            at = self._slots.popleft()
            if now - at <= LATE_S:
                return at
            self._batch = 1
        wait_s = await self._reserve(longest_s)
        # The answer was computed after the question was sent: counted from its arrival, no slot comes too early.
        first = self._clock() + wait_s
        self._slots.extend(first + i * self._scope.gap_s for i in range(1, self._batch))
        if wait_s > 0 and not self._scope.most:
            self._batch = min(self._batch * 2, max(1, int(self.MAX_BATCH_S / self._scope.gap_s)))
        return first

    async def _reserve(self, longest_s: float) -> float:
        """Seconds until the first slot of a new batch.

        An answer that was long on its way speaks of slots that may be past; they are void too, but a Redis that is
        always that slow is believed in the end.
        """
        name, scope = keys.limit(self._scope.name), self._scope
        micros = (int(scope.gap_s * 1e6), scope.most, int(scope.window_s * 1e6), int(longest_s * 1e6))
        for _ in range(self.TRIES):
            asked_at = self._clock()
            word, wait_us = await run_script(self._pool, "reserve", [name, f"{name}:log"], self._batch, *micros)
            if word == "refused":
                raise MustWait(int(wait_us) / 1e6)
            if self._clock() - asked_at <= SLOW_S:
                break
            self._batch = 1
        return int(wait_us) / 1e6
