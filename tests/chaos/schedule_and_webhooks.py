"""The schedule of a round, whose tick comes again and again, and the receiver of its webhooks, which fails at times."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Collection

from producer import SyncClient, SyncRequest
from tests.support.scenarios.checks import until
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.web_server import WebServer, answer, serving
from tests.support.servers.webhook_receiver import verified_events
from worker.errors import StoreUnavailable
from worker.models.schedule import Schedule
from worker.settings import load_settings
from worker.store import keys, redis_pool
from worker.store.connection.pool import closing

_TURN_OF_THE_YEAR = "0 0 1 1 *"
_TICK_S = 60
"""The tick that comes again and again: a minute after the start of Unix time."""


class ScheduleAndWebhooks:
    """A schedule and a receiver.

    Args:
        redis: Where the schedule is.
        request: Of the schedule.

    Attributes:
        fails: Whether the receiver fails every third time.
        receiver: The receiver of webhooks, while `receiving`.
    """

    def __init__(self, redis: RedisServer, request: SyncRequest) -> None:
        self._redis = redis
        self._request = request
        self.fails = True
        self.receiver = WebServer()

    @contextlib.asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Receives webhooks while the block runs."""
        async with serving(self._receive) as self.receiver:
            yield

    async def _receive(self) -> AsyncIterator[bytes]:
        yield answer(500 if self.fails and len(self.receiver.requests) % 3 == 0 else 200)

    async def tick(self, max_wait_s: float = 1.0) -> str:
        """The tick comes, once more, unless Redis is away. Returns the id of the schedule."""
        settings = load_settings(stall_s=2, heartbeat_s=0.5)
        schedule = Schedule(request=self._request, cron=_TURN_OF_THE_YEAR)
        with contextlib.suppress(StoreUnavailable):
            async with closing(redis_pool(self._redis.url, max_wait_s=max_wait_s)) as pool:
                await SyncClient.from_pool(pool, settings).schedules.put(schedule)
                await pool.hset(keys.schedule(schedule.id), "next", str(_TICK_S * 1000))  # type: ignore[misc]
                await pool.zadd(keys.TICKS, {schedule.id: _TICK_S * 1000})
        return schedule.id

    async def handled_tick(self, client: SyncClient, max_wait_s: float) -> str:
        """The id of the sync of the tick, which comes now at the latest."""
        schedule_id = await self.tick(max_wait_s)

        async def handled() -> bool:
            found = await client.schedules.get(schedule_id)
            return bool(found.last_sync_id) and found.next_tick != _TICK_S

        await until(handled)
        return (await client.schedules.get(schedule_id)).last_sync_id

    async def end_pauses(self) -> None:
        """Lets the next attempt at each event come now."""
        async with closing(redis_pool(self._redis.url, max_wait_s=5)) as pool:
            for outbox in await pool.keys(f"{keys.outbox('')}*"):
                for event in await pool.zrange(outbox, 0, -1):
                    await pool.zadd(outbox, {event: 1}, xx=True)

    def check_events(self, sync_ids: Collection[str], *, power_cuts: bool) -> None:
        """Each end has arrived, and no id belongs to two events.

        Args:
            sync_ids: The syncs that have completed.
            power_cuts: Whether there were any: one may take a sync back to before its end, which then comes twice.
        """
        bodies: dict[str, set[bytes]] = {}
        for request in self.receiver.requests:
            bodies.setdefault(request.headers["webhook-id"], set()).add(request.body)
        assert {len(found) for found in bodies.values()} == {1}
        by_id = {
            request.headers["webhook-id"]: event
            for request, event in zip(self.receiver.requests, verified_events(self.receiver), strict=True)
        }
        completed = Counter(event["data"]["sync_id"] for event in by_id.values() if event["type"] == "sync.completed")
        for sync_id in sync_ids:
            assert completed[sync_id] >= 1 if power_cuts else completed[sync_id] == 1, (sync_id, completed)
