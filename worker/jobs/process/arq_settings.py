"""Supports `arq worker.WorkerSettings`: arq's command line creates its own Worker from the settings that this returns.

arq's Worker does not take jobs. Our worker runs in its start-up hook, with the usual queue, wake-ups and shutdown, and
arq's signal handler cancels it. `arq --check` works too.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

from arq.connections import RedisSettings

from worker.errors import ConfigurationError, StoreUnavailable
from worker.jobs.arq_worker import job_functions
from worker.jobs.process.liveness import heartbeat_file, tune_garbage_collector
from worker.jobs.process.worker_process import check_redis, metrics_endpoint, required_tokens, serve
from worker.jobs.store_factories import store_pool
from worker.settings import Settings, load_settings
from worker.store import keys
from worker.store.keys import QUEUE


def worker_settings() -> type:
    """Returns the settings class that arq's command line reads.

    Raises:
        SystemExit: With code 2 if a setting is missing or malformed; a message on stderr names it.
    """
    try:
        settings = load_settings()
        settings.require("redis_url", *required_tokens(settings))
        return _settings_class(settings)
    except ConfigurationError as error:
        print(*filter(None, (error, error.hint)), sep="\n", file=sys.stderr)
        raise SystemExit(2) from None


def _settings_class(settings: Settings) -> type:
    assert settings.redis_url
    url = settings.redis_url.get_secret_value()
    shell_pool = store_pool(settings)
    # arq deletes its health key when it ends. All workers on this host share that key, and Redis may be down by then.
    shell_pool.delete = _delete_nothing  # type: ignore[method-assign]

    async def host(_: dict[Any, Any]) -> None:
        tune_garbage_collector()
        pool = store_pool(settings)
        try:
            await check_redis(settings)
            async with heartbeat_file(), metrics_endpoint(settings, pool) as metrics:
                await serve(settings, pool, metrics=metrics)
        except (ConfigurationError, StoreUnavailable) as error:
            print(*filter(None, (error, error.hint)), sep="\n", file=sys.stderr)
            raise SystemExit(2) from None
        finally:
            await pool.aclose()
            shell_pool.outage.stop_waiting(1)

    return type(
        "WorkerSettings",
        (),
        {
            "functions": job_functions(settings),
            "redis_pool": shell_pool,
            "redis_settings": _redis_settings(shell_pool.connection_pool.connection_kwargs, url),
            "queue_name": QUEUE,
            # arq reads this key with its own client, which adds no prefix.
            "health_check_key": settings.redis_prefix + keys.host(socket.gethostname()),
            "on_startup": staticmethod(host),
        },
    )


async def _delete_nothing(*_: object) -> int:
    return 0


def _redis_settings(connection: dict[str, Any], url: str) -> RedisSettings:
    return RedisSettings(
        host=connection.get("host", "localhost"),
        port=connection.get("port", 6379),
        unix_socket_path=connection.get("path"),
        database=connection.get("db", 0),
        username=connection.get("username"),
        password=connection.get("password"),
        ssl=url.startswith("rediss"),
        ssl_ca_certs=connection.get("ssl_ca_certs"),
        ssl_certfile=connection.get("ssl_certfile"),
        ssl_keyfile=connection.get("ssl_keyfile"),
        ssl_cert_reqs=connection.get("ssl_cert_reqs", "required"),
        conn_retries=1,
    )
