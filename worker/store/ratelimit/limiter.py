"""One rate limit for all workers.

A caller reserves the next slot, or a batch of slots, in Redis; when that is comes back in terms of its own clock, so no
worker's time of day counts. A batch spans up to 250 ms, or 100 ms while others reserve as well; most requests then need
no word with Redis and go out at once. Who is alone and busy reserves the next batch before the last one is used up, so
that none of its requests waits for Redis; while others reserve as well, a caller can at least `foresee` its next slot.
A slot that its caller reaches too late is void (`slots.LATE_S`).

A 429 widens the margin for everyone, and lets nobody send before the time that it names: in this process at once, also
those who hold a slot already; elsewhere with the next reservation, at most `NEAR_S` + `SPAN_S` later. A lower limit in
`X-RateLimit-Limit`, and a `X-RateLimit-Remaining` of 0, are passed on in the same way with the next slot. All of it
wears off.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from uuid import uuid4

from worker.errors import StoreUnavailable
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.ratelimit.header_feedback import LEARNED_S, LimitNews
from worker.store.ratelimit.rate_scope import RateScope
from worker.store.ratelimit.slots import LATE_S, HeldSlots, RedisClock, Slots
from worker.store.scripts import run_script

MICRO_S = 1e-6
"""Redis counts no finer."""
NEAR_S = 0.1
"""How far ahead slots are reserved; who reserves late can still be overtaken by a 429."""
SPAN_S, SHARED_SPAN_S = 0.25, 0.1
"""What a batch spans at most, in seconds: alone, and while others reserve as well."""
QUIET_S = 30.0
"""Seconds without a 429, two windows at least, after which what was added to the margin is halved."""


class MustWait(Exception):
    """The next slot is further away than the caller would wait; nothing was reserved. wait_s: seconds until it."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"the next slot is {wait_s:.1f} s away")
        self.wait_s = wait_s


class Limiter:
    """Slots of one scope for one process, given out in the order in which they are asked for.

    longest_pause_s: how much of what an API orders in its headers is believed. clocks and sleep come from outside.
    """

    TRIES = 3

    def __init__(
        self,
        pool: StorePool,
        scope: RateScope,
        *,
        longest_pause_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._pool = pool
        self._scope = scope
        self._quiet_s = max(QUIET_S, 2 * scope.window_s)
        self._clock, self._wall_clock, self._sleep = clock, wall_clock, sleep
        self._me = uuid4().hex[:12]
        self._redis_clock = RedisClock()
        self._lock = asyncio.Lock()
        self._waiting = 0  # callers without a slot
        self._held = HeldSlots()
        self._reserving_ahead: asyncio.Task[None] | None = None
        self._foreseen: asyncio.Task[None] | None = None
        self._era = 0  # slots of an earlier one are void
        self._shared = False
        self._crowded = False  # the last slot was not free at once
        self._free_at = -math.inf  # no slot is free before
        self._news = LimitNews(scope.most, longest_pause_s)

    async def slot(self, longest_s: float) -> None:
        """Returns when the caller may send one request. Raises MustWait if the next slot is more than `longest_s` away.

        Whoever asked before is served before, so it may take longer than that.
        """
        while True:
            self._waiting += 1
            try:
                async with self._lock:
                    at = await self._next(longest_s)
                    era = self._era
            finally:
                self._waiting -= 1
            wait_s = at - self._clock()
            if wait_s > 0:
                await self._sleep(wait_s)
            if era == self._era and self._clock() - at <= LATE_S:
                return

    def foresee(self, in_s: float) -> None:
        """Says that a slot will be asked for in about `in_s` seconds. Costs nothing, and may save a wait for Redis.

        It is reserved just before, if nothing else is reserved ahead because others reserve as well. Should it be
        reached late, it is lost; so there is nothing to foresee where others wait for slots.
        """
        if self._scope.paced and self._shared and not self._crowded and not self._foreseen:
            self._foreseen = asyncio.create_task(self._reserve_in(max(0.0, in_s - LATE_S / 2)))

    async def penalise(self, wait_s: float) -> None:
        """The API said 429: nobody sends anything for `wait_s` seconds, and all leave more room for a while."""
        self._void(self._clock() + wait_s)
        await self._hold_back(wait_s, widen=True)

    def hear(self, headers: Mapping[str, str]) -> None:
        """Takes note of what an answer of the API says about its limit. Costs nothing unless that is news."""
        until = self._news.hear(headers, self._clock(), self._wall_clock())
        if until is not None:
            self._void(until)

    def raise_limit(self, most: float) -> None:
        """Lets this process use a limit of `most` requests in the window, if that is more than it used so far."""
        if most > self._scope.most:
            self._scope = replace(self._scope, most=most)
            self._news.raise_limit(most)

    def _void(self, until: float) -> None:
        """Nobody here uses a slot that was reserved before, and none before `until`, whether Redis knows yet or not."""
        self._era += 1
        self._held = HeldSlots()
        self._free_at = max(self._free_at, until)

    async def _next(self, longest_s: float) -> float:
        at = self._held.take(self._clock())
        near_s, tries = min(NEAR_S, longest_s), 0
        while at is None and self._reserving_ahead:
            await asyncio.wait({self._reserving_ahead})
            at = self._held.take(self._clock())
        while at is None:
            await self._pass_on()
            away_s = self._free_at - self._clock()
            if away_s <= near_s + MICRO_S:
                tries += 1
                away_s = await self._reserve(near_s, believe=tries >= self.TRIES)
            if away_s > longest_s:
                raise MustWait(away_s)
            if away_s > near_s:
                await self._sleep(max(away_s - near_s, MICRO_S))
            at = self._held.take(self._clock())
        self._keep_ahead()
        return at

    def _keep_ahead(self) -> None:
        """Sees to it that the next batch is there when the present one is used up, if that costs nobody else a slot.

        Who did not need two slots of a batch may not need another for long.
        """
        held = self._held
        alone_and_busy = self._scope.paced and not self._shared and held.current.used >= 2
        if alone_and_busy and not held.ahead.size and held.end - self._clock() <= NEAR_S and not self._reserving_ahead:
            self._reserving_ahead = asyncio.create_task(self._reserve_ahead())

    async def _reserve_in(self, wait_s: float) -> None:
        await self._sleep(wait_s)
        self._foreseen = None
        if self._held.end <= self._clock() and not self._reserving_ahead:
            self._reserving_ahead = asyncio.create_task(self._reserve_ahead())

    async def _reserve_ahead(self) -> None:
        try:
            await self._pass_on()
            # What was passed on, or a 429 in the meantime, may forbid it.
            if self._free_at - self._clock() <= NEAR_S:
                await self._reserve(NEAR_S, believe=False)
        except StoreUnavailable:
            pass  # whoever needs the next slot asks for it, and is told
        finally:
            self._reserving_ahead = None

    async def _reserve(self, near_s: float, *, believe: bool) -> float:
        """Reserves slots if the first is at most `near_s` away and returns 0; else returns how far away it is.

        An answer that was long on its way speaks of slots that may be past: they are void. believe: take the answer for
        a quick one, or a Redis that has become slow for good would never be believed.
        """
        name, scope, era, asked_at = keys.limit(self._scope.name), self._scope, self._era, self._clock()
        span_s = SHARED_SPAN_S if self._shared else SPAN_S
        micros = (_micros(time_s) for time_s in (span_s, scope.gap_s, scope.window_s, self._quiet_s, near_s))
        who, limit = (self._me, self._wanted()), (scope.most, scope.paced, _per_mille(scope.margin))
        answer = await run_script(self._pool, "ratelimit/reserve", [name, f"{name}:log"], *who, *limit, *micros)
        word, now_us, first_us, *rest = answer
        self._crowded = first_us > now_us
        answered_at = self._clock()
        lag_s = self._redis_clock.lag_s(asked_at, answered_at, now_us / 1e6, anew=believe)
        first: float = answered_at + (first_us - now_us) / 1e6 - lag_s
        if word == "refused":
            self._free_at = max(self._free_at, first)
            return self._free_at - answered_at
        gap_us, size, named, shared = rest
        self._shared = bool(shared)
        if era == self._era:
            self._news.in_force = named or math.inf
            self._held.add(Slots(first, gap_us / 1e6, size))
            self._free_at = self._held.end  # at the earliest
        return 0.0

    def _wanted(self) -> int:
        """How many slots to ask for; what does not fit into the span of a batch is not reserved.

        While others reserve as well, one for each caller that waits: a slot that is not used is one that they lack.
        Else twice as many as before, for a slot too many costs nobody anything; but not if hardly two are used in a
        span.
        """
        if not self._scope.paced:
            return 1
        last = self._held.current
        seldom = last.used * SPAN_S < 2 * (self._clock() - last.first)
        return self._waiting if self._shared or seldom else max(self._waiting, 2 * last.size)

    async def _pass_on(self) -> None:
        """Tells everyone what was heard; again at the next slot if Redis cannot be told now."""
        taken_at = self._clock()
        limit, pause_s = self._news.take(taken_at)
        try:
            if limit is not None:
                await run_script(
                    self._pool, "ratelimit/learn_limit", [keys.limit(self._scope.name)], limit, _micros(LEARNED_S)
                )
            if pause_s:
                await self._hold_back(pause_s, widen=False)
        except BaseException:
            self._news.give_back(limit, taken_at + pause_s)
            raise

    async def _hold_back(self, wait_s: float, *, widen: bool) -> None:
        await run_script(
            self._pool,
            "ratelimit/penalize",
            [keys.limit(self._scope.name)],
            _micros(wait_s),
            widen,
            _per_mille(self._scope.margin),
            _micros(self._quiet_s),
        )


def _micros(seconds: float) -> int:
    return math.ceil(seconds * 1e6)


def _per_mille(share: float) -> int:
    return round(share * 1000)
