"""The counters of one worker in Prometheus' format, in a registry of their own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from typing_extensions import override

from worker.metrics.failure_codes import FAILURE_CODES
from worker.metrics.worker_metrics import WorkerMetrics

_REQUEST_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WAIT_BUCKETS = (0.001, 0.01, 0.1, 0.5, 1, 5, 30)

_GUARD = "guard"
"""What the error codes of guards begin with."""


class PrometheusMetrics(WorkerMetrics):
    """Counts the events of one worker."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Histogram(
            "segment_personas_request_seconds",
            "Seconds from a request to the end of its answer",
            ("api", "status"),
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )
        self._waits = Histogram(
            "segment_personas_limiter_wait_seconds",
            "Seconds that a request has waited for its slot of the rate limit",
            ("api",),
            buckets=_WAIT_BUCKETS,
            registry=registry,
        )
        self._deferrals = _counter(
            registry, "segment_personas_limiter_deferrals", "Jobs that handed over to wait for a slot", "api"
        )
        self._retries = _counter(
            registry, "segment_personas_retries", "Requests that failed and are repeated", "api", "code"
        )
        self._pages = _counter(registry, "segment_personas_pages", "Pages read; one that is read again counts again")
        self._profiles = _counter(registry, "segment_personas_profiles", "Profiles on those pages")
        self._personas = _counter(
            registry, "segment_personas_personas", "Personas created or updated, and recorded", "action"
        )
        self._charged = _counter(registry, "segment_personas_credits_charged", "Credits charged for those personas")
        self._credits_left: Gauge | None = None
        self._completions = _counter(registry, "segment_personas_syncs_completed", "Syncs that were completed", "kind")
        self._failures = _counter(registry, "segment_personas_sync_failures", "Syncs that failed", "code")
        self._guard_stops = _counter(registry, "segment_personas_guard_stops", "Syncs that a guard stopped", "code")
        self._revivals = _counter(
            registry, "segment_personas_revivals", "Lost jobs that the watchdog started again", "kind"
        )
        self._refused = _counter(
            registry, "segment_personas_commits_refused", "Jobs that lost the right to write to their sync"
        )
        self._begin_at_zero()
        ProcessCollector(registry=registry)

    def _begin_at_zero(self) -> None:
        for api in ("segment", "mavera"):
            self._deferrals.labels(api)
        for action in ("created", "updated"):
            self._personas.labels(action)
        for kind in ("sync", "preview"):
            self._completions.labels(kind)
        for kind in ("sync", "batch"):
            self._revivals.labels(kind)
        for code in FAILURE_CODES:
            self._failures.labels(code)
            if code.startswith(_GUARD):
                self._guard_stops.labels(code)

    @override
    def count_request(self, api: str, status: str, seconds: float) -> None:
        self._requests.labels(api, status).observe(seconds)

    @override
    def count_limiter_wait(self, api: str, seconds: float) -> None:
        self._waits.labels(api).observe(seconds)

    @override
    def count_deferral(self, api: str) -> None:
        self._deferrals.labels(api).inc()

    @override
    def count_retry(self, api: str, code: str) -> None:
        self._retries.labels(api, code).inc()

    @override
    def count_page(self, profiles: int) -> None:
        self._pages.inc()
        self._profiles.inc(profiles)

    @override
    def count_persona(self, action: str, credits_charged: int) -> None:
        self._personas.labels(action).inc()
        self._charged.inc(credits_charged)

    @override
    def note_credits_left(self, credits_left: int, account: str = "") -> None:
        if self._credits_left is None:  # a gauge without a value would be shown as 0
            self._credits_left = Gauge(
                "segment_personas_credits_left",
                "Credits that the Mavera account had left when a sync last asked",
                ("account",),
                registry=self.registry,
            )
        self._credits_left.labels(account).set(credits_left)

    @override
    def count_completion(self, *, preview: bool) -> None:
        self._completions.labels("preview" if preview else "sync").inc()

    @override
    def count_failure(self, code: str) -> None:
        self._failures.labels(code).inc()
        if code.startswith(_GUARD):
            self._guard_stops.labels(code).inc()

    @override
    def count_revival(self, kind: str) -> None:
        self._revivals.labels(kind).inc()

    @override
    def count_refused_commit(self) -> None:
        self._refused.inc()


def _counter(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Counter:
    return Counter(f"{name}_total", text, labels, registry=registry)
