"""The registry of living workers: each worker writes a heartbeat every few seconds, and silence removes it.

arq's own health key is not used, because all workers share it and the first one that exits deletes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from worker.store import keys
from worker.store.connection.pool import StorePool


@dataclass(frozen=True)
class WorkerPresence:
    """A living worker.

    Attributes:
        name: `host:pid`.
        seen_s: Seconds since its last heartbeat.
    """

    name: str
    seen_s: float


class WorkerRegistry:
    """The heartbeats of workers.

    Args:
        pool: Client of Redis.
        lifetime_s: Seconds after its last heartbeat for which a worker counts as alive.
        account: The Mavera account of the workers (`account_name`); empty for those of all accounts.
        accounts: Returns their accounts, if they serve several; `account` is then not used.
    """

    def __init__(
        self,
        pool: StorePool,
        *,
        lifetime_s: float,
        account: str = "",
        accounts: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self._pool = pool
        self._lifetime_ms = int(lifetime_s * 1000)
        self._accounts = accounts or (lambda: (account,))

    @property
    def _names(self) -> list[keys.SortedSetKey]:
        return [*dict.fromkeys((keys.WORKERS, *map(keys.workers, self._accounts())))]

    async def heartbeat(self, host: str, pid: int) -> None:
        """Writes a heartbeat of the worker `host:pid`."""
        now = await self._now_ms()
        async with self._pool.pipeline(transaction=True) as pipe:
            for name in self._names:
                pipe.zadd(name, {f"{host}:{pid}": now})
                pipe.zremrangebyscore(name, "-inf", now - self._lifetime_ms)
                pipe.zremrangebyscore(name, now + self._lifetime_ms, "+inf")  # from before a clock was set back
            pipe.psetex(keys.host(host), self._lifetime_ms, str(pid))
            await pipe.execute()

    async def remove(self, host: str, pid: int) -> None:
        """Removes the worker `host:pid`, which is about to end."""
        for name in self._names:
            await self._pool.zrem(name, f"{host}:{pid}")

    async def living_workers(self, host: str | None = None) -> list[WorkerPresence]:
        """Returns the living workers of the accounts, of one host if `host` is given."""
        seen = {one.name: one for account in self._accounts() for one in await self._seen(keys.workers(account))}
        found = sorted(seen.values(), key=lambda worker: worker.seen_s, reverse=True)
        return [worker for worker in found if host is None or worker.name.rpartition(":")[0] == host]

    async def living_workers_of_all_accounts(self) -> list[WorkerPresence]:
        """Returns the living workers of all accounts."""
        return await self._seen(keys.WORKERS)

    async def _seen(self, key: str) -> list[WorkerPresence]:
        now = await self._now_ms()
        oldest, newest = now - self._lifetime_ms, now + self._lifetime_ms
        rows = await self._pool.zrangebyscore(key, oldest, newest, withscores=True)
        return [WorkerPresence(name.decode(), max(0.0, (now - seen) / 1000)) for name, seen in rows]

    async def _now_ms(self) -> int:
        seconds, micros = await self._pool.time()
        return int(seconds) * 1000 + int(micros) // 1000
