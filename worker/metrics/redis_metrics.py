"""Metrics whose values are in Redis: read when metrics are asked for, at most once in `FRESH_S` seconds.

Workers and the HTTP API show the same values, so a query takes the maximum over them, not the sum.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from worker.errors import PersonasError
from worker.models.sync import SyncState
from worker.store.report import StoreReport

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FRESH_S = 5.0
"""Seconds for which values are shown again without asking Redis."""

LONGEST_READ_S = 3.0
"""Seconds after which Redis counts as away. A scrape must not wait as long as a worker does."""


class RedisMetrics(Collector):
    """The values in Redis, as gauges.

    Args:
        registry: Where they are shown, beside the counters of the process.
        read: Reads them.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        read: Callable[[], Awaitable[StoreReport]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._read = read
        self._clock = clock
        self._report: StoreReport | None = None
        self._read_at = -FRESH_S
        self._reading = asyncio.Lock()
        registry.register(self)
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nothing needs

    async def text(self) -> bytes:
        """Returns all metrics of the registry in Prometheus' format. Without Redis, its gauges are missing."""
        async with self._reading:
            if self._clock() - self._read_at >= FRESH_S:
                try:
                    async with asyncio.timeout(LONGEST_READ_S):
                        self._report = await self._read()
                except (PersonasError, TimeoutError):
                    self._report = None
                self._read_at = self._clock()
        return generate_latest(self._registry)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Names the metrics for the registry."""
        return iter(families(None))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Returns the values that were read last; of the metrics without a value, nothing."""
        return (family for family in families(self._report) if family.samples)


def families(report: StoreReport | None) -> Iterable[GaugeMetricFamily]:
    """Returns all metrics of Redis with the values of a report; without one, only whether Redis answers."""
    up = _gauge("redis_up", "Whether Redis answers (1) or not (0)")
    syncs = _gauge("syncs", "Syncs by state, of the newest 1,000 and of those that run", "state")
    waiting = _gauge("waiting_syncs", "Syncs that no worker has begun")
    age = _gauge("oldest_waiting_seconds", "Seconds since the oldest of them was asked for; 0 if none waits")
    last = _gauge(
        "last_complete_sync_timestamp_seconds",
        "When the last complete sync of a space had read it, in Unix seconds; at most 200 spaces",
        "space",
    )
    workers = _gauge("workers", "Workers that are alive")
    append_only = _gauge("redis_append_only", "Whether the append-only file of Redis is on (1) or off (0)")
    no_eviction = _gauge("redis_noeviction", "Whether Redis evicts nothing when its memory is full (1) or may (0)")
    up.add_metric((), 0 if report is None else 1)
    if report is not None:
        census, health = report.census, report.health
        for state, count in census.by_state.items():
            syncs.add_metric((state.value,), count)
        waiting.add_metric((), census.by_state[SyncState.QUEUED])
        age.add_metric((), census.oldest_waiting_s)
        for space_id, read_to in census.last_complete.items():
            last.add_metric((space_id,), read_to)
        workers.add_metric((), report.workers)
        if health.append_only is not None:
            append_only.add_metric((), int(health.append_only))
        if health.eviction_policy is not None:
            no_eviction.add_metric((), int(health.eviction_policy == "noeviction"))
    return up, syncs, waiting, age, last, workers, append_only, no_eviction


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"segment_personas_{name}", text, labels=labels)
