"""The client of Redis, which repeats commands during an outage and adds `REDIS_PREFIX` to every key.

A command is repeated while Redis is away (see `outage`): for `max_wait_s` seconds, or without a limit (workers). Every
command of the program may be repeated: scripts recognise their own earlier run, and arq's commands have the same effect
twice. After `Outage.stop_waiting` commands fail soon, so that a worker can stop without Redis.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Callable, Sequence
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
"""Milliseconds after which arq drops the data of a job; a queue may wait long for a worker."""


class _WaitingPipeline(Pipeline):
    """A transaction that is repeated as a whole, unless it watches keys: then its caller starts again."""

    outage: Outage
    prefix: str

    def pipeline_execute_command(self, *args: Any, **options: Any) -> Any:
        """Adds one command, with the prefix before its keys."""
        return super().pipeline_execute_command(*add_prefix(self.prefix, args), **options)  # type: ignore[no-untyped-call]

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        """Runs one command at once, while keys are watched, with the prefix before its keys."""
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
    """The client of Redis that this package and arq's worker use.

    It is not arq's own class, because importing that would load all of arq into every client. arq's worker needs only
    the first four attributes.

    Attributes:
        job_serializer: Serialises an arq job.
        job_deserializer: Parses an arq job.
        default_queue_name: Queue of arq.
        expires_extra_ms: Milliseconds after which arq drops the data of a job.
        outage: Repeats commands while Redis is away.
        prefix: Text before the name of every key.
        run_watch: The runs of Redis that this process has seen.
    """

    job_serializer: Callable[[dict[str, Any]], bytes]
    job_deserializer: Callable[[bytes], dict[str, Any]]
    default_queue_name: str
    expires_extra_ms: int
    outage: Outage
    prefix: str
    run_watch: RedisRunWatch
    known_run: Callable[[], tuple[str, float]] | None = None

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Runs one command, with the prefix before its keys, and repeats it during an outage.

        Raises:
            StoreUnavailable: Redis is away for too long.
            StoreUnusable: Redis refuses this client, or answers with an error that no caller expects.
        """
        args = add_prefix(self.prefix, args)
        try:
            return await self.outage.wait_out(lambda: super(StorePool, self).execute_command(*args, **options))  # type: ignore[no-untyped-call]
        except Exception as error:
            raise to_store_error(error, args) from error

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _WaitingPipeline:
        """Returns a pipeline that is repeated during an outage too."""
        pipeline = _WaitingPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipeline.outage, pipeline.prefix = self.outage, self.prefix
        return pipeline

    # redis-py types these as awaitable or not, for its synchronous twin; here they are coroutines.

    async def hash_fields(self, key: str) -> dict[bytes, bytes]:
        """Returns all fields of a hash; empty if it does not exist."""
        return cast(dict[bytes, bytes], await self.hgetall(key))  # type: ignore[misc]

    async def hash_field(self, key: str, field: str) -> bytes | None:
        """Returns one field of a hash; None if it does not exist."""
        return cast(bytes | None, await self.hget(key, field))  # type: ignore[misc]

    async def hash_some(self, key: str, fields: Sequence[str]) -> list[bytes | None]:
        """Returns some fields of a hash, None for each that does not exist; empty if none is named."""
        return cast(list[bytes | None], await self.hmget(key, [*fields]) if fields else [])  # type: ignore[misc]

    async def hash_values(self, key: str) -> list[bytes]:
        """Returns the values of a hash."""
        return cast(list[bytes], await self.hvals(key))  # type: ignore[misc]

    async def list_entries(self, key: str) -> list[bytes]:
        """Returns the entries of a list; empty if it does not exist."""
        return cast(list[bytes], await self.lrange(key, 0, -1))  # type: ignore[misc]

    async def now(self) -> float:
        """Returns the time by the clock of Redis, in Unix seconds."""
        seconds, micros = await self.time()
        return int(seconds) + int(micros) / 1e6

    async def server_info(self, section: str) -> dict[str, Any]:
        """Returns one section of `INFO`; empty if the user may not run it, or if the server does not have it."""
        try:
            found: dict[str, Any] = await self.info(section)
        except StoreUnusable:
            return {}
        return found

    async def server_run(self) -> tuple[str, float]:
        """Returns the id of the current run of Redis, new after a restart or a failover, and its age in seconds.

        A managed Redis may forbid `INFO`, and some servers have no run id. Then a run is the time for which this
        process has seen no interruption (`RedisRunWatch`).
        """
        if self.known_run is not None:
            return self.known_run()
        info = await self.server_info("server")
        run_id, uptime_s = info.get("run_id"), info.get("uptime_in_seconds")
        if run_id and isinstance(uptime_s, int | float):
            return str(run_id), max(0.0, float(uptime_s) - 1)
        return self.run_watch.run, self.run_watch.age_s()


def _serialize_job(job: dict[str, Any]) -> bytes:
    """Serialises an arq job as JSON. An exception, the result of a job that was cancelled early, becomes its type."""
    return orjson.dumps(job, default=lambda value: type(value).__name__)


def _parse_job(raw: bytes) -> dict[str, Any]:
    """Parses an arq job. Raises ValueError unless each of its five parts has the type that arq relies on."""
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


def _wrap(
    pool: ConnectionPool, max_wait_s: float, prefix: str = "", advice: Callable[[], str] | None = None
) -> StorePool:
    client = StorePool(connection_pool=pool)
    client.job_serializer, client.job_deserializer = _serialize_job, _parse_job
    client.default_queue_name, client.expires_extra_ms = keys.QUEUE, JOB_LIFETIME_MS
    client.outage, client.prefix, client.run_watch = Outage(max_wait_s, advice), prefix, RedisRunWatch()
    client.auto_close_connection_pool = True
    return client


def redis_pool(
    url: str,
    *,
    max_wait_s: float = math.inf,
    timeout_s: float = 5.0,
    prefix: str = "",
    known_run: Callable[[], tuple[str, float]] | None = None,
    advice: Callable[[], str] | None = None,
) -> StorePool:
    """Makes a client of the Redis at `url`, without connecting yet.

    Args:
        url: As `REDIS_URL`.
        max_wait_s: Seconds for which a command is repeated while Redis is away.
        timeout_s: Seconds within which Redis must answer.
        prefix: Text before the name of every key.
        known_run: Returns what `server_run` does, for a Redis whose data outlives its restarts; None: Redis is asked.
        advice: As of `Outage`.

    Raises:
        ConfigurationError: The URL is malformed.
    """
    pool = make_connection_pool(url, timeout_s)
    client = _wrap(pool, max_wait_s, prefix, advice)
    client.known_run = known_run
    pool.connection_kwargs["redis_connect_func"] = client.run_watch.on_connect
    return client


def embedded_pool(*, is_only_buyer: bool = True) -> StorePool:
    """Makes a client of a new in-memory Redis, whose data ends with the process.

    Args:
        is_only_buyer: Whether no earlier process can have bought a persona that this Redis does not know. If not,
            nothing is bought before this Redis has run for the settle time, as after any other loss of data.
    """
    from fakeredis import FakeServer
    from fakeredis.aioredis import FakeRedis

    client = _wrap(FakeRedis(server=FakeServer()).connection_pool, math.inf)
    if is_only_buyer:
        client.known_run = lambda: ("embedded", math.inf)
    return client


@contextlib.asynccontextmanager
async def closing(pool: StorePool) -> AsyncIterator[StorePool]:
    """Closes the client and its connections at the end of the block."""
    try:
        yield pool
    finally:
        await pool.aclose()
