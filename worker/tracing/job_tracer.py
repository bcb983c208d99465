"""The interface of traces. This class traces nothing; `opentelemetry_tracer` does, if the extra `otel` is installed.

It is loaded only if the environment has a variable of OpenTelemetry (`OTEL_…`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

log = logging.getLogger("segment_personas.worker")


class JobTracer:
    """Records the jobs of syncs and their requests as spans. This one records nothing."""

    @contextmanager
    def job(self, sync_id: str, job_id: str, due_ms: int) -> Iterator[None]:
        """Records the block as one job of a sync.

        Args:
            sync_id: Id of the sync; its jobs are one trace, whichever workers run them.
            job_id: Id of the job.
            due_ms: When the job was due, in Unix milliseconds.
        """
        yield

    def add_request(self, api: str, status: str, seconds: float) -> None:
        """Records a request of the current job that has just ended; arguments: as of `WorkerMetrics.count_request`."""

    def close(self) -> None:
        """Sends what is not sent yet. Blocks for some seconds at most."""


def make_tracer(environ: Mapping[str, str] = os.environ) -> JobTracer:
    """Returns the tracer that the environment asks for.

    Args:
        environ: With the standard variables `OTEL_…`.
    """
    wanted = any(name.startswith("OTEL_") for name in environ)
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    if not wanted or off:
        return JobTracer()
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        log.info("OTEL_… is set, but nothing is traced: install segment-personas[otel]")
        return JobTracer()
    from worker.tracing.opentelemetry_tracer import OpenTelemetryTracer, environment_exporter

    return OpenTelemetryTracer(environment_exporter(environ))
