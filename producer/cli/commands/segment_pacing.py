"""The pace of commands that ask Segment themselves: the shared limit of the space if a Redis keeps it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from producer.cli.connect import REDIS_MAX_WAIT_S
from worker.errors import ConfigurationError, StoreUnavailable, StoreUnusable
from worker.jobs.store_factories import segment_limiter, store_pool
from worker.models.allowance import Allowance
from worker.segment import retry_transient
from worker.settings import Settings
from worker.store import Limiter
from worker.store.connection.pool import closing

T = TypeVar("T")


class Pace:
    """Sends requests at most `rate` times a second, and when the limiter permits it.

    limiter: what all processes share; None: nobody else's requests are known.
    """

    def __init__(self, rate: float, limiter: Limiter | None = None) -> None:
        self._gap_s = 1 / rate
        self._next = time.monotonic()
        self._limiter = limiter

    async def __call__(self, send: Callable[[], Awaitable[T]]) -> T:
        await self.slot()
        return await retry_transient(send)

    def observe_allowance(self, allowance: Allowance) -> None:
        """Takes note of what an answer says about the limit."""
        if self._limiter is not None:
            self._limiter.learn_limit(allowance)

    async def slot(self) -> None:
        """Returns when one request may be sent."""
        if self._limiter is not None:
            with contextlib.suppress(StoreUnavailable, StoreUnusable):
                await self._limiter.wait_for_slot(math.inf)
                return
            self._limiter = None
        now = time.monotonic()
        slot = max(now, self._next)
        self._next = slot + self._gap_s
        await asyncio.sleep(slot - now)


@contextlib.asynccontextmanager
async def space_pace(settings: Settings, space_id: str) -> AsyncIterator[Pace]:
    """The pace for a space: shared through the Redis of REDIS_URL, if it is set and well-formed."""
    async with contextlib.AsyncExitStack() as stack:
        limiter = None
        if settings.redis_url is not None:
            with contextlib.suppress(ConfigurationError):
                pool = await stack.enter_async_context(closing(store_pool(settings, max_wait_s=REDIS_MAX_WAIT_S)))
                limiter = segment_limiter(pool, settings, space_id)
        yield Pace(settings.segment_rate, limiter)
