"""Metrics of the API in the format of Prometheus. Each server has its own registry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from worker.metrics.redis_metrics import RedisMetrics
from worker.store.report import StoreReport

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class ApiMetrics:
    """The counters of one server, and what Redis holds.

    Args:
        read_report: Reads what Redis holds.
    """

    def __init__(self, read_report: Callable[[], Awaitable[StoreReport]]) -> None:
        self.registry = CollectorRegistry()
        self._redis = RedisMetrics(self.registry, read_report)
        self._requests = Counter(
            "segment_personas_api_requests_total",
            "Requests that were answered",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "segment_personas_api_request_seconds",
            "Seconds from a request to its answer, without event streams",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.streams = Gauge(
            "segment_personas_api_event_streams", "Event streams that are open", registry=self.registry
        )

    def count(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Counts a request.

        Args:
            method: One of the route's methods; `other` for any other.
            route: The path with its parameters' names; `unknown` if there is no such route.
            status: Of the response.
            seconds: How long it took; None for an event stream.
        """
        self._requests.labels(method, route, str(status)).inc()
        if seconds is not None:
            self._seconds.labels(method, route).observe(seconds)

    async def text(self) -> bytes:
        """Returns all of them in Prometheus' format."""
        return await self._redis.text()
