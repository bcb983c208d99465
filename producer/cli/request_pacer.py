"""Paces the requests of commands to Segment: by the shared limit of the space, if a Redis keeps it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from producer.cli.connect import open_pool
from producer.state.pool import directory_of
from producer.state.server import is_running
from worker.errors import ConfigurationError, StoreUnavailable, StoreUnusable
from worker.jobs.api_factories import segment_limiter
from worker.models.allowance import Allowance
from worker.segment import retry_transient
from worker.settings import Settings
from worker.store import Limiter

T = TypeVar("T")


class RequestPacer:
    """Sends requests at most `rate` times a second, and when the limiter permits it.

    Args:
        limiter: The rate limit that all processes share; None: only requests of this process are counted.
    """

    def __init__(self, rate: float, limiter: Limiter | None = None) -> None:
        self._gap_s = 1 / rate
        self._next = time.monotonic()
        self._limiter = limiter

    async def __call__(self, send: Callable[[], Awaitable[T]]) -> T:
        """Sends a request and returns its answer; after a transient failure, `retry_transient` sends it again."""
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
async def open_request_pacer(settings: Settings, space_id: str) -> AsyncIterator[RequestPacer]:
    """Opens the pacer of a space: shared through the Redis of REDIS_URL, or a running server of the state directory."""
    async with contextlib.AsyncExitStack() as stack:
        limiter = None
        with contextlib.suppress(ConfigurationError):
            if settings.redis_url is not None or is_running(directory_of(settings)):
                pool = await stack.enter_async_context(open_pool(settings))
                limiter = segment_limiter(pool, settings, space_id)
        yield RequestPacer(settings.segment_rate, limiter)
