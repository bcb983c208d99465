"""One rate limit for all workers.

A caller reserves the next slot, or a batch of slots, in Redis and gets a *duration* to wait, so no worker's clock
counts. A slot that its caller reaches more than 20 ms late is void, because a late request would meet the slots of
others in one window. A batch spans up to 250 ms as long as its caller sends something like ten requests a second or
more: most of them then need no word with Redis, and go out at once.
"""

from __future__ import annotations

import asyncio
import math
import time
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


@dataclass
class _Batch:
    """Reserved slots, the i-th (from 0) at `first` + i `gap_s`. next: the first not given out; used: how many were."""

    first: float
    gap_s: float
    size: int
    next: int = 0
    used: int = 0

    def take(self, now: float) -> float | None:
        """The next slot that is not void; None if there is none left."""
        not_void = math.ceil((now - LATE_S - self.first) / self.gap_s) if self.gap_s else 0
        index = max(self.next, not_void)
        if index >= self.size:
            return None
        self.next = index + 1
        self.used += 1
        return self.first + index * self.gap_s


class Limiter:
    """Slots of one scope for one caller. clock and sleep come from outside for tests."""

    SPAN_S = 0.25
    """What a batch spans at most, in seconds."""
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
        self._batch = _Batch(0.0, 0.0, 0)
        self._reserved_at = clock()
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
            self._batch = _Batch(0.0, 0.0, 0)

    async def _next(self, longest_s: float) -> float:
        at = self._batch.take(self._clock())
        while at is None:
            size = self._next_size()
            wait_s = await self._reserve(size, longest_s)
            # The answer was computed after the question was sent: counted from its arrival, no slot comes too early.
            self._reserved_at = self._clock()
            self._batch = _Batch(self._reserved_at + wait_s, self._scope.gap_s, size)
            at = self._batch.take(self._reserved_at)
        return at

    def _next_size(self) -> int:
        """Twice the last batch, up to `SPAN_S`; but one if no more than one slot is likely to be used in that span."""
        if self._scope.most or self._scope.gap_s <= 0:
            return 1
        elapsed_s = self._clock() - self._reserved_at
        if self._batch.used * self.SPAN_S < 2 * elapsed_s:
            return 1
        return max(1, min(2 * self._batch.size, int(self.SPAN_S / self._scope.gap_s)))

    async def _reserve(self, size: int, longest_s: float) -> float:
        """Seconds until the first slot of a new batch.

        An answer that was long on its way speaks of slots that may be past; they are void too, but a Redis that is
        always that slow is believed in the end.
        """
        name, scope = keys.limit(self._scope.name), self._scope
        micros = (math.ceil(scope.gap_s * 1e6), scope.most, math.ceil(scope.window_s * 1e6), int(longest_s * 1e6))
        for _ in range(self.TRIES):
            asked_at = self._clock()
            word, wait_us = await run_script(self._pool, "reserve", [name, f"{name}:log"], size, *micros)
            if word == "refused":
                raise MustWait(int(wait_us) / 1e6)
            if self._clock() - asked_at <= SLOW_S:
                break
        return int(wait_us) / 1e6
