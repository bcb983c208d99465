"""The engine of segment-personas: what runs in the containers.

`arq worker.WorkerSettings` works; the attribute is made on first use, because it reads the environment and a mere
`import worker` must not.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "WorkerSettings":
        from worker.jobs.process.arq_settings import worker_settings

        return worker_settings()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
