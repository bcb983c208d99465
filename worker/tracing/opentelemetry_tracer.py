"""Spans of syncs by the SDK of OpenTelemetry, which the extra `otel` installs and the variables `OTEL_…` configure.

One sync is one trace across all processes. The ids of the trace and of its root span are derived from the id of the
sync, so that nothing has to be passed on with its jobs, and a job that is revived elsewhere continues the same trace.
The root span lasts from the time at which the sync was asked for until its first job begins.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import context, trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from worker.tracing.job_tracer import JobTracer

CLOSE_S = 3.0
"""A worker that stops must not wait longer for a collector, in seconds."""

_root: ContextVar[tuple[int, int] | None] = ContextVar("root", default=None)


class OpenTelemetryTracer(JobTracer):
    """Records spans and exports them.

    Args:
        exporter: Where they go.
        at_once: Whether each span is exported when it ends, for tests; otherwise in batches.
    """

    def __init__(self, exporter: SpanExporter, *, at_once: bool = False) -> None:
        named = Resource.create()
        if str(named.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            named = named.merge(Resource({SERVICE_NAME: "segment-personas"}))
        self._provider = TracerProvider(resource=named, id_generator=_SyncIds(), shutdown_on_exit=False)
        processor = SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("segment_personas")

    @contextmanager
    def job(self, sync_id: str, job_id: str, due_ms: int) -> Iterator[None]:
        """Records the block as a span, and before the first job of a sync its root span."""
        attributes = {"segment_personas.sync_id": sync_id, "segment_personas.job_id": job_id}
        kind = job_id.removeprefix(f"{sync_id}:").partition(":")[0]
        trace_id, span_id = trace_ids(sync_id)
        if job_id == f"{sync_id}:walk:1":
            self._record_root(trace_id, span_id, due_ms, attributes)
        sampled = self._provider.sampler.should_sample(None, trace_id, "sync").decision.is_sampled()  # type: ignore[no-untyped-call]
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        parent = NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags))
        with self._tracer.start_as_current_span(
            _NAMES.get(kind, kind),
            context=trace.set_span_in_context(parent, context.Context()),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            record_exception=False,  # its text might quote a profile
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_status(StatusCode.ERROR, type(error).__name__)
                raise

    def add_request(self, api: str, status: str, seconds: float) -> None:
        """Records a request as a span that has just ended, below the current job."""
        if not trace.get_current_span().is_recording():
            return
        now_ns = time.time_ns()
        span = self._tracer.start_span(
            f"{api} request",
            kind=SpanKind.CLIENT,
            attributes={"segment_personas.api": api, "segment_personas.status": status},
            start_time=now_ns - int(seconds * 1e9),
        )
        span.end(now_ns)

    def close(self) -> None:
        """Sends what is not sent yet, for at most `CLOSE_S` seconds, however long the exporter would try."""
        closing = threading.Thread(target=self._provider.shutdown, name="close tracer", daemon=True)
        closing.start()
        closing.join(CLOSE_S)

    def _record_root(self, trace_id: int, span_id: int, due_ms: int, attributes: Mapping[str, str]) -> None:
        token = _root.set((trace_id, span_id))
        try:
            span = self._tracer.start_span(
                "sync",
                context=context.Context(),
                kind=SpanKind.PRODUCER,
                attributes=attributes,
                start_time=due_ms * 1_000_000,
            )
        finally:
            _root.reset(token)
        span.end()


_NAMES = {"walk": "fetch job", "finalize": "finalize job", "batch": "batch job"}
"""Names of the kinds; those in Redis are part of the storage format."""


class _SyncIds(RandomIdGenerator):
    """Gives a root span the ids of its sync, and any other span random ones."""

    def generate_trace_id(self) -> int:
        root = _root.get()
        return root[0] if root else super().generate_trace_id()

    def generate_span_id(self) -> int:
        root = _root.get()
        return root[1] if root else super().generate_span_id()


def trace_ids(sync_id: str) -> tuple[int, int]:
    """Returns the ids of the trace and of the root span of a sync."""
    digest = hashlib.blake2b(sync_id.encode(), digest_size=24, person=b"trace").digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:])


def environment_exporter(environ: Mapping[str, str]) -> SpanExporter:
    """Returns the exporter that `OTEL_TRACES_EXPORTER` names: `otlp` (over HTTP, the default) or `console`."""
    if environ.get("OTEL_TRACES_EXPORTER") == "console":
        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()
