"""The worker process: `serve` runs a worker with its supervised tasks; `run` also handles signals and checks Redis.

Beside the jobs, a worker runs the watchdog, its entry in the list of living workers, and the deliverer of webhooks. A
task that fails starts again after a second. SIGTERM cancels the jobs, and each hands its sync over (`Lease.hand_over`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from functools import partial
from typing import Any

from worker.errors import PersonasError, StoreUnavailable, StoreUnusable
from worker.http.client import new_session
from worker.jobs.arq_worker import SyncWorker
from worker.jobs.composition.background import build_deliverer, build_watchdog
from worker.jobs.process.liveness import heartbeat_file, tune_garbage_collector
from worker.jobs.services import WorkerServices
from worker.jobs.space_directory import open_spaces
from worker.jobs.store_factories import store_pool, worker_registry
from worker.metrics.worker_metrics import WorkerMetrics
from worker.segment.export_file import Opener
from worker.settings import Settings, unknown_settings
from worker.store import StorePool, WorkerRegistry
from worker.store.connection.health import review_health
from worker.store.connection.pool import closing
from worker.store.probe import check_store
from worker.tracing.job_tracer import JobTracer, make_tracer

log = logging.getLogger("segment_personas.worker")

LAST_EVENTS_S = 5.0
"""Seconds in which a worker whose Redis ends with it sends the events that wait."""


def required_tokens(settings: Settings, opener: Opener | None = None) -> tuple[str, ...]:
    """Returns the settings that `serve` needs. Of files (`opener`) or a warehouse it needs no Segment token.

    With `SPACES_FILE` it needs none: the file has the tokens and keys.
    """
    if settings.spaces_file is not None:
        return ()
    return ("mavera_api_key",) if opener or settings.warehouse_url else ("segment_token", "mavera_api_key")


async def serve(
    settings: Settings,
    pool: StorePool,
    *,
    ready: Callable[[], None] | None = None,
    opener: Opener | None = None,
    own_syncs: Collection[str] | None = None,
    skips_pipes: bool = False,
    ends_with_pool: bool = False,
    metrics: WorkerMetrics | None = None,
    tracer: JobTracer | None = None,
) -> None:
    """Runs a worker until cancelled. Its jobs have handed their syncs over when this returns.

    Args:
        settings: Of the worker.
        pool: Its Redis.
        ready: Called once the worker takes jobs.
        opener: Opens the files of its syncs; a sync that reads a space then still needs a Segment token. None: those
            under `FILES_DIR`.
        own_syncs: As of `JobQueue`.
        skips_pipes: As of `JobQueue`.
        ends_with_pool: Whether no other worker will deliver the events in `pool`.
        metrics: Counts what it does; None: nothing does.
        tracer: Records its jobs as spans; None: nothing does.

    Raises:
        ConfigurationError: A token is not set, or `SPACES_FILE` cannot be used.
        StoreUnavailable: Redis is away for too long.
    """
    settings.require(*required_tokens(settings, opener))
    spaces = open_spaces(settings)
    if settings.unprotected_warning:
        log.warning("%s", settings.unprotected_warning)
    async with new_session() as session:
        services = WorkerServices(
            settings,
            pool,
            session,
            opener=opener,
            own_syncs=own_syncs,
            skips_pipes=skips_pipes,
            metrics=metrics or WorkerMetrics(),
            tracer=tracer or JobTracer(),
            spaces=spaces,
        )
        worker = SyncWorker(services)
        helpers = [
            asyncio.create_task(_supervise("watchdog", build_watchdog(services).run)),
            asyncio.create_task(
                _supervise("presence", lambda: _send_presence(services.registry, settings.heartbeat_s))
            ),
        ]
        deliverer = build_deliverer(services)
        if deliverer:
            helpers.append(asyncio.create_task(_supervise("webhook deliverer", deliverer.run)))
        try:
            if deliverer:
                await services.outbox.announce()
            await services.registry.heartbeat(_host(), os.getpid())
            with contextlib.suppress(PersonasError):  # so that the time before the first purchase counts
                await services.personas.redis_run()
            log.info("worker %s:%d takes jobs, %d at a time", _host(), os.getpid(), settings.worker_slots)
            if ready:
                ready()
            await worker.main()
        finally:
            if not ends_with_pool:
                for helper in helpers:
                    helper.cancel()
            await worker.stop()
            if deliverer and ends_with_pool:
                await asyncio.wait({asyncio.create_task(deliverer.finish())}, timeout=LAST_EVENTS_S)
            for helper in helpers:
                helper.cancel()
            await asyncio.wait(helpers, timeout=1)
            services.files.close()
            with contextlib.suppress(StoreUnavailable):
                await services.registry.remove(_host(), os.getpid())


def run(settings: Settings) -> None:
    """Runs a worker process until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: A setting is missing or malformed, or Redis cannot be used.
        StoreUnavailable: Redis does not answer at the start.
    """
    tune_garbage_collector()
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    settings.require("redis_url", *required_tokens(settings))
    await check_redis(settings)
    async with closing(store_pool(settings)) as pool:
        await serve_until_signal(settings, pool)


async def serve_until_signal(
    settings: Settings, pool: StorePool, *, opener: Opener | None = None, skips_pipes: bool = False
) -> None:
    """Runs a worker process on `pool` until SIGTERM or SIGINT. Takes and raises what `serve` does."""
    tracer = make_tracer()
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    assert main is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, main.cancel)
    try:
        async with heartbeat_file(), metrics_endpoint(settings, pool) as metrics:
            await serve(settings, pool, opener=opener, skips_pipes=skips_pipes, metrics=metrics, tracer=tracer)
    except asyncio.CancelledError:
        log.info("worker %s:%d has stopped", _host(), os.getpid())
    finally:
        tracer.close()


async def check_redis(settings: Settings) -> None:
    """Checks the Redis of the settings, and logs misspelt settings and a set-up that may lose syncs.

    Raises:
        ConfigurationError: A worker cannot use it.
        StoreUnavailable: It does not answer.
    """
    for sentence in unknown_settings():
        log.warning("%s", sentence)
    async with closing(store_pool(settings, max_wait_s=5)) as pool:
        health = await check_store(pool)
    log.info("%s answers", health.server)
    for remark in review_health(health):
        if remark.verdict != "ok":
            log.warning("%s: %s. %s", health.server, remark.found, remark.advice)


async def _supervise(name: str, run_once: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await run_once()
        except StoreUnavailable:
            return
        except StoreUnusable as error:
            log.warning("the %s starts again: %s", name, error)
        except Exception as error:  # noqa: BLE001 - a helper that dies would leave syncs unwatched
            extra = {"error": error}
            log.warning("the %s starts again after %s: %s", name, type(error).__name__, error, extra=extra)
        await asyncio.sleep(1)


async def _send_presence(registry: WorkerRegistry, every_s: float) -> None:
    while True:
        await registry.heartbeat(_host(), os.getpid())
        await asyncio.sleep(every_s)


def _host() -> str:
    return socket.gethostname()


@contextlib.asynccontextmanager
async def metrics_endpoint(settings: Settings, pool: StorePool) -> AsyncIterator[WorkerMetrics]:
    """Serves the metrics of this process during the block, and yields what the worker counts with.

    Args:
        settings: Of the worker.
        pool: Its Redis.

    Raises:
        ConfigurationError: The address cannot be used.
    """
    if settings.metrics_port is None:
        yield WorkerMetrics()
        return
    from worker.metrics.prometheus import PrometheusMetrics
    from worker.metrics.redis_metrics import RedisMetrics
    from worker.metrics.server import metrics_server
    from worker.store.report import read_report

    metrics = PrometheusMetrics()
    redis = RedisMetrics(metrics.registry, partial(read_report, pool, worker_registry(pool, settings)))
    async with metrics_server(settings.metrics_host, settings.metrics_port, redis.text):
        yield metrics
