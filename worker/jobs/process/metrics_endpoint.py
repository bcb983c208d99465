"""The metrics of a worker process: counted and served if `METRICS_PORT` is set, otherwise not even loaded."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import partial

from worker.jobs.store_factories import worker_registry
from worker.metrics.worker_metrics import WorkerMetrics
from worker.settings import Settings
from worker.store import StorePool


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
