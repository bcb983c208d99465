"""Every metric of worker and HTTP API, found by counting one of each and reading what is served."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from producer.api.metrics import ApiMetrics
from worker.metrics.prometheus import PrometheusMetrics
from worker.metrics.redis_metrics import RedisMetrics
from worker.models.sync import SyncState
from worker.store.connection.health import RedisHealth
from worker.store.report import StoreReport, SyncCensus

REPORT = StoreReport(
    SyncCensus(dict.fromkeys(SyncState, 1), 12.5, {"spa_1": 1_700_000_000.0}),
    workers=2,
    health=RedisHealth("7.4", "standalone", append_only=True, eviction_policy="noeviction", max_bytes=0),
)


@dataclass(frozen=True)
class Described:
    """A metric as its table shows it."""

    type: str
    labels: tuple[str, ...]
    text: str


async def read_report() -> StoreReport:
    return REPORT


def count_one_of_each(metrics: PrometheusMetrics) -> None:
    """Calls every method of `WorkerMetrics` once."""
    metrics.count_request("segment", "200", 0.1)
    metrics.count_limiter_wait("segment", 0.1)
    metrics.count_deferral("mavera")
    metrics.count_retry("segment", "segment_unavailable")
    metrics.count_page(200)
    metrics.count_persona("created", 300)
    metrics.note_credits_left(1200)
    metrics.count_completion(preview=False)
    metrics.count_failure("guard_profiles")
    metrics.count_revival("sync")
    metrics.count_refused_commit()


async def all_metrics() -> dict[str, Described]:
    """Every metric by the name that a query uses."""
    metrics = PrometheusMetrics()
    count_one_of_each(metrics)
    api = ApiMetrics(read_report)
    api.count("GET", "/healthz", 200, 0.001)
    texts = (await RedisMetrics(metrics.registry, read_report).text(), await api.text())
    found = {}
    for text in texts:
        for family in text_string_to_metric_families(text.decode()):
            if not family.name.startswith("segment_personas_"):
                continue  # those of the process, by prometheus-client
            labels = tuple(sorted({name for sample in family.samples for name in sample.labels} - {"le"}))
            name = family.name + ("_total" if family.type == "counter" else "")
            found[name] = Described(family.type, labels, family.documentation)
    return found
