"""One rate limit for all workers.

Each request asks Redis for one slot, in one round trip. A slot is `max(now, last + gap, not_before)` by Redis' clock,
and never so early that a window would hold too many (`lua/ratelimit/reserve_slot.lua`). So a request for which the
limit has room goes out at once. The callers of one process are served in the order in which they ask, one at a time; no
process holds more than one slot, and none that is further away than `NEAR_S`. A slot that its caller reaches too late
is given back.

A 429 widens the margin for all workers and stops all requests until the time that it names: in this process at once,
in others when they next ask Redis. A lower limit that the API names, and the end of its limit, are sent to Redis with
the next slot. All of this expires.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from worker.models.allowance import Allowance
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.ratelimit.rate_scope import BURST_S, RateScope
from worker.store.scripts import ratelimit as ratelimit_scripts
from worker.store.scripts.ratelimit import RefusedSlot

LATE_S = 0.01
"""A request that would go out later than its slot by more than this takes another slot, or a window might overrun."""
MICRO_S = 1e-6
"""Resolution of Redis' clock."""
NEAR_S = 0.1
"""How far ahead a slot is reserved. A 429 that another process meets comes too late for such a slot."""
QUIET_S = 30.0
"""Seconds without a 429, two windows at least, after which what was added to the margin is halved."""
LEARNED_S = 60.0
"""Seconds for which a limit that the API named counts; it is sent to Redis again after half of that."""
NEAR_RESET_S = 2.0
"""The end of a limit is ignored if it is at most this many seconds away: it is rounded, and the pace respects it."""


class MustWait(Exception):
    """The next slot is further away than the caller would wait. Nothing was reserved.

    Attributes:
        wait_s: Seconds until the slot.
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"the next slot is {wait_s:.1f} s away")
        self.wait_s = wait_s


@dataclass(frozen=True)
class _Slot:
    """A reserved slot.

    Args:
        time_us: Its time by Redis' clock, in microseconds.
        earliest: The earliest that it can be by our clock, as if the answer of Redis had taken no time.
        latest: The latest that it can be by our clock, as if the way to Redis had taken no time.
    """

    time_us: int
    earliest: float
    latest: float


class Limiter:
    """Slots of one scope for one process, given out in the order in which they are asked for.

    Args:
        pool: The Redis that all processes share.
        scope: The limit.
        longest_pause_s: Longest pause in seconds that an API can order.
        clock: Returns monotonic seconds.
        sleep: Sleeps for the given number of seconds.
    """

    def __init__(
        self,
        pool: StorePool,
        scope: RateScope,
        *,
        longest_pause_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._pool = pool
        self._scope = scope
        self._longest_pause_s = longest_pause_s
        self._quiet_s = max(QUIET_S, 2 * scope.window_s)
        self._clock, self._sleep = clock, sleep
        self._lock = asyncio.Lock()
        self._round_trip_s, self._late_s = 0.0, LATE_S
        self._not_before = -math.inf
        self._learned = math.inf  # the lowest limit that the API named lately
        self._learned_at = -math.inf
        self._untold_limit: int | None = None
        self._untold_pause = False

    async def wait_for_slot(self, longest_s: float) -> None:
        """Returns when the caller may send one request.

        Callers are served in order, so the total wait may exceed `longest_s`.

        Raises:
            MustWait: The next slot is more than `longest_s` away.
        """
        near_s = min(NEAR_S, longest_s)
        unused: _Slot | None = None
        async with self._lock:
            while True:
                pause_s = self._not_before - self._clock()
                if pause_s > 0 and not self._untold_pause:
                    if pause_s > longest_s:
                        raise MustWait(pause_s)
                    await self._sleep(max(pause_s, MICRO_S))
                    continue
                wait_s, slot = await self._reserve(near_s, unused)
                unused = slot
                if slot is None:
                    if wait_s > longest_s:
                        raise MustWait(wait_s)
                    await self._sleep(max(wait_s - near_s, MICRO_S))
                    continue
                wait_s = slot.latest - self._clock()
                if wait_s > 0:
                    await self._sleep(wait_s)
                if self._clock() - slot.earliest <= self._late_s and self._not_before <= slot.latest:
                    return

    async def penalise(self, wait_s: float) -> None:
        """Stops all requests of all workers for `wait_s` seconds after a 429, and widens their margin for a while."""
        self._not_before = max(self._not_before, self._clock() + wait_s)
        await ratelimit_scripts.penalise(
            self._pool,
            limit=keys.limit(self._scope.name),
            wait_us=_micros(wait_s),
            margin=_per_mille(self._scope.margin),
            quiet_us=_micros(self._quiet_s),
        )

    def learn_limit(self, allowance: Allowance) -> None:
        """Learns what an answer says about the API's limit. A change is sent to Redis with the next slot."""
        now, limit = self._clock(), allowance.limit
        if now - self._learned_at > LEARNED_S:
            self._learned = math.inf
        if limit is not None and limit < self._scope.most and limit <= self._learned:
            if limit < self._learned or now - self._learned_at > LEARNED_S / 2:
                self._untold_limit, self._learned_at = limit, now
            self._learned = limit
        pause_s = min(allowance.pause_s, self._longest_pause_s)
        if pause_s > NEAR_RESET_S and now + pause_s > self._not_before:
            self._not_before, self._untold_pause = now + pause_s, True

    def raise_limit(self, limit: float) -> None:
        """Lets this process use a limit of `limit` requests in the window, if that is more than it used so far."""
        if limit > self._scope.most:
            self._scope = replace(self._scope, most=limit)

    async def _reserve(self, near_s: float, unused: _Slot | None) -> tuple[float, _Slot | None]:
        """Reserves the next slot if it is at most `near_s` away; returns how far away it is, and the slot.

        Args:
            near_s: Seconds from now within which a slot is reserved.
            unused: The slot to give back.
        """
        scope, asked_at = self._scope, self._clock()
        limit, not_before = self._untold_limit, self._not_before
        answer = await ratelimit_scripts.reserve_slot(
            self._pool,
            limit=keys.limit(scope.name),
            log=keys.limit_log(scope.name),
            most=scope.most,
            paced=scope.paced,
            margin=_per_mille(scope.margin),
            burst_us=_micros(BURST_S if scope.paced else 0.0),
            gap_us=_micros(scope.gap_s),
            window_us=_micros(scope.window_s),
            quiet_us=_micros(self._quiet_s),
            near_us=_micros(near_s),
            unused_us=unused.time_us if unused else 0,
            heard=limit or 0,
            valid_us=_micros(LEARNED_S),
            pause_us=_micros(max(0.0, not_before - asked_at)) if self._untold_pause else 0,
        )
        if self._untold_limit == limit:
            self._untold_limit = None
        if self._not_before == not_before:
            self._untold_pause = False
        answered_at, wait_s = self._clock(), answer.wait_us / 1e6
        # A single slow answer makes its slot late; where Redis is always slow, its slots have to be used nevertheless.
        self._late_s = max(LATE_S, 2 * self._round_trip_s)
        self._round_trip_s = answered_at - asked_at
        if isinstance(answer, RefusedSlot):
            return wait_s, None
        return wait_s, _Slot(answer.slot_us, asked_at + wait_s, answered_at + wait_s)


def _micros(seconds: float) -> int:
    return math.ceil(seconds * 1e6)


def _per_mille(share: float) -> int:
    return round(share * 1000)
