"""Limiters in virtual time: callers, a slow connection to Redis, and the check that a limit was kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import pairwise
from typing import Any, cast

from tests.support.clocks.virtual_time import now
from worker.errors import StoreUnavailable
from worker.store import Limiter, RateScope, StorePool

LONG_S = 1000.0
MICRO = 2e-6  # Redis counts whole microseconds
FAST = RateScope.per_second("fast", 50)
MINUTE = RateScope.per_minute("minute", 60, gap_s=0.3)
FAST_GAP_S = 1 / (50 * 0.96)

Sleep = Callable[[float], Awaitable[None]]


class Connection:
    """The connection of one process to the shared Redis: it may be slow or away, and counts what is asked.

    delays: seconds that the answers take, in order; afterwards they take none.
    """

    def __init__(self, pool: StorePool, delays: Iterable[float] = ()) -> None:
        self._pool = pool
        self._delays = iter(delays)
        self.prefix = pool.prefix
        self.asked = 0
        self.away = False

    async def execute_command(self, *words: Any) -> Any:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("Redis does not answer")
        answer = await self._pool.execute_command(*words)
        await asyncio.sleep(next(self._delays, 0.0))
        return answer


def make(pool: StorePool | Connection, scope: RateScope, sleep: Sleep = asyncio.sleep) -> Limiter:
    """A limiter with the clock of the running loop."""
    return Limiter(cast(StorePool, pool), scope, clock=now, sleep=sleep)


async def call(one: Limiter, times: int, busy: Callable[[], float] = lambda: 0.0) -> list[float]:
    """When a caller may send, call after call, with something else to do in between."""
    moments = []
    for _ in range(times):
        await one.wait_for_slot(LONG_S)
        moments.append(now())
        await asyncio.sleep(busy())
    return moments


async def use_up(pool: StorePool, scope: RateScope) -> None:
    """Takes the slots that a scope may give out at once."""
    one = make(pool, scope)
    began_at = now()
    while now() == began_at:
        await one.wait_for_slot(LONG_S)


def assert_kept(moments: list[float], scope: RateScope, late_s: float = 0.0) -> None:
    """No two requests are too close, and no window holds too many; late_s: how late a slot may have been used."""
    ordered, slack_s = sorted(moments), late_s + MICRO
    if scope.gap_s:
        assert min((later - earlier for earlier, later in pairwise(ordered)), default=LONG_S) >= scope.gap_s - slack_s
    if at_once := max(1, int(scope.most)) if scope.paced else allowed(scope):
        windows = [later - earlier for earlier, later in zip(ordered, ordered[at_once:], strict=False)]
        least_s = scope.window_s / (1 - scope.margin) if scope.paced else scope.window_s
        assert min(windows, default=least_s) >= least_s - slack_s


def allowed(scope: RateScope) -> int:
    """How many requests are sent in a window at most; 0 without a window."""
    return int(scope.most * (1 - scope.margin))
