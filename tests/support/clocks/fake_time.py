"""Time that passes only when somebody sleeps."""

from __future__ import annotations

import aiohttp

from worker.jobs.services import WorkerServices
from worker.jobs.store_factories import client_sync_store
from worker.settings import load_settings
from worker.store import ClientSyncStore, Limiter, RateScope, StorePool, keys

_MOMENTS = {b"last", b"not_before", b"widened", b"named_until"}
"""The fields of a rate limit that are times."""


class FakeTime:
    """A clock and a sleep that belong together. naps: seconds that were slept, in order.

    Redis' own clock cannot be moved; so what a rate limit keeps there comes nearer by as much as was slept.
    """

    def __init__(self, pool: StorePool) -> None:
        self.now = 1000.0
        self.naps: list[float] = []
        self._pool = pool

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds
        for key in await self._pool.keys(keys.limit("*")):
            if await self._pool.type(key) == b"list":
                for index, slot in enumerate(await self._pool.lrange(key, 0, -1)):
                    await self._pool.lset(key, index, str(int(slot) - int(seconds * 1e6)))  # type: ignore[misc]
            elif await self._pool.type(key) == b"hash":
                for moment in _MOMENTS.intersection(await self._pool.hash_fields(key)):
                    await self._pool.hincrby(key, moment.decode(), -int(seconds * 1e6))  # type: ignore[misc]

    def limiter(self, pool: StorePool, scope: RateScope) -> Limiter:
        """A limiter whose waits take no time."""
        return Limiter(pool, scope, clock=self.clock, sleep=self.sleep)


def services_for(
    pool: StorePool, session: aiohttp.ClientSession, time: FakeTime, url: str, **settings: object
) -> WorkerServices:
    """A worker's services in fake time; both APIs are where a sandbox on `url` has them. Rates are out of the way."""
    chosen: dict[str, object] = {
        "segment_token": "sandbox",
        "mavera_api_key": "mvra_test_sandbox",
        "segment_base_url": url,
        "mavera_base_url": f"{url}/api/v1",
        "segment_rate": 1e6,
        "mavera_rate": 1_000_000,
        "mavera_gap_s": 0.0,
        **settings,
    }
    return WorkerServices(load_settings(**chosen), pool, session, clock=time.clock, sleep=time.sleep)


def client_of(services: WorkerServices) -> ClientSyncStore:
    """The syncs of a client with the settings of a worker."""
    return client_sync_store(services.pool, services.settings)
