"""The connection to Redis that outlives an outage.

arq and redis-py give up at the first refused connection. This client repeats a command while Redis is away, hung,
loading or out of memory: for `patience_s`, or without end (workers). Every command that the program sends may be
repeated: scripts recognise their own earlier run, and arq's own commands do no harm twice. After `stop_waiting`
nobody waits long any more, so that a worker told to stop can stop without Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import orjson
import redis.exceptions as redis_errors
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool
from redis.asyncio.client import Pipeline

from worker.errors import ConfigurationError, StoreUnavailable
from worker.store import keys

log = logging.getLogger("segment_personas.store")

T = TypeVar("T")

JOB_LIFETIME_MS = 90 * 86_400_000
"""arq drops job data older than this; a queue may stand for long without a worker."""

_OUTAGES = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError, asyncio.TimeoutError)
_REFUSALS = (
    "OOM",
    "READONLY",
    "LOADING",
    "MISCONF",
    "MASTERDOWN",
    "NOREPLICAS",
    "CLUSTERDOWN",
    "BUSY ",
    "EXECABORT",
)
"""First words of answers that mean: later. `EXECABORT` is what a transaction says of any of them."""


def is_outage(error: BaseException) -> bool:
    """Whether Redis may answer this very command later."""
    if isinstance(error, redis_errors.AuthenticationError | redis_errors.AuthorizationError):
        return False
    if isinstance(error, _OUTAGES):
        return True
    return isinstance(error, redis_errors.ResponseError) and any(word in str(error)[:200] for word in _REFUSALS)


class Outage:
    """How long, and in what rhythm, a command waits for Redis to come back. Shared by all commands of one client."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._deadline = math.inf
        self._told = False

    def stop_waiting(self, within_s: float) -> None:
        """From now on no command waits for Redis beyond `within_s` seconds from this moment."""
        self._deadline = min(self._deadline, time.monotonic() + within_s)

    async def wait_out(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeats `attempt` while Redis is away. Raises StoreUnavailable when patience ends."""
        start = time.monotonic()
        pause = 0.02
        while True:
            try:
                result = await attempt()
            except Exception as error:
                if not is_outage(error):
                    raise
                waited_s = time.monotonic() - start
                if waited_s + pause > self._patience_s or time.monotonic() + pause > self._deadline:
                    raise StoreUnavailable(
                        f"Redis does not answer: {_reason(error).rstrip('.')}. Check REDIS_URL, and that Redis runs"
                    ) from error
                if not self._told and waited_s > 0.5 and self._patience_s == math.inf:
                    self._told = True
                    log.warning("Redis is away (%s); waiting for it", _reason(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.5)
            else:
                if self._told:
                    self._told = False
                    log.warning("Redis is back")
                return result


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


class _WaitingPipeline(Pipeline):
    """A transaction that is sent again as a whole. One that watches keys is not: its caller starts over."""

    outage: Outage

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        if self.watching:
            return await super().execute(raise_on_error)
        stack, explicit = list(self.command_stack), self.explicit_transaction

        async def attempt() -> list[Any]:
            self.command_stack, self.explicit_transaction = list(stack), explicit
            return await super(_WaitingPipeline, self).execute(raise_on_error)

        return await self.outage.wait_out(attempt)


class StorePool(ArqRedis):
    """The client that everything in this package uses, and that arq's worker is given."""

    outage: Outage

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """One command, repeated through an outage. Raises StoreUnavailable when patience ends."""
        return await self.outage.wait_out(lambda: super(StorePool, self).execute_command(*args, **options))  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _WaitingPipeline:
        """A pipeline that waits out an outage too."""
        pipeline = _WaitingPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipeline.outage = self.outage
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

    async def server_run(self) -> str:
        """Redis' own id of this run of it: another after every restart, and on another replica."""
        info: dict[str, Any] = await self.info("server")
        return str(info["run_id"])


class _EmbeddedPool(StorePool):
    """The same over an in-memory Redis, which knows no `INFO`."""

    async def server_run(self) -> str:
        return "embedded"


def _job_bytes(job: dict[str, Any]) -> bytes:
    return orjson.dumps(job)


def _no_pickle(raw: bytes) -> dict[str, Any]:
    """Reads a job. Raises ValueError unless each of its five parts has the type that arq relies on."""
    job = orjson.loads(raw)
    if not (
        isinstance(job, dict)
        and isinstance(job.get("f"), str)
        and isinstance(job.get("a"), list)
        and isinstance(job.get("k"), dict)
        and (job.get("t") is None or type(job["t"]) is int)
        and type(job.get("et")) is int
        and abs(job["et"]) < 1e14
    ):
        raise ValueError("not a job of ours")
    return job


def _wrap(pool: ConnectionPool, kind: type[StorePool], patience_s: float) -> StorePool:
    client = kind(
        pool,
        job_serializer=_job_bytes,
        job_deserializer=_no_pickle,
        default_queue_name=keys.QUEUE,
        expires_extra_ms=JOB_LIFETIME_MS,
    )
    client.outage = Outage(patience_s)
    client.auto_close_connection_pool = True
    return client


_QUERY_CONTROLLED = {
    "socket_timeout",
    "socket_connect_timeout",
    "retry_on_timeout",
    "decode_responses",
    "max_connections",
}


def _checked_url(url: str) -> str:
    """The URL as redis-py may read it. Raises ConfigurationError on what it would ignore or misread."""
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ConfigurationError("REDIS_URL must begin with redis://, rediss:// or unix://")
    try:
        port = parts.port
    except ValueError:
        raise ConfigurationError("REDIS_URL has a port that is no number") from None
    if parts.scheme != "unix" and (not parts.hostname or port == 0):
        raise ConfigurationError("REDIS_URL names no host: redis://HOST:PORT/DATABASE")
    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not (database.isascii() and database.isdigit()):
        raise ConfigurationError("REDIS_URL ends in a database that is no number")
    for name, _ in parse_qsl(parts.query):
        if name in _QUERY_CONTROLLED:
            raise ConfigurationError(f"REDIS_URL sets {name}, which this program sets itself; leave it out")
        if name.startswith("ssl_") and parts.scheme != "rediss":
            raise ConfigurationError(f"REDIS_URL sets {name} without TLS; write rediss://")
    return urlunsplit(parts)


def redis_pool(url: str, *, patience_s: float = math.inf, timeout_s: float = 5.0) -> StorePool:
    """A client for the Redis at `url`. No connection is made yet.

    patience_s: how long a command waits for a Redis that is away. timeout_s: how long one answer may take.
    Raises ConfigurationError if the URL is malformed.
    """
    try:
        pool = ConnectionPool.from_url(
            _checked_url(url),
            socket_timeout=timeout_s,
            socket_connect_timeout=min(timeout_s, 2.0),
            health_check_interval=30,
            **({} if url.startswith("unix") else {"socket_keepalive": True}),
        )
        pool.make_connection()  # type: ignore[no-untyped-call] # reads the TLS files, if any
    except (ValueError, TypeError, AttributeError, OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"REDIS_URL cannot be used: {_reason(error)}") from None
    return _wrap(pool, StorePool, patience_s)


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
