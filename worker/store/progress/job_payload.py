"""An arq job as the scripts enqueue it. Pure data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobPayload:
    """An arq job, ready to be enqueued by a script.

    Attributes:
        job_id: `sync:kind:epoch`, or of a batch `sync:batch:slot:number:attempt`; never used twice.
        job: The job as arq serialises it; its bytes are opaque to the store.
    """

    job_id: str
    job: bytes
