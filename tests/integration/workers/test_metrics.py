"""A worker counts what a sync did and names it in its log and in one trace; the HTTP API shows what Redis holds."""

from __future__ import annotations

import asyncio
import io
import json
import logging

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.http_api.api_server import start_api
from tests.support.servers.redis_server import RedisServer
from worker.jobs.process.worker_process import serve
from worker.log_format import JsonFormatter
from worker.metrics.prometheus import PrometheusMetrics
from worker.tracing.opentelemetry_tracer import OpenTelemetryTracer, trace_ids


async def test_a_sync_is_counted_and_named_in_the_log_from_its_pages_to_its_credits(session_redis: RedisServer) -> None:
    metrics, ready, log = PrometheusMetrics(), asyncio.Event(), io.StringIO()
    spans = InMemorySpanExporter()
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonFormatter("host:1"))
    logging.getLogger("segment_personas.jobs").addHandler(handler)
    logging.getLogger("segment_personas").setLevel("INFO")
    async with start_api(session_redis, worker=False, credits=5000) as api:
        worker = asyncio.create_task(
            serve(
                api.settings,
                api.pool,
                ready=ready.set,
                metrics=metrics,
                tracer=OpenTelemetryTracer(spans, at_once=True),
            )
        )
        await ready.wait()
        sync = await api.ended((await api.post("/v1/syncs", {"space_id": "spa"})).json["sync_id"])
        shown = (await api.get("/metrics")).text
        worker.cancel()
        await asyncio.wait({worker})
    logging.getLogger("segment_personas.jobs").removeHandler(handler)

    def value(name: str, **labels: str) -> float:
        return metrics.registry.get_sample_value(f"segment_personas_{name}", labels) or 0

    assert value("pages_total") == sync["pages_fetched"]
    assert value("profiles_total") == sync["profiles_fetched"]
    assert value("personas_total", action="created") == len(sync["personas"])
    assert value("credits_charged_total") == sync["credits_charged"] > 0
    assert value("credits_left", account="") > 0
    assert value("syncs_completed_total", kind="sync") == 1
    assert value("request_seconds_count", api="segment", status="200") >= sync["pages_fetched"]
    assert value("request_seconds_count", api="mavera", status="201") == len(sync["personas"])
    assert value("limiter_wait_seconds_count", api="mavera") > len(sync["personas"])
    assert 'segment_personas_last_complete_sync_timestamp_seconds{space="spa"}' in shown
    assert "segment_personas_workers 1.0" in shown
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert {(line["sync"], line["space"], line["worker"]) for line in lines} == {(sync["sync_id"], "spa", "host:1")}
    assert {line["job"].split(":")[1] for line in lines} == {"walk", "finalize"}
    traced = spans.get_finished_spans()
    assert {span.context.trace_id for span in traced} == {trace_ids(sync["sync_id"])[0]}
    jobs = {span.context.span_id for span in traced if span.name.endswith("job")}
    requests = [span for span in traced if span.name.endswith("request")]
    assert len(requests) == sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "segment_personas_request_seconds_count"
    )
    assert {span.parent.span_id for span in requests if span.parent} <= jobs
