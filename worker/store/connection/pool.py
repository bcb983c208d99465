"""The connection to Redis that outlives an outage.

It repeats a command while Redis is away (see `outage`): for `max_wait_s`, or without end (workers). Every command that
the program sends may be repeated: scripts recognise their own earlier run, and arq's own commands do no harm twice.
After `Outage.stop_waiting` nobody waits long any more, so that a worker told to stop can stop without Redis.

It also puts `REDIS_PREFIX` before the name of every key, those of arq among them: see `add_prefix`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import orjson
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import Pipeline

from worker.errors import StoreUnusable
from worker.store import keys
from worker.store.connection.errors import to_store_error
from worker.store.connection.outage import Outage
from worker.store.connection.prefix import add_prefix
from worker.store.connection.run_watch import RedisRunWatch
from worker.store.connection.url import make_connection_pool

JOB_LIFETIME_MS = 90 * 86_400_000
"""arq drops job data older than this; a queue may stand for long without a worker."""


class _WaitingPipeline(Pipeline):
    """A transaction that is sent again as a whole. One that watches keys is not: its caller starts over."""

    outage: Outage
    prefix: str

    def pipeline_execute_command(self, *args: Any, **options: Any) -> Any:
        """Adds one command, its keys with the prefix."""
        return super().pipeline_execute_command(*add_prefix(self.prefix, args), **options)  # type: ignore[no-untyped-call]

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        """Runs one command at once, while keys are watched."""
        return await super().immediate_execute_command(*add_prefix(self.prefix, args), **options)  # type: ignore[no-untyped-call]

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        if self.watching:
            return await super().execute(raise_on_error)
        stack, explicit = list(self.command_stack), self.explicit_transaction

        async def attempt() -> list[Any]:
            self.command_stack, self.explicit_transaction = list(stack), explicit
            return await super(_WaitingPipeline, self).execute(raise_on_error)

        try:
            return await self.outage.wait_out(attempt)
        except Exception as error:
            raise to_store_error(error, ()) from error


class StorePool(Redis):
    """The client that everything in this package uses, and that arq's worker is given.

    It is not arq's own class: of that one, arq's worker needs only the attributes below, and importing it would load
    the whole of arq into every client.
    """

    job_serializer: Callable[[dict[str, Any]], bytes]
    job_deserializer: Callable[[bytes], dict[str, Any]]
    default_queue_name: str
    expires_extra_ms: int
    outage: Outage
    prefix: str
    run_watch: RedisRunWatch

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """One command, repeated through an outage, its keys with the prefix. Raises as `Outage.wait_out` does, and
        StoreUnusable if Redis answers with an error that no caller expects."""
        args = add_prefix(self.prefix, args)
        try:
            return await self.outage.wait_out(lambda: super(StorePool, self).execute_command(*args, **options))  # type: ignore[no-untyped-call]
        except Exception as error:
            raise to_store_error(error, args) from error

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _WaitingPipeline:
        """A pipeline that waits out an outage too."""
        pipeline = _WaitingPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipeline.outage, pipeline.prefix = self.outage, self.prefix
        return pipeline

    # redis-py types these as awaitable or not, for its synchronous twin; here they are coroutines.

    async def hash_fields(self, key: str) -> dict[bytes, bytes]:
        """All fields of a hash; empty if there is none."""
        return cast(dict[bytes, bytes], await self.hgetall(key))  # type: ignore[misc]

    async def hash_field(self, key: str, field: str) -> bytes | None:
        """One field of a hash."""
        return cast(bytes | None, await self.hget(key, field))  # type: ignore[misc]

    async def hash_values(self, key: str) -> list[bytes]:
        """The values of a hash."""
        return cast(list[bytes], await self.hvals(key))  # type: ignore[misc]

    async def list_entries(self, key: str) -> list[bytes]:
        """The entries of a list; empty if there is none."""
        return cast(list[bytes], await self.lrange(key, 0, -1))  # type: ignore[misc]

    async def server_info(self, section: str) -> dict[str, Any]:
        """One section of `INFO`; empty if this user may not ask for it, or if this server does not know it."""
        try:
            found: dict[str, Any] = await self.info(section)
        except StoreUnusable:
            return {}
        return found

    async def server_run(self) -> tuple[str, float]:
        """Redis' own id of this run of it, another after every restart and on another replica; and its age, seconds.

        A managed Redis may forbid `INFO`, and some servers have no run id. Then a run is what this process has seen
        without an interruption (`RedisRunWatch`): it has just begun until this process has watched it for some time.
        """
        info = await self.server_info("server")
        run_id, uptime_s = info.get("run_id"), info.get("uptime_in_seconds")
        if run_id and isinstance(uptime_s, int | float):
            return str(run_id), max(0.0, float(uptime_s) - 1)
        return self.run_watch.run, self.run_watch.age_s()


class _EmbeddedPool(StorePool):
    """The same over an in-memory Redis, which knows no `INFO`."""

    async def server_run(self) -> tuple[str, float]:
        return "embedded", math.inf


def _job_bytes(job: dict[str, Any]) -> bytes:
    """What arq keeps of a job. The result of one that was cancelled before it began is an exception: only its type."""
    return orjson.dumps(job, default=lambda value: type(value).__name__)


def _no_pickle(raw: bytes) -> dict[str, Any]:
    """Reads a job. Raises ValueError unless each of its five parts has the type that arq relies on."""
    job = orjson.loads(raw)
    if not (
        isinstance(job, dict)
        and isinstance(job.get("f"), str)
        and isinstance(job.get("a"), list)
        and isinstance(job.get("k"), dict)
        and (job.get("t") is None or (type(job["t"]) is int and 0 <= job["t"] < 1_000_000))
        and type(job.get("et")) is int
        and 0 <= job["et"] < 1e14
    ):
        raise ValueError("not a job of ours")
    return job


def _wrap(pool: ConnectionPool, kind: type[StorePool], max_wait_s: float, prefix: str = "") -> StorePool:
    client = kind(connection_pool=pool)
    client.job_serializer, client.job_deserializer = _job_bytes, _no_pickle
    client.default_queue_name, client.expires_extra_ms = keys.QUEUE, JOB_LIFETIME_MS
    client.outage, client.prefix, client.run_watch = Outage(max_wait_s), prefix, RedisRunWatch()
    client.auto_close_connection_pool = True
    return client


def redis_pool(url: str, *, max_wait_s: float = math.inf, timeout_s: float = 5.0, prefix: str = "") -> StorePool:
    """A client for the Redis at `url`. No connection is made yet.

    Args:
        url: as in `REDIS_URL`.
        max_wait_s: how long a command waits for a Redis that is away.
        timeout_s: how long one answer may take.
        prefix: stands before the name of every key.

    Raises:
        ConfigurationError: the URL is malformed.
    """
    pool = make_connection_pool(url, timeout_s)
    client = _wrap(pool, StorePool, max_wait_s, prefix)
    pool.connection_kwargs["redis_connect_func"] = client.run_watch.on_connect
    return client


def embedded_pool() -> StorePool:
    """A client for an in-memory Redis of its own, gone with the process. For one process, demos and unit tests."""
    from fakeredis import FakeServer
    from fakeredis.aioredis import FakeRedis

    return _wrap(FakeRedis(server=FakeServer()).connection_pool, _EmbeddedPool, math.inf)


@contextlib.asynccontextmanager
async def closing(pool: StorePool) -> AsyncIterator[StorePool]:
    """Closes the client and its connections at the end of the block."""
    try:
        yield pool
    finally:
        await pool.aclose()
