"""A straightforward arq worker, on all of arq's defaults: a job fetches one page, counts it, and enqueues the next.

It counts in memory, so that what it would have to keep in Redis costs it nothing. `page_a_job` starts it.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import Any, ClassVar

import aiohttp
from arq.connections import ArqRedis, RedisSettings

from tests.bench.rivals.recipe import classify

DONE = "bench:done"
"""Key that the last job of a chain sets: when, in seconds of the monotonic clock."""


async def fetch_page(ctx: dict[str, Any], space_id: str, cursor: str, pages: int) -> None:
    """One page; `pages` are still to come, this one included."""
    redis: ArqRedis = ctx["redis"]
    session: aiohttp.ClientSession = ctx["session"]
    counts: Counter[str] = ctx["counts"]
    params = {"limit": "200", "include": "traits", **({"cursor": cursor} if cursor else {})}
    async with session.get(f"/spaces/{space_id}/collections/users/profiles", params=params) as reply:
        data = (await reply.json())["data"]
    counts.update(classify(profile["traits"]) for profile in data["profiles"])
    following = data["cursor"].get("next")
    if following and pages > 1:
        await redis.enqueue_job("fetch_page", space_id, following, pages - 1)
    else:
        await redis.set(DONE, str(time.monotonic()))


async def startup(ctx: dict[str, Any]) -> None:
    """One session for all jobs, as anyone would have it."""
    headers = {"Authorization": f"Bearer {os.environ['SEGMENT_TOKEN']}"}
    ctx["session"] = aiohttp.ClientSession(os.environ["SEGMENT_BASE_URL"], headers=headers)
    ctx["counts"] = Counter()


async def shutdown(ctx: dict[str, Any]) -> None:
    await ctx["session"].close()


class WorkerSettings:
    """What arq's command line reads."""

    functions: ClassVar[list[Any]] = [fetch_page]
    on_startup = startup
    on_shutdown = shutdown
    redis_settings = RedisSettings.from_dsn(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))
