"""Traces: one for each sync across processes, and nothing loaded unless OpenTelemetry's variables are set."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_trace_id

from worker.tracing import job_tracer, opentelemetry_tracer
from worker.tracing.job_tracer import JobTracer, make_tracer
from worker.tracing.opentelemetry_tracer import OpenTelemetryTracer, trace_ids


def test_the_jobs_of_a_sync_on_two_workers_are_one_trace_below_its_root() -> None:
    exporter = InMemorySpanExporter()
    first, second = (OpenTelemetryTracer(exporter, at_once=True) for _ in range(2))
    due_ms = int(time.time() * 1000) - 5000
    with first.job("syn_1", "syn_1:walk:1", due_ms):
        first.add_request("segment", "200", 0.25)
    with second.job("syn_1", "syn_1:finalize:2", due_ms):
        second.add_request("mavera", "201", 0.5)
    with second.job("syn_2", "syn_2:walk:2", due_ms):
        pass
    second.add_request("mavera", "200", 0.1)  # outside of a job
    spans = {
        span.name: span for span in exporter.get_finished_spans() if span.context.trace_id == trace_ids("syn_1")[0]
    }
    assert spans.keys() == {"sync", "fetch job", "segment request", "finalize job", "mavera request"}
    root = spans["sync"].context
    assert (root.trace_id, root.span_id) == trace_ids("syn_1")
    assert spans["sync"].parent is None
    parents = {name: span.parent and span.parent.span_id for name, span in spans.items()}
    assert parents["fetch job"] == parents["finalize job"] == root.span_id
    assert parents["segment request"] == spans["fetch job"].context.span_id
    assert parents["mavera request"] == spans["finalize job"].context.span_id
    assert spans["sync"].start_time == due_ms * 1_000_000
    lasted_s = (spans["segment request"].end_time - spans["segment request"].start_time) / 1e9
    assert lasted_s == pytest.approx(0.25, abs=0.001)
    assert spans["fetch job"].resource.attributes["service.name"] == "segment-personas"
    others = [span for span in exporter.get_finished_spans() if span.context.trace_id != root.trace_id]
    assert [span.name for span in others] == ["fetch job"]


def test_an_error_in_a_job_leaves_its_text_out_of_the_span() -> None:
    exporter = InMemorySpanExporter()
    tracer = OpenTelemetryTracer(exporter, at_once=True)
    with pytest.raises(ValueError, match="a value"), tracer.job("s", "s:walk:3", 0):
        raise ValueError("a value of a profile")
    (span,) = exporter.get_finished_spans()
    assert "a value" not in span.to_json()
    assert format_trace_id(trace_ids("s")[0]) in span.to_json()


@pytest.mark.parametrize(
    "environ", [{}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}], ids=["unset", "disabled", "none"]
)
def test_nothing_is_traced_unless_the_environment_asks_for_it(environ: dict[str, str]) -> None:
    assert type(make_tracer(environ)) is JobTracer


def test_without_the_extra_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_tracer, "find_spec", lambda name: None)
    assert type(make_tracer({"OTEL_SERVICE_NAME": "x"})) is JobTracer


@pytest.mark.parametrize(
    ("sampler", "spans"), [("always_off", []), ("always_on", ["sync", "segment request", "fetch job"])]
)
def test_the_standard_variables_configure_exporter_and_sampler(
    sampler: str, spans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(self: ConsoleSpanExporter, finished: Sequence[ReadableSpan]) -> SpanExportResult:
        exported.extend(span.name for span in finished)
        return SpanExportResult.SUCCESS

    exported: list[str] = []
    monkeypatch.setattr(ConsoleSpanExporter, "export", export)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    tracer = make_tracer()
    assert isinstance(tracer, OpenTelemetryTracer)
    with tracer.job("s", "s:walk:1", 0):
        tracer.add_request("segment", "200", 0.1)
    tracer.close()
    assert exported == spans


def test_a_collector_that_does_not_answer_keeps_no_worker_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            released.wait()
            return SpanExportResult.FAILURE

    released = threading.Event()
    monkeypatch.setattr(opentelemetry_tracer, "CLOSE_S", 0.05)
    tracer = OpenTelemetryTracer(Stuck())
    with tracer.job("s", "s:walk:1", 0):
        pass
    tracer.close()
    released.set()


def test_a_worker_without_the_variables_loads_nothing_of_opentelemetry() -> None:
    program = (
        "import sys, worker.jobs.process.worker_process as process; process.make_tracer({});"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
