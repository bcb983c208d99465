"""The rate limiters of both APIs, made from the settings. All processes share their state in Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from worker.jobs.store_factories import known_account
from worker.settings import Settings
from worker.store import Limiter, RateScope, StorePool


def segment_limiter(
    pool: StorePool,
    settings: Settings,
    space_id: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Limiter:
    """Makes the limiter of a space, which all processes share that send requests about it.

    Args:
        pool: Client of Redis.
        settings: Of the process.
        space_id: Id of the space.
        clock: Returns monotonic seconds.
        sleep: Sleeps for the given number of seconds.
    """
    scope = RateScope.per_second(f"segment:{space_id}", settings.segment_rate)
    return Limiter(pool, scope, longest_pause_s=settings.retry_after_max_s, clock=clock, sleep=sleep)


def mavera_limiter(
    pool: StorePool,
    settings: Settings,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Limiter:
    """Makes the limiter of the Mavera account, which all processes share; arguments: as of `segment_limiter`."""
    scope = RateScope.per_minute(f"mavera:{known_account(settings)}", settings.mavera_rate, settings.mavera_gap_s)
    return Limiter(pool, scope, longest_pause_s=settings.retry_after_max_s, clock=clock, sleep=sleep)
